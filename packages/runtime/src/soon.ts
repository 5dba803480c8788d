/** What is known already or comes later: most of what a round asks for is in memory, and waiting for it costs as much as it. */

/** `later instanceof Promise ? await later : later` */
export type Soon<T> = T | Promise<T>;

/** Begins work. What it throws before it waits for anything, it has failed with, too; what it has at once, it has done. */
export function begun<T>(work: () => Promise<T>): Promise<T> {
  try {
    const working = work();
    // An adapter or a tool of somebody else's may give what is no promise, or one of another make.
    return working instanceof Promise ? working : Promise.resolve(working);
  } catch (error) {
    return rethrown(error);
  }
}

async function rethrown(error: unknown): Promise<never> {
  throw error;
}
