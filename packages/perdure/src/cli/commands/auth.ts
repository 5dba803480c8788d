/** Keys of providers: kept as secrets that go to the provider's own address and to no tool. */
import type { Client, ProviderView } from '@perdure/contract';
import { connectedOrFolder } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { CommandError, EXIT, UsageError } from '../exit.ts';
import { print, printJson, table, tell } from '../output.ts';
import { typed } from '../typed.ts';

export const login: Run = async (context) => {
  const [name = ''] = context.args;
  return withProviders(context, async (api, providers) => {
    const provider = found(providers, name);
    const [secret = ''] = provider.names;
    if (provider.host === '')
      throw new CommandError(EXIT.failed, `the address of ${name} is none: look at perdure doctor`);
    const value = (await typed(`The key for ${name}`)).trim();
    const problem = problemOf(value, name);
    if (problem !== null) throw new CommandError(EXIT.failed, `${problem}; nothing was kept`);
    await api.call('secrets.set', { name: secret, value, hosts: [provider.host], tools: [] });
    const { providers: now } = await api.call('providers.list', {});
    const { from, used, problem: unused } = found(now, name);
    if (isJson(context)) printJson({ provider: name, secret, from, used });
    else print(`the key for ${name} is kept as the secret ${secret}, for ${provider.host} alone\n`);
    if (from === 'environment') tell(`the environment has a key, too (${used}): that one is used\n`);
    if (unused !== undefined) tell(`it is not used: ${unused}\n`);
    return EXIT.ok;
  });
};

export const status: Run = async (context) =>
  withProviders(context, async (_api, providers) => {
    if (isJson(context)) printJson({ providers });
    else print(table([['PROVIDER', 'KEY', 'FROM', 'GOES TO'], ...providers.map(row)]));
    return EXIT.ok;
  });

export const logout: Run = async (context) => {
  const [name = ''] = context.args;
  return withProviders(context, async (api, providers) => {
    const { names, from, used } = found(providers, name);
    const { secrets } = await api.call('secrets.list', { limit: 1_000 });
    const kept = names.filter((each) => secrets.some((secret) => secret.name === each));
    if (kept.length === 0) throw new CommandError(EXIT.failed, `no key for ${name} is kept here`);
    for (const each of kept) await api.call('secrets.delete', { name: each });
    if (isJson(context)) printJson({ provider: name, deleted: kept });
    else print(`the key for ${name} is deleted\n`);
    if (from === 'environment') tell(`the environment still has one (${used})\n`);
    return EXIT.ok;
  });
};

async function withProviders<T>(
  context: Context,
  work: (api: Client, providers: readonly ProviderView[]) => Promise<T>,
): Promise<T> {
  const connection = await connectedOrFolder(context, { withConfig: true, creates: true });
  try {
    const { providers } = await connection.client.call('providers.list', {});
    return await work(connection.client, providers);
  } finally {
    await connection.close();
  }
}

function found(providers: readonly ProviderView[], name: string): ProviderView {
  const provider = providers.find((each) => each.provider === name);
  if (provider !== undefined) return provider;
  throw new UsageError(`no provider ${name}; there are ${providers.map((each) => each.provider).join(', ')}`);
}

function row({ provider, names, from, used, keyless, host, problem }: ProviderView): string[] {
  const missing = keyless ? 'none needed' : `none: set ${names.join(' or ')}, or perdure auth login ${provider}`;
  return [provider, used ?? '', from ?? (problem === undefined ? missing : `not used: ${problem}`), host];
}

/** How keys of some providers begin, as their documentation shows them: one of another provider was meant for that. */
const BEGINNINGS: readonly (readonly [provider: string, beginning: RegExp])[] = [
  ['anthropic', /^sk-ant-/],
  ['openrouter', /^sk-or-/],
  ['openai', /^sk-(?:proj|svcacct|admin)-/],
  ['groq', /^gsk_/],
  ['google', /^AIza/],
];
const KEY_CHARS_MIN = 16;

/** Why it cannot be this provider's key; null: it can. */
function problemOf(value: string, provider: string): string | null {
  if (/\s/.test(value)) return 'a key is one word';
  if (/[^\u0021-\u007e]/.test(value)) return 'a key has letters, digits and signs of ASCII alone';
  if (value.length < KEY_CHARS_MIN) return `a key has at least ${KEY_CHARS_MIN} characters`;
  const [other] = BEGINNINGS.find(([, beginning]) => beginning.test(value)) ?? [];
  const known = BEGINNINGS.some(([name]) => provider.startsWith(name));
  return other === undefined || !known || provider.startsWith(other) ? null : `this looks like a key for ${other}`;
}
