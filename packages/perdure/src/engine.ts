/** Who drives sessions: this process by itself, or Restate, with a server of our own where no address is given. */
import { join } from 'node:path';
import type { HostOptions } from '@perdure/runtime';
import { ConfigError, system } from '@perdure/runtime';
import type { Logger } from '@perdure/runtime/ports';
import { z } from 'zod';
import { SettingError } from './errors.ts';

export type RestateConfig = {
  /** Where Restate takes calls (`http://host:8080`) and is administered (`http://host:9070`): both, or neither. */
  ingress?: string;
  admin?: string;
  /** Sent to both as Bearer. */
  token?: string;
  /** Of the services in Restate, before the agent's, where several installations share one. Default `perdure`. */
  name?: string;
  /** Where this process is called by Restate. Default 127.0.0.1 and a free port. */
  listen?: { host?: string; port?: number };
  /** The address at which Restate reaches all processes that work, such as a balancer's. Default: this process's own. */
  url?: string;
  /** Public keys (`publickeyv1_...`) of the Restate whose calls are taken. Default: whoever reaches the port may call. */
  identityKeys?: readonly string[];
};
/** `restate` without addresses starts a server from its npm package, with its data in the data folder. */
export type Engine = 'local' | 'restate' | { restate: RestateConfig };

const ANYWHERE: readonly string[] = ['0.0.0.0', '::'];
const address = z.url({ protocol: /^https?$/, error: 'is an address: http://host:port' });
const restateSchema = z
  .strictObject({
    ingress: address.optional(),
    admin: address.optional(),
    token: z.string().min(1).optional(),
    name: z
      .string()
      .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/, 'has letters, digits, _ and -, at most 64')
      .optional(),
    listen: z
      .strictObject({ host: z.string().min(1).optional(), port: z.int().min(0).max(65_535).optional() })
      .optional(),
    url: address.optional(),
    identityKeys: z.array(z.string().startsWith('publickeyv1_')).optional(),
  })
  .refine(({ listen, url }) => url !== undefined || !ANYWHERE.includes(listen?.host ?? ''), {
    error: 'listens on every address: name the one at which Restate reaches it (url)',
  })
  .refine(({ ingress, admin }) => (ingress === undefined) === (admin === undefined), {
    error: 'needs both ingress and admin, or neither: then a server is started',
  });
export const engineSchema = z.union(
  [z.enum(['local', 'restate']), z.strictObject({ restate: restateSchema })],
  "is 'local', 'restate' or { restate: { ingress, admin } }",
);

export type RestateAddresses = Required<Pick<RestateConfig, 'ingress' | 'admin'>>;
export type RestateListen = NonNullable<RestateConfig['listen']>;

/** What settings say of the engine beside its name. */
type Settled = {
  engine: Engine;
  restate: RestateAddresses | null;
  restateListen: RestateListen | null;
  restateUrl: string | null;
  restateToken: string | null;
};

/**
 * The engine that is meant: whoever names it alone means the one that the configuration describes, and what the settings
 * say of Restate goes before what stands there. To name a Restate is to choose it. Throws SettingError where something of
 * Restate is set and another engine was named.
 */
export function engineOf(
  settings: Settled,
  origins: { [name in keyof Settled]: string },
  configured: Engine | undefined,
): Engine {
  const { engine, restate, restateListen: listen, restateUrl: url, restateToken: token } = settings;
  const more: RestateConfig = {
    ...restate,
    ...(listen === null ? {} : { listen }),
    ...(url === null ? {} : { url }),
    ...(token === null ? {} : { token }),
  };
  const described = engine === 'restate' && typeof configured === 'object' ? configured : engine;
  const [set] = (['restate', 'restateListen', 'restateUrl', 'restateToken'] as const).filter(
    (name) => settings[name] !== null,
  );
  if (set === undefined) return described;
  if (described === 'local' && (restate === null || origins.engine !== 'default'))
    throw new SettingError(origins[set], 'means nothing where sessions are not driven by Restate: --engine restate');
  return { restate: { ...(typeof described === 'object' ? described.restate : {}), ...more } };
}

/** What of it must appear nowhere. */
export function secretsOfEngine(engine: Engine | undefined): { [name: string]: string } {
  const token = typeof engine === 'object' ? engine.restate.token : undefined;
  return token === undefined ? {} : { 'engine.restate.token': token };
}

/** As people read it. */
export function shownEngine(engine: Engine): string {
  if (typeof engine === 'string') return engine;
  const { ingress } = engine.restate;
  return ingress === undefined ? 'restate' : `restate at ${ingress}`;
}

export type OpenedEngine = {
  /** Missing: the local driver. */
  driver?: NonNullable<HostOptions['driver']>;
  /** Ends what was started for it: after the host has stopped. */
  stop(): Promise<void>;
};

/** `data`: the folder that a server of our own keeps its data and its log in. `isPart`: other processes do what this one does not. */
export type Around = { data: string | null; logger: Logger; isPart: boolean };

/**
 * Opens what drives sessions. Throws ConfigError where an address or a folder has to be named; an Error with code `engine_missing`
 * where a package has to be installed, and which; `engine_unavailable` where that server does not start.
 */
export async function openEngine(engine: Engine, { data, logger, isPart }: Around): Promise<OpenedEngine> {
  if (engine === 'local') return { stop: async () => {} };
  const { createRestateDriver, startRestateServer } = await import('@perdure/drivers/restate');
  const config = engine === 'restate' ? {} : engine.restate;
  const { ingress, admin } = config;
  if (ingress !== undefined && admin !== undefined)
    return { driver: await createRestateDriver({ ...config, ingress, admin }), stop: async () => {} };
  if (isPart)
    throw new ConfigError(
      'invalid_config',
      'engine',
      'needs the Restate that all processes use: { restate: { ingress, admin } }',
    );
  if (data === null)
    throw new ConfigError(
      'invalid_config',
      'engine',
      'keeps its data in the data folder: name one (data), or a Restate that runs',
    );
  const server = await startRestateServer({ directory: join(data, 'restate'), ...system });
  logger.info({ ingress: server.ingress, admin: server.admin }, 'a Restate server was started');
  let isStopping = false;
  void server.ended.then(() => {
    if (!isStopping) logger.error({}, 'the Restate server has ended: until the next start the sweeper drives sessions');
  });
  const stop = async (): Promise<void> => {
    isStopping = true;
    await server.stop();
  };
  try {
    return { driver: await createRestateDriver({ ...config, ...server }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
