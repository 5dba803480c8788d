/**
 * The one table of settings. A row gives the flag, the variable and the key of the configuration that set a value, in
 * this order of precedence; `.env` comes after the real environment. Flags, help, `doctor` and `.env.example` are read
 * off it.
 */
import type { LogFormat, LogLevel } from '@perdure/runtime';
import type { Engine, RestateAddresses, RestateListen } from './engine.ts';
import { SettingError } from './errors.ts';
import { LIMITS } from './limits.ts';

export type Setting<T> = {
  /** The flag's value as help shows it; null: there is no flag. The flag is the row's name. */
  flag: string | null;
  env: string | null;
  /** Whether `defineConfig` has a key of this name. */
  config: boolean;
  secret: boolean;
  initial: T;
  /** One line for help and for `.env.example`. */
  about: string;
  /** Throws an Error with the problem alone. */
  read(text: string): T;
};

type Row<T> = Partial<Setting<T>> & Pick<Setting<T>, 'about' | 'initial'>;
const text = (value: string): string => value;
const row = (given: Row<string>): Setting<string> => ({ ...BLANK, read: text, ...given });
const optional = (given: Omit<Row<string | null>, 'initial'>): Setting<string | null> => ({
  ...BLANK,
  read: text,
  initial: null,
  ...given,
});
const typed = <T>(given: Row<T> & Pick<Setting<T>, 'read'>): Setting<T> => ({ ...BLANK, ...given });
const BLANK = { flag: null, env: null, config: false, secret: false } as const;

/** Where sessions are kept: in the data folder, in memory, or in a Postgres. */
export type StoreSetting = 'sqlite' | 'memory' | PostgresUrl;
export type PostgresUrl = `postgres://${string}` | `postgresql://${string}`;

export const isPostgres = (store: unknown): store is PostgresUrl =>
  typeof store === 'string' && /^postgres(?:ql)?:\/\/./.test(store);

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];
const FORMATS: readonly LogFormat[] = ['pretty', 'compact', 'json'];

export const SETTINGS = {
  data: row({
    flag: 'DIR',
    env: 'PERDURE_DATA',
    config: true,
    initial: '.perdure',
    about: 'The folder that holds the log, the bodies and the address of the running server.',
  }),
  store: typed<StoreSetting>({
    flag: 'STORE',
    env: 'PERDURE_STORE',
    config: true,
    initial: 'sqlite',
    about:
      'Where sessions are kept: sqlite in the data folder, memory until the process ends, or postgres://USER@HOST/DATABASE.',
    read: readStore,
  }),
  engine: typed<Engine>({
    flag: 'ENGINE',
    env: 'PERDURE_ENGINE',
    config: true,
    initial: 'local',
    about: 'Who drives sessions: local (this process), or restate; see the guide on scaling.',
    read: (value) => oneOf<'local' | 'restate'>(['local', 'restate'], value),
  }),
  restate: typed<RestateAddresses | null>({
    flag: 'INGRESS,ADMIN',
    env: 'PERDURE_RESTATE',
    initial: null,
    about: 'The Restate that drives sessions, by both its addresses: http://restate:8080,http://restate:9070.',
    read: readRestate,
  }),
  restateListen: typed<RestateListen | null>({
    env: 'PERDURE_RESTATE_LISTEN',
    initial: null,
    about: 'HOST:PORT where Restate calls this process. Default: 127.0.0.1 and a free port.',
    read: readListen,
  }),
  restateUrl: optional({
    env: 'PERDURE_RESTATE_URL',
    about: "The address at which Restate reaches all workers, such as a balancer's. Default: the process's own.",
  }),
  restateToken: optional({
    env: 'PERDURE_RESTATE_TOKEN',
    secret: true,
    about: 'Sent to Restate with each request.',
  }),
  internalHost: optional({
    env: 'PERDURE_INTERNAL_HOST',
    config: true,
    about: 'Where other processes that share the store reach this one. Default: 127.0.0.1.',
  }),
  internalPort: typed<number | null>({
    env: 'PERDURE_INTERNAL_PORT',
    config: true,
    initial: null,
    about: 'The port of that. Default: a free one.',
    read: readPort,
  }),
  leaseMs: typed<number | null>({
    env: 'PERDURE_LEASE_MS',
    config: true,
    initial: null,
    about: 'How long a process that shares the store is taken for alive when it is not heard of. Default: 10000.',
    read: readLease,
  }),
  config: optional({
    flag: 'FILE',
    env: 'PERDURE_CONFIG',
    about:
      'The file that defines the agents. Without it: perdure.config.ts (.js, .mjs) and agents/NAME in the working directory.',
  }),
  host: row({
    flag: 'HOST',
    env: 'PERDURE_HOST',
    initial: '127.0.0.1',
    about: 'Where the server listens. Any host but the loopback needs a token.',
  }),
  port: typed<number>({
    flag: 'PORT',
    env: 'PERDURE_PORT',
    initial: 7420,
    about: 'The port on which the server listens; 0 takes a free one.',
    read: readPort,
  }),
  token: optional({
    flag: 'TOKEN',
    env: 'PERDURE_TOKEN',
    secret: true,
    about: 'The token that clients send, and that a server then asks for.',
  }),
  url: optional({
    flag: 'URL',
    env: 'PERDURE_URL',
    about: 'The server that commands talk to, in place of the remembered or the local one.',
  }),
  logLevel: typed<LogLevel | null>({
    env: 'PERDURE_LOG_LEVEL',
    initial: null,
    about: 'What is logged: debug, info, warn, error or silent. Default: info for a server, else warn.',
    read: (value) => oneOf(LEVELS, value),
  }),
  logFormat: typed<LogFormat | null>({
    env: 'PERDURE_LOG_FORMAT',
    initial: null,
    about: 'How it is logged: pretty, compact or json. Default: pretty on a terminal, else json.',
    read: (value) => oneOf(FORMATS, value),
  }),
  sandbox: typed<'bubblewrap' | 'none'>({
    env: 'PERDURE_SANDBOX',
    config: true,
    initial: 'bubblewrap',
    about: 'What commands of tools run in: bubblewrap; or none, which gives them all rights of this process.',
    read: (value) => oneOf(['bubblewrap', 'none'], value),
  }),
  secretKey: optional({
    env: 'PERDURE_SECRET_KEY',
    secret: true,
    about:
      'What secrets are sealed with, 32 bytes in base64: the first one seals, further ones open. Default: secrets.key in the data folder.',
  }),
  secretKeyFile: optional({
    env: 'PERDURE_SECRET_KEY_FILE',
    about: 'A file that holds it instead.',
  }),
  openaiKey: optional({
    env: 'OPENAI_API_KEY',
    secret: true,
    about: 'The key for openai and openai-chat models. Without one, the built-in assistant runs on the demo model.',
  }),
  openaiUrl: optional({
    env: 'OPENAI_BASE_URL',
    about: 'Another server that speaks the same API, with its version: https://host/v1.',
  }),
  anthropicKey: optional({
    env: 'ANTHROPIC_API_KEY',
    secret: true,
    about: 'The key for anthropic models. The built-in assistant runs on one where there is no other key.',
  }),
  anthropicUrl: optional({
    env: 'ANTHROPIC_BASE_URL',
    about: 'Another server that speaks the same API, without its version: https://host.',
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;
export type Settings = {
  [K in SettingName]: ReturnType<(typeof SETTINGS)[K]['read']> | (typeof SETTINGS)[K]['initial'];
};
/** Where a value comes from, as people read it: `--port`, `PERDURE_PORT`, `.env PERDURE_PORT`, a file, `default`. */
export type Origins = { [K in SettingName]: string };
export type Environment = Readonly<Record<string, string | undefined>>;

export type Sources = {
  flags: Readonly<Record<string, string | undefined>>;
  env: Environment;
  /** What stands in `.env`. */
  dotenv: Environment;
  /** The configuration's own values, and the file they come from. */
  config?: { file: string; values: Readonly<Record<string, unknown>> };
};

/** Each value with its origin. An empty variable is not set. Throws SettingError. */
export function readSettings(sources: Sources): { settings: Settings; origins: Origins } {
  const settings: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const found = find(name, setting, sources);
    origins[name] = found?.origin ?? 'default';
    settings[name] = found === null ? setting.initial : found.value;
  }
  return { settings: settings as Settings, origins: origins as Origins };
}

function find(name: string, setting: Setting<unknown>, sources: Sources): { value: unknown; origin: string } | null {
  const { flags, env, dotenv, config } = sources;
  const variable = setting.env ?? '';
  const given = [
    { text: setting.flag === null ? undefined : flags[name], origin: `--${name}` },
    { text: blankIsUnset(env[variable]), origin: variable },
    { text: blankIsUnset(dotenv[variable]), origin: `.env ${variable}` },
  ].find((source) => source.text !== undefined);
  if (given?.text !== undefined) return { value: readValue(setting, given.text, given.origin), origin: given.origin };
  const value = setting.config ? config?.values[name] : undefined;
  return value === undefined ? null : { value, origin: config?.file ?? '' };
}

function readValue(setting: Setting<unknown>, value: string, origin: string): unknown {
  try {
    return setting.read(value);
  } catch (error) {
    throw new SettingError(origin, error instanceof Error ? error.message : String(error));
  }
}

const blankIsUnset = (value: string | undefined): string | undefined => (value?.trim() === '' ? undefined : value);

function oneOf<T extends string>(choices: readonly T[], value: string): T {
  const found = choices.find((choice) => choice === value.trim());
  if (found === undefined) throw new Error(`'${value}' is none of ${choices.join(', ')}`);
  return found;
}

/** What is refused is not repeated where it may hold a password. */
function readStore(value: string): StoreSetting {
  const store = value.trim();
  if (isPostgres(store)) return store;
  if (store.includes('://')) throw new Error('is the address of no store that there is: postgres://USER@HOST/DATABASE');
  return oneOf(['sqlite', 'memory'], store);
}

function readPort(value: string): number {
  const port = /^\d{1,5}$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(port <= LIMITS.portMax))
    throw new Error(`'${value}' is not a port: a whole number from 0 to ${LIMITS.portMax}`);
  return port;
}

/** Both addresses, with a comma between. */
function readRestate(value: string): RestateAddresses {
  const [ingress = '', admin = '', ...more] = value.split(',').map((one) => one.trim());
  const isAddress = (one: string): boolean => URL.canParse(one) && /^https?:/.test(one);
  if (!isAddress(ingress) || !isAddress(admin) || more.length > 0)
    throw new Error("is no Restate: name its ingress and its admin's address, http://host:8080,http://host:9070");
  return { ingress, admin };
}

function readListen(value: string): RestateListen {
  const [, host = '', port = ''] = /^(?:(.+):)?(\d+)$/.exec(value.trim()) ?? [];
  const listen = { port: readPort(port) };
  return host === '' ? listen : { ...listen, host: host.replace(/^\[|\]$/g, '') };
}

function readLease(value: string): number {
  const ms = /^\d{1,9}$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(ms >= LIMITS.leaseMinMs && ms <= LIMITS.leaseMaxMs))
    throw new Error(`'${value}' is no time: whole milliseconds from ${LIMITS.leaseMinMs} to ${LIMITS.leaseMaxMs}`);
  return ms;
}

/** The text of `.env.example`: each variable with what it is for; `providers` have keys that no setting reads. */
export function envExample(providers: readonly { provider: string; keyEnv: readonly string[] }[]): string {
  const rows = Object.values<Setting<unknown>>(SETTINGS).flatMap(({ env, about }) =>
    env === null ? [] : [`# ${about}\n${env}=\n`],
  );
  const keys = providers.flatMap(({ provider, keyEnv: [name = ''] }) =>
    rows.some((row) => row.includes(`\n${name}=`)) ? [] : [`# The key for ${provider} models.\n${name}=\n`],
  );
  return ['# Copy this file to .env and fill in what you need. Everything is optional.\n', ...rows, ...keys].join('\n');
}
