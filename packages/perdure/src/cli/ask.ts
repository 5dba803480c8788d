/** Asks whoever sits at the terminal. */
import type { Interface } from 'node:readline/promises';
import { createInterface } from 'node:readline/promises';
import type { Client, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { answerOf, choicesOf, described } from './answers.ts';
import { UsageError } from './exit.ts';
import type { Ask } from './follow.ts';
import { styled, tell } from './output.ts';

export const isTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** Puts a wait to the person until the words fit, and answers it. Somebody else's answer is as good. */
export function asker(client: Client, session: string): Ask {
  return async (wait, signal) => {
    tell(`${styled('bold', described(wait))}\n`);
    if (choicesOf(wait) === null) return true;
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const gone = new AbortController();
    // A terminal in line mode keeps Ctrl-C to itself; it means the whole command.
    lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    lines.on('close', () => gone.abort());
    try {
      return await converse(client, session, wait, lines, AbortSignal.any([signal, gone.signal]));
    } finally {
      lines.close();
    }
  };
}

/** False when the person went away before an answer fitted. */
async function converse(
  client: Client,
  session: string,
  wait: WaitView,
  lines: Interface,
  signal: AbortSignal,
): Promise<boolean> {
  for (;;) {
    const said = await lines.question(`${choicesOf(wait)}: `, { signal }).catch(() => null);
    if (said === null) return false;
    try {
      const answer = answerOf(wait, said);
      await client.call('waits.resolve', { session, wait: wait.id as `w${number}`, answer });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === 'wait_resolved') {
        tell('it was answered elsewhere\n');
        return true;
      }
      if (!(error instanceof UsageError) && !(error instanceof ApiError && error.status === 400)) throw error;
      tell(`${error.message}\n`);
    }
  }
}
