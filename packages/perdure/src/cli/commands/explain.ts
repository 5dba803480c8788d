/** What a run is doing or waits for, and why. */
import type { Explanation } from '@perdure/contract';
import { becauseOf } from '@perdure/contract';
import { reading } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dollars, print, printJson } from '../output.ts';

export const explain: Run = async (context) => {
  const [name = ''] = context.args;
  const [, session, run] = /^(ses_[0-9A-Za-z]{26})\.(r\d+)$/.exec(name) ?? [];
  if (session === undefined || run === undefined)
    throw new UsageError(`'${name}' names no run: it looks like ses_….r1`);
  const explanation = await reading(context, async (client) =>
    client.call('explain.get', { session, run: run as `r${number}` }),
  );
  if (isJson(context)) {
    printJson(explanation);
    return EXIT.ok;
  }
  print(explained(name, explanation));
  return EXIT.ok;
};

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** An explanation in lines. */
export function explained(name: string, explanation: Explanation): string {
  const { status, agent, model, passed = [], turns, calls, retries, usage, cache, cost, causes, changed } = explanation;
  const reason = becauseOf(passed);
  const because = reason === '' || causes.some(({ text }) => text.includes(reason)) ? '' : ` ${reason}`;
  const money = cost.price === null ? 'at an unknown price' : dollars(cost.nanoUsd);
  const sent = usage.input + usage.cachedInput + usage.cacheWrite;
  return [
    `${name} is ${status}: agent ${agent}${model === undefined ? '' : `, model ${model}${because}`}\n`,
    ...causes.map(({ text, next }) => `  ${text}${next === undefined ? '' : `\n    → ${next}`}\n`),
    `  ${counted(turns, 'turn')}, ${counted(calls, 'call')}, ${retries === 1 ? '1 retry' : `${retries} retries`}; ${sent} tokens in, ${usage.output} out, ${money}\n`,
    ...(cache === undefined ? [] : [`  ${cacheText(cache)}\n`]),
    ...changedText(name, changed),
  ].join('');
}

function changedText(name: string, changed: NonNullable<Explanation['changed']> = []): string[] {
  const names = [...new Set(changed.map(({ workspace }) => workspace))];
  if (names.length === 0) return [];
  const by = names.map((workspace) => {
    const calls = changed.flatMap((change) => (change.workspace === workspace ? [change.call] : []));
    return `${workspace} (${calls.join(', ')})`;
  });
  return [`  changed ${by.join('; ')}\n    → perdure workspace undo ${name} puts it back.\n`];
}

/** `cached 9,200 of 10,100, predicted 9,000`: tokens of the prompts. */
function cacheText({ prompt, cached, predicted }: NonNullable<Explanation['cache']>): string {
  const [read, all, expected] = [cached, prompt, predicted].map((count) => count.toLocaleString('en-US'));
  return `prompt cache: cached ${read} of ${all}, predicted ${expected}`;
}
