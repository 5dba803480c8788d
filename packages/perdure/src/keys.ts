/** What secrets at rest are sealed with, and how the keys of providers are found among them. */
import type { ProviderView } from '@perdure/contract';
import type { EndpointRecord } from '@perdure/models';
import { keysFound } from '@perdure/models';
import type { SecretKeys, Vault } from '@perdure/runtime';
import { fileKeys, fitsBinding, givenKeys, memoryKeys, noKeys, readKeys, SecretsError } from '@perdure/runtime';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment, Settings } from './settings.ts';

/** Beside the data: made when the first secret is set, and for its owner alone. */
export const KEY_FILE = 'secrets.key';

const ADVICE =
  'secrets are kept in this store only with a key from outside: set PERDURE_SECRET_KEY (openssl rand -base64 32) or ' +
  'PERDURE_SECRET_KEY_FILE, the same for each process that has it';

/**
 * The keys of this process: those of the environment, else a file beside data that it owns. Throws SecretsError
 * `secret_key_invalid` for a variable that holds no key.
 */
export function secretKeysOf(
  { secretKey, secretKeyFile }: Pick<Settings, 'secretKey' | 'secretKeyFile'>,
  kind: 'memory' | 'owned' | 'shared',
  data: string | null,
): SecretKeys {
  if (secretKey !== null) {
    const keys = readKeys(secretKey, 'PERDURE_SECRET_KEY');
    return givenKeys(() => keys);
  }
  if (secretKeyFile !== null) return givenKeys(() => readKeys(textOf(secretKeyFile), secretKeyFile));
  if (kind === 'memory') return memoryKeys();
  return kind === 'owned' && data !== null ? fileKeys(join(data, KEY_FILE)) : noKeys(ADVICE);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SecretsError('secret_key_missing', `PERDURE_SECRET_KEY_FILE: ${String(error)}`);
  }
}

type ProviderKey = { provider: string; names: readonly string[]; keyless: boolean; baseUrl: string };

/** Providers that have a name for their key: those that are known, and those of the configuration, which go before them. */
function providerKeys(env: Environment, endpoints: readonly EndpointRecord[]): readonly ProviderKey[] {
  const own = endpoints.flatMap(({ name, apiKeyEnv, baseUrl }) =>
    apiKeyEnv === undefined ? [] : [{ provider: name, names: [apiKeyEnv], keyless: false, baseUrl }],
  );
  const taken = new Set(endpoints.map(({ name }) => name));
  const known = keysFound(env).filter(({ provider }) => !taken.has(provider));
  return [...known.map(({ keyEnv: names, ...rest }) => ({ ...rest, names })), ...own];
}

const isSet = (env: Environment, name: string): boolean => (env[name] ?? '').trim() !== '';

/** What is stored, for who gives it to nobody else. */
type Stored = Pick<Vault, 'list' | 'value'>;

/** How each provider comes to its key: by the environment, else by a secret of that name that may go to its address. */
export function providersOf(env: Environment, vault: Stored, endpoints: readonly EndpointRecord[]): ProviderView[] {
  const stored = new Map(vault.list().map((info) => [info.name, info]));
  return providerKeys(env, endpoints).map(({ provider, names, keyless, baseUrl }): ProviderView => {
    const host = URL.canParse(baseUrl) ? new URL(baseUrl).hostname : '';
    const view = { provider, names: [...names], keyless, host };
    const given = names.find((name) => isSet(env, name));
    if (given !== undefined) return { ...view, from: 'environment', used: given };
    const name = names.find((each) => stored.has(each));
    const info = name === undefined ? undefined : stored.get(name);
    if (info === undefined) return { ...view, from: null, used: null };
    const problem = info.problem ?? fitsBinding(info.name, info.bindings, baseUrl);
    return problem === null
      ? { ...view, from: 'secret', used: info.name }
      : { ...view, from: null, used: null, problem };
  });
}

/** The environment with the keys that are stored: what it has itself stands. */
export function withStoredKeys(env: Environment, vault: Stored, endpoints: readonly EndpointRecord[]): Environment {
  const stored = providersOf(env, vault, endpoints).flatMap(({ from, used }) => {
    const value = from === 'secret' && used !== null ? vault.value(used) : undefined;
    return used === null || value === undefined ? [] : [[used, value] as const];
  });
  return { ...env, ...Object.fromEntries(stored) };
}
