/** What was said, found by its words. */
import type { Found } from '@perdure/contract';
import { reading } from '../connection.ts';
import type { FlagValue, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dateTime, print, printJson, tell } from '../output.ts';

const LIMIT = { default: 20, max: 1_000 };

export const search: Run = async (context) => {
  const { flags } = context;
  const { agent, cursor } = flags;
  const query = {
    q: context.args[0] ?? '',
    limit: limitOf(flags['limit']),
    ...(typeof agent === 'string' ? { agent } : {}),
    ...(typeof cursor === 'string' ? { cursor } : {}),
  };
  const page = await reading(context, async (client) => client.call('messages.search', query));
  if (isJson(context)) printJson(page);
  else {
    for (const hit of page.hits) print(shown(hit));
    if (page.hits.length === 0) tell('nothing was found\n');
    if (page.next !== undefined) tell(`there is more: go on with --cursor ${page.next}\n`);
    if (page.behind === true) tell('the index is still being made: what was said lately may be missing\n');
  }
  return EXIT.ok;
};

function shown({ session, run, seq, at, role, title, snippet }: Found): string {
  return `${session}.${run} #${seq}  ${dateTime(at)}  ${title}\n  ${role}: ${snippet}\n`;
}

function limitOf(given: FlagValue | undefined): number {
  if (given === undefined) return LIMIT.default;
  const value = typeof given === 'string' && /^\d{1,4}$/.test(given) ? Number(given) : 0;
  if (value < 1 || value > LIMIT.max) throw new UsageError(`--limit: '${String(given)}' is not from 1 to ${LIMIT.max}`);
  return value;
}
