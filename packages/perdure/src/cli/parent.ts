/** What a server says to the process that started it with a channel (`perdure dev` does), and is told by it. */

export type ToParent =
  /** It serves, and was made of these files. */
  | { type: 'ready'; url: string; welcome: string; files: readonly string[] }
  /** It could not start. */
  | { type: 'failed'; code: string }
  /** What loading the project came to; null: it can be served. */
  | { type: 'checked'; problem: string | null; files: readonly string[] };
export type FromParent = { type: 'stop'; drainMs: number };

/** Set for a process that may speak so: other parents with a channel speak otherwise. */
export const CHILD = 'PERDURE_DEV_CHILD';
const isChild = process.send !== undefined && process.env[CHILD] !== undefined;
// Not for what is started from here.
delete process.env[CHILD];

export const hasParent = (): boolean => isChild;

/** Resolves when it is on its way; at once where nobody listens. */
export async function tellParent(message: ToParent): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // A parent that is gone hears nothing.
  if (!isChild || process.send === undefined || !process.connected) resolve();
  else process.send(message, () => resolve());
  return promise;
}

/** Resolves when the parent asks for the end, or is gone itself; never without one. */
export function untilParentStops(): Promise<{ drainMs?: number }> {
  return new Promise((resolve) => {
    if (!isChild) return;
    process.on('message', ({ drainMs }: FromParent) => resolve({ drainMs }));
    process.on('disconnect', () => resolve({}));
  });
}
