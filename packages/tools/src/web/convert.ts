/**
 * Pages become Markdown in threads of their own: one that was made to take for ever, or all memory, ends with its
 * thread, and holds nobody else up.
 */
import { Worker } from 'node:worker_threads';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import type { PageAnswer, PageWork } from './converter.ts';

const waiting: (() => void)[] = [];
let running = 0;

/** Rejects with ToolFailure `unreadable`, or with the signal's reason; `chars`: of the whole page. */
export async function convertPage(
  work: PageWork,
  signal: AbortSignal,
): Promise<Exclude<PageAnswer, { failed: string }>> {
  if (running >= LIMITS.pageThreads) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    signal.throwIfAborted();
    const answer = await ask(work, signal);
    if ('failed' in answer) throw new ToolFailure('unreadable', `The page cannot be read: ${answer.failed}.`);
    return answer;
  } finally {
    // Whoever waits takes the place over.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

async function ask(work: PageWork, signal: AbortSignal): Promise<PageAnswer> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  // The published package is JavaScript, with this file beside its bundle.
  const thread = new Worker(new URL(`./converter.${extension}`, import.meta.url), {
    workerData: work,
    // Nothing of how this process was started.
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: LIMITS.pageMegabytes, stackSizeMb: LIMITS.pageStackMegabytes },
  });
  const left = new AbortController();
  try {
    return await new Promise<PageAnswer>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') resolve({ failed: 'it takes too much memory' });
        else reject(error);
      });
      thread.once('exit', () => resolve({ failed: 'its thread ended' }));
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true, signal: left.signal });
      if (signal.aborted) abort();
    });
  } finally {
    left.abort();
    await thread.terminate();
  }
}
