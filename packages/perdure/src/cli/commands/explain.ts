/** What a run is doing or waits for, and why. */
import type { Explanation } from '@perdure/contract';
import { becauseOf } from '@perdure/contract';
import { connected } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dollars, print, printJson } from '../output.ts';

export const explain: Run = async (context) => {
  const [name = ''] = context.args;
  const [, session, run] = /^(ses_[0-9A-Za-z]{26})\.(r\d+)$/.exec(name) ?? [];
  if (session === undefined || run === undefined)
    throw new UsageError(`'${name}' names no run: it looks like ses_….r1`);
  const { client } = await connected(context);
  const explanation = await client.call('explain.get', { session, run: run as `r${number}` });
  if (isJson(context)) {
    printJson(explanation);
    return EXIT.ok;
  }
  print(explained(name, explanation));
  return EXIT.ok;
};

/** An explanation in lines. */
export function explained(name: string, explanation: Explanation): string {
  const { status, agent, model, passed = [], turns, calls, retries, usage, cost, causes } = explanation;
  const reason = becauseOf(passed);
  const because = reason === '' || causes.some(({ text }) => text.includes(reason)) ? '' : ` ${reason}`;
  const money = cost.price === null ? 'at an unknown price' : dollars(cost.nanoUsd);
  return [
    `${name} is ${status}: agent ${agent}${model === undefined ? '' : `, model ${model}${because}`}\n`,
    ...causes.map(({ text, next }) => `  ${text}${next === undefined ? '' : `\n    → ${next}`}\n`),
    `  ${turns} turns, ${calls} calls, ${retries} retries; ${usage.input} tokens in, ${usage.output} out, ${money}\n`,
  ].join('');
}
