/** Begins work. What it throws before it waits for anything, it has failed with, too. */
export function begun<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return rethrown(error);
  }
}

async function rethrown(error: unknown): Promise<never> {
  throw error;
}
