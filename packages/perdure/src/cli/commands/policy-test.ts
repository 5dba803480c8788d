/** Proposed policies against what sessions have done. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Client, ParamsInput, PolicyFinding, PolicyTest } from '@perdure/contract';
import { connectedOrEmbedded } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { durationOf } from '../duration.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dateTime, dollars, isAtTerminal, print, printJson, tell } from '../output.ts';

type Proposed = Pick<ParamsInput<'policies.test'>, 'policies' | 'caps'>;

export const test: Run = async (context) => {
  const [file = ''] = context.args;
  const { since: given } = context.flags;
  const since = Math.max(0, Date.now() - durationOf(typeof given === 'string' ? given : '7d'));
  const proposed = await read(resolve(context.cwd, file));
  const connection = await connectedOrEmbedded(context);
  try {
    const found = await all(connection.client, { ...proposed, since });
    if (isJson(context)) printJson({ ...found, saved: savedBy(found.findings) });
    else print(shown(found));
  } finally {
    await connection.close();
  }
  return EXIT.ok;
};

/** `{policies, caps}`; or the policies alone; or a list of rules. */
async function read(path: string): Promise<Proposed> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`${path} cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (Array.isArray(value)) return { policies: { rules: value } } as Proposed;
  if (typeof value !== 'object' || value === null) throw new UsageError(`${path} holds no policies`);
  return ('policies' in value || 'caps' in value ? { policies: {}, ...value } : { policies: value }) as Proposed;
}

/** Page by page, with a word on how far it is. */
async function all(client: Client, params: ParamsInput<'policies.test'>): Promise<PolicyTest> {
  const whole: PolicyTest = { sessions: 0, calls: 0, unread: [], findings: [] };
  for (let cursor: string | undefined; ;) {
    const page = await client.call('policies.test', cursor === undefined ? params : { ...params, cursor });
    whole.sessions += page.sessions;
    whole.calls += page.calls;
    whole.unread.push(...page.unread);
    whole.findings.push(...page.findings);
    if (page.next === undefined) return whole;
    cursor = page.next;
    if (isAtTerminal()) tell(`${whole.sessions} sessions, ${whole.calls} calls, ${whole.findings.length} found …\n`);
  }
}

const savedBy = (findings: readonly PolicyFinding[]): { nanoUsd: number; tokens: number } => ({
  nanoUsd: findings.reduce((sum, { savedNanoUsd }) => sum + savedNanoUsd, 0),
  tokens: findings.reduce((sum, { savedTokens }) => sum + savedTokens, 0),
});

function shown({ sessions, calls, unread, findings }: PolicyTest): string {
  const count = (would: PolicyFinding['would']): number => findings.filter((each) => each.would === would).length;
  const saved = savedBy(findings);
  const lines = findings.map(({ session, effect, tool, at, was, would, rule, human, contradicts }) => {
    const said = human === undefined ? '' : `; a person ${human} it${contradicts ? ': CONTRADICTS' : ''}`;
    return `${dateTime(at)}  ${session}.${effect}  ${tool ?? 'cap'}: was ${was}, would ${would} (${rule})${said}\n`;
  });
  const against = findings.filter(({ contradicts }) => contradicts).length;
  return [
    ...lines,
    `${calls} calls of ${sessions} sessions: ${count('deny')} would be blocked, ${count('ask')} asked for, ${count('allow')} let pass\n`,
    `${against} against what a person decided; the turns behind what is blocked have cost ${dollars(saved.nanoUsd)}, ${saved.tokens} tokens\n`,
    ...(unread.length === 0 ? [] : [`not read to their end: ${unread.join(', ')}\n`]),
  ].join('');
}
