/**
 * The simulator in a thread of its own. In a thread with tests the runner follows every promise to the test that made
 * it; a simulation makes hundreds of thousands, and takes half as long again there.
 */
import { once } from 'node:events';
import { after } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Simulated } from './simulated.ts';

/** One call at a time; the thread ends with the tests of the file. */
export function createThread(): Simulated {
  const thread = new Worker(new URL('./simulated.ts', import.meta.url));
  after(async () => thread.terminate());
  const ask = async (name: string, args: readonly unknown[]): Promise<unknown> => {
    thread.postMessage({ name, args });
    const [said] = (await once(thread, 'message')) as [{ answer: unknown } | { error: unknown }];
    if ('error' in said) throw said.error;
    return said.answer;
  };
  return new Proxy({} as Simulated, {
    get:
      (_target, name) =>
      async (...args: unknown[]) =>
        ask(String(name), args),
  });
}
