/** Rules and grants from outside: list, show, add, remove, revoke. */
import type { Client, PolicyRuleInput, PolicyView } from '@perdure/contract';
import { connectedOrEmbedded } from '../connection.ts';
import type { Context, FlagValue, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { durationOf } from '../duration.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dateTime, print, printJson, table, tell, tellNotices } from '../output.ts';

async function using<T>(context: Context, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await connectedOrEmbedded(context);
  try {
    return await work(connection.client);
  } finally {
    await connection.close();
  }
}

async function all(client: Client): Promise<PolicyView[]> {
  const found: PolicyView[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await client.call('policies.list', { limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.policies);
    if (page.next === undefined) return found;
    cursor = page.next;
  }
}

export const list: Run = async (context) => {
  const policies = await using(context, all);
  if (isJson(context)) printJson({ policies });
  else if (policies.length === 0) tell('there are no documents of rules\n');
  else {
    const rows = policies.map(({ scope, revision, rules, grants }) => [
      scope,
      String(revision),
      String(rules.length),
      String(grants.filter(({ revokedAt }) => revokedAt === undefined).length),
    ]);
    print(table([['SCOPE', 'REVISION', 'RULES', 'GRANTS'], ...rows]));
  }
  return EXIT.ok;
};

export const show: Run = async (context) => {
  const [scope = ''] = context.args;
  return said(context, await using(context, async (client) => client.call('policies.get', { scope })));
};

export const add: Run = async (context) => {
  const [scope = '', decision = '', tool = ''] = context.args;
  const rule = ruleOf(decision, tool, context.flags, Date.now());
  return said(context, await using(context, async (client) => client.call('policies.add', { scope, rule })));
};

export const remove: Run = async (context) => {
  const [scope = '', rule = ''] = context.args;
  return said(context, await using(context, async (client) => client.call('policies.remove', { scope, rule })));
};

export const grants: Run = async (context) => {
  const [wanted] = context.args;
  const policies = await using(context, async (client) =>
    wanted === undefined ? all(client) : [await client.call('policies.get', { scope: wanted })],
  );
  const found = policies.flatMap(({ scope, grants: each }) => each.map((grant) => ({ scope, ...grant })));
  if (isJson(context)) printJson({ grants: found });
  else if (found.length === 0) tell('nothing is granted\n');
  else {
    const rows = found.map(({ scope, id, rule, at, by, revokedAt }) => [
      `${scope}.${id}`,
      dateTime(at),
      by.id,
      `${ruleText(rule)}${revokedAt === undefined ? '' : ' (revoked)'}`,
    ]);
    print(table([['GRANT', 'SINCE', 'BY', 'RULE'], ...rows]));
  }
  return EXIT.ok;
};

export const revoke: Run = async (context) => {
  const [name = ''] = context.args;
  const [, scope, grant] = /^(.+)\.([^.]+)$/.exec(name) ?? [];
  if (scope === undefined || grant === undefined)
    throw new UsageError(`'${name}' names no grant: it looks like tenant.g…, as perdure policy grants list shows it`);
  return said(context, await using(context, async (client) => client.call('policies.revoke', { scope, grant })));
};

function said(context: Context, view: PolicyView): typeof EXIT.ok {
  tellNotices(view);
  if (isJson(context)) {
    printJson(view);
    return EXIT.ok;
  }
  const rows = [
    ...view.rules.map(({ id, ...rule }) => [id, ruleText(rule)]),
    ...view.grants
      .filter(({ revokedAt }) => revokedAt === undefined)
      .map(({ id, rule }) => [id, `granted: ${ruleText(rule)}`]),
  ];
  print(`${view.scope} is at revision ${view.revision}\n${table(rows)}`);
  return EXIT.ok;
}

type Flags = { readonly [name: string]: FlagValue | undefined };

/** A rule as flags say it. `now`: wall ms, for its end. Throws UsageError. */
export function ruleOf(decision: string, tool: string, flags: Flags, now: number): PolicyRuleInput {
  if (decision !== 'allow' && decision !== 'ask' && decision !== 'deny')
    throw new UsageError(`'${decision}' is no decision: say allow, ask or deny`);
  const rule: PolicyRuleInput = { decision, tool };
  const [command, paths, hosts, args] = ['command', 'path', 'host', 'arg'].map((name) => listOf(flags[name]));
  if (command !== undefined) rule.command = command;
  if (paths !== undefined) rule.paths = paths;
  if (hosts !== undefined) rule.hosts = hosts;
  if (args !== undefined) rule.args = Object.fromEntries(args.map(conditionOf));
  const { tainted, acts, reason } = flags;
  if (typeof tainted === 'string') rule.tainted = taintOf(tainted);
  if (typeof acts === 'string') rule.acts = acts.split(',').map((act) => oneOf(['write', 'egress'], act));
  const cost = flags['max-usd'];
  if (typeof cost === 'string') rule.maxNanoUsd = nanoUsdOf(cost);
  if (typeof flags['for'] === 'string') rule.expiresAt = now + durationOf(flags['for']);
  if (typeof reason === 'string') rule.reason = reason;
  return rule;
}

const listOf = (value: FlagValue | undefined): string[] | undefined =>
  value === undefined || value === true ? undefined : typeof value === 'string' ? [value] : [...value];

function conditionOf(text: string): [string, { glob: string } | { regex: string }] {
  const [, name, how, pattern] = /^([^=~]+)([=~])([\s\S]+)$/.exec(text) ?? [];
  if (name === undefined || pattern === undefined) throw new UsageError(`--arg ${text}: write NAME=GLOB or NAME~REGEX`);
  return [name, how === '=' ? { glob: pattern } : { regex: pattern }];
}

function taintOf(text: string): NonNullable<PolicyRuleInput['tainted']> {
  if (text === 'any') return true;
  if (text === 'none') return false;
  return text.split(',').map((label) => oneOf(['web', 'file', 'tool', 'input'], label));
}

function oneOf<T extends string>(known: readonly T[], word: string): T {
  const found = known.find((each) => each === word.trim());
  if (found === undefined) throw new UsageError(`'${word}' is none of ${known.join(', ')}`);
  return found;
}

function nanoUsdOf(text: string): number {
  if (!/^\d{1,6}(?:\.\d{1,9})?$/.test(text)) throw new UsageError(`--max-usd: '${text}' is no amount`);
  return Math.round(Number(text) * 1e9);
}

/** A rule on one line, as it could be written. */
function ruleText({ decision, tool, ...more }: PolicyRuleInput): string {
  const parts = Object.entries(more).map(([name, value]) => `${name} ${wordsOf(name, value)}`);
  return [`${decision} ${tool}`, ...parts].join('; ');
}

function wordsOf(name: string, value: unknown): string {
  if (name === 'expiresAt') return dateTime(Number(value));
  if (name === 'maxNanoUsd') return `$${Number(value) / 1e9}`;
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.join(', ') : JSON.stringify(value);
}
