/** What a run is doing or waits for, and why. */
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
  const { status, agent, model, turns, calls, retries, usage, cost, causes } = explanation;
  print(`${name} is ${status}: agent ${agent}${model === undefined ? '' : `, model ${model}`}\n`);
  for (const cause of causes) print(`  ${cause.text}${cause.next === undefined ? '' : `\n    → ${cause.next}`}\n`);
  const money = cost.price === null ? 'at an unknown price' : dollars(cost.nanoUsd);
  print(
    `  ${turns} turns, ${calls} calls, ${retries} retries; ${usage.input} tokens in, ${usage.output} out, ${money}\n`,
  );
  return EXIT.ok;
};
