/** Asks whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises';
import type { Client, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { answerOf, CHOICES, described } from './answers.ts';
import { UsageError } from './exit.ts';
import { styled, tell } from './output.ts';

export const isTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** Puts a wait to the person until the words fit, and answers it. Somebody else's answer is as good. */
export function asker(client: Client, session: string): (wait: WaitView) => Promise<void> {
  return async (wait) => {
    const choices = CHOICES[wait.kind];
    tell(`${styled('bold', described(wait))}\n`);
    if (choices === null) return;
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      for (;;) {
        const said = await lines.question(`${choices}: `);
        try {
          const answer = answerOf(wait, said);
          await client.call('waits.resolve', { session, wait: wait.id as `w${number}`, answer });
          return;
        } catch (error) {
          if (error instanceof ApiError && error.code === 'wait_resolved') return tell('it was answered elsewhere\n');
          if (!(error instanceof UsageError) && !(error instanceof ApiError && error.status === 400)) throw error;
          tell(`${error.message}\n`);
        }
      }
    } finally {
      lines.close();
    }
  };
}
