/** Budgets from outside: show what is left, and change what may be spent. */
import type { BudgetView, ParamsInput } from '@perdure/contract';
import { noticesOfAgent } from '@perdure/runtime';
import { agentsAround } from '../around.ts';
import { connectedOrFolder, reading } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dateTime, dollars, print, printJson, table, tell, tellNotices } from '../output.ts';

type Setting = ParamsInput<'budgets.set'>;
type Whose = Pick<Setting, 'scope' | 'name'>;
type Cap = { tokens?: number; nanoUsd?: number } | null;

export const show: Run = async (context) => {
  const whose = whoseOf(context);
  const page = await reading(context, async (api) => api.call('budgets.list', { ...whose, limit: 1_000 }));
  if (isJson(context)) printJson(page);
  else if (page.budgets.length === 0) tell('no budget is set: perdure budget set --day 5usd\n');
  else printBudgets(page.budgets);
  return EXIT.ok;
};

export const set: Run = async (context) => {
  const setting: Setting = { ...(whoseOf(context) ?? { scope: 'tenant' }) };
  for (const period of ['day', 'month', 'total'] as const) {
    const given = context.flags[period];
    if (typeof given === 'string') setting[period] = capOf(period, given);
  }
  if (setting.day === undefined && setting.month === undefined && setting.total === undefined)
    throw new UsageError('what may be spent? Give --day, --month or --total, such as --day 5usd');
  const revision = context.flags['if-revision'];
  if (typeof revision === 'string') setting.ifRevision = wholeNumber(revision);
  const connection = await connectedOrFolder(context, { withConfig: true });
  try {
    const budget = await connection.client.call('budgets.set', setting);
    const { name = '' } = setting;
    if (connection.kind === 'folder' && setting.scope === 'agent')
      tellNotices({ notices: noticesOfAgent(name, await agentsAround(context)) });
    tellNotices(budget);
    if (isJson(context)) printJson(budget);
    else printBudgets([budget]);
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

/** Whose budget the flags name; none: everybody's. */
function whoseOf({ flags }: Context): Whose | undefined {
  const named = (['tenant', 'agent', 'session'] as const).filter((scope) => flags[scope] !== undefined);
  const [scope, another] = named;
  if (another !== undefined) throw new UsageError(`--${scope} and --${another} name two budgets: give one of them`);
  if (scope === undefined) return undefined;
  const name = flags[scope];
  return typeof name === 'string' ? { scope, name } : { scope };
}

const NANO = 1e9;

/** `5usd`, `200000tokens`, both with a comma between; `none` lifts what there is. */
function capOf(period: string, text: string): Cap {
  if (text === 'none') return null;
  const cap: { tokens?: number; nanoUsd?: number } = {};
  for (const part of text.split(',')) {
    const [, amount, unit] = /^(\d{1,12}(?:\.\d{1,9})?)(usd|tokens)$/i.exec(part.trim().replaceAll('_', '')) ?? [];
    const value = Number(amount);
    const kind = unit?.toLowerCase() === 'usd' ? 'nanoUsd' : 'tokens';
    const isOnce = unit !== undefined && cap[kind] === undefined;
    if (isOnce && kind === 'nanoUsd') cap.nanoUsd = Math.round(value * NANO);
    else if (isOnce && Number.isSafeInteger(value)) cap.tokens = value;
    else throw new UsageError(`--${period} is like 5usd, 200000tokens, 5usd,200000tokens or none, not '${text}'`);
  }
  return cap;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--if-revision is a whole number, not '${text}'`);
  return Number(text);
}

const HEAD = ['BUDGET', 'PERIOD', 'CAP', 'SPENT', 'RESERVED', 'UNTIL (UTC)'];

function printBudgets(budgets: readonly BudgetView[]): void {
  const rows = budgets.flatMap(({ scope, name, periods }) =>
    periods.map(({ period, cap, spent, reserved, endsAt }) => [
      name === undefined ? scope : `${scope} ${name}`,
      period,
      shown(cap) || '-',
      shown(spent),
      shown(reserved),
      endsAt === null ? '-' : dateTime(endsAt),
    ]),
  );
  print(table([HEAD, ...rows]));
}

const shown = ({ tokens, nanoUsd }: { tokens?: number; nanoUsd?: number }): string =>
  [nanoUsd === undefined ? '' : dollars(nanoUsd), tokens === undefined ? '' : `${tokens} tokens`]
    .filter((part) => part !== '')
    .join(' ');
