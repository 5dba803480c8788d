/** Forks from outside: make one, and set two sessions side by side. */
import type { ConfigPatch, DiffRow, DiffSide, DiffStep, SessionDiff } from '@perdure/contract';
import { configPatchSchema } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import { connectedOrFolder } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dollars, oneLine, print, printJson, table, tell } from '../output.ts';
import { plain } from '../render.ts';

export const fork: Run = async (context) => {
  const { at, submission } = context.flags;
  const config = configOf(context);
  const where = typeof at === 'string' ? { at: seqOf(at) } : {};
  const connection = await connectedOrFolder(context, { withConfig: true });
  try {
    const forked = await connection.client.call('sessions.fork', {
      session: context.args[0] ?? '',
      ...where,
      ...(config === undefined ? {} : { config }),
      ...(typeof submission === 'string' ? { submission } : {}),
    });
    const { id, forkedFrom } = forked.session;
    if (isJson(context)) printJson(forked);
    else {
      print(`${id}\n`);
      tell(`it begins as ${forkedFrom?.session} was at ${forkedFrom?.seq}\n`);
      tell(`next: perdure run "…" --session ${id}\n`);
    }
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

/** Throws UsageError. */
function configOf({ flags }: Context): ConfigPatch | undefined {
  const { model, instructions, effort, temperature } = flags;
  const given = Object.entries({ model, instructions, effort }).filter(([, value]) => typeof value === 'string');
  const config: { [name: string]: unknown } = Object.fromEntries(given);
  if (typeof temperature === 'string') config['temperature'] = temperature === '' ? Number.NaN : Number(temperature);
  const parsed = configPatchSchema.safeParse(config);
  if (parsed.success) return Object.keys(config).length === 0 ? undefined : parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(`--${String(issue?.path[0])}: ${issue?.message ?? 'is not valid'}`);
}

function seqOf(text: string): number {
  if (!/^\d{1,15}$/.test(text) || Number(text) < 1) throw new UsageError(`--at is the seq of an entry, not '${text}'`);
  return Number(text);
}

export const diff: Run = async (context) => {
  const [session = '', other = ''] = context.args;
  const connection = await connectedOrFolder(context);
  try {
    const found = await connection.client.call('sessions.diff', { session, other });
    if (isJson(context)) printJson(found);
    else print(shown(found));
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

function shown({ common, a, b, rows, more }: SessionDiff): string {
  const where = common === 0 ? 'they have nothing in common' : `the same up to ${common}`;
  const lines = rows.flatMap(rowLines);
  const none = lines.length === 0 ? ['and nothing since'] : [];
  const rest = more ? ['there is more: perdure sessions show shows each whole'] : [];
  return `${table([sideRow('a', a), sideRow('b', b)])}${[where, '', ...lines, ...none, ...rest].join('\n')}\n`;
}

function sideRow(name: string, side: DiffSide): string[] {
  const { session, runs, turns, calls, usage, cost, ms, forked } = side;
  const tokens = usage.input + usage.cachedInput + usage.cacheWrite + usage.output;
  return [
    name,
    session,
    counted(runs, 'run'),
    counted(turns, 'turn'),
    counted(calls, 'call'),
    counted(tokens, 'token'),
    cost.price === null ? 'unpriced' : dollars(cost.nanoUsd),
    seconds(ms),
    forked.length === 0 ? '' : `(${forked.join(', ')} ended by the fork)`,
  ];
}

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
const seconds = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`);

function rowLines({ kind, same, a, b }: DiffRow): string[] {
  if (same && a !== null) return [`= ${kind} ${a.id}  ${said(a)}`];
  const sides = [line('a', a), line('b', b)];
  return [`≠ ${kind} ${a?.id ?? b?.id ?? ''}`, ...sides];
}

function line(name: string, step: DiffStep | null): string {
  return step === null ? `    ${name}  nothing` : `    ${name}  ${said(step)}${took(step)}`;
}

/** What was said or done, in one line. */
function said({ kind, name, text, arguments: args, status, code, result }: DiffStep): string {
  const of = (value: unknown): string => oneLine(plain(value), LIMITS.shownChars);
  switch (kind) {
    case 'config':
      return of(args);
    case 'call':
      return `${name ?? ''} ${args === undefined ? '' : of(args)} ${status}${result === undefined ? '' : `: ${of(result)}`}`;
    case 'end':
      return code === undefined ? status : `${status} (${code})`;
    default:
      return text === undefined || text === '' ? `(${code ?? status})` : of(text);
  }
}

function took({ kind, name, usage, cost, ms }: DiffStep): string {
  const parts = [
    ...(kind === 'turn' && name !== undefined ? [name] : []),
    ...(usage === undefined
      ? []
      : [counted(usage.input + usage.cachedInput + usage.cacheWrite + usage.output, 'token')]),
    ...(cost === undefined || cost.price === null ? [] : [dollars(cost.nanoUsd)]),
    ...(ms === undefined ? [] : [seconds(ms)]),
  ];
  return parts.length === 0 ? '' : `  [${parts.join(', ')}]`;
}
