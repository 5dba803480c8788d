const ends = new Map<string, Promise<void>>();

/**
 * Runs work that nothing else of this process does on any of these names meanwhile, in order of asking. Rejects with the
 * signal's reason while it waits.
 */
export async function alone<T>(names: readonly string[], signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const ended = Promise.withResolvers<void>();
  // All at once and before anything is awaited: two askers cannot each hold what the other one waits for.
  const before = names.map((name) => ends.get(name) ?? Promise.resolve());
  const mine = Promise.all(before).then(() => ended.promise);
  for (const name of names) ends.set(name, mine);
  try {
    await untilAborted(Promise.all(before), signal);
    return await work();
  } finally {
    ended.resolve();
    for (const name of names) if (ends.get(name) === mine) ends.delete(name);
  }
}

async function untilAborted(waited: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const gone = Promise.withResolvers<never>();
  const stop = (): void => gone.reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([waited, gone.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
