/**
 * What Restate calls: one object a session with one handler, `drive`; a service for each agent, so that calls come to a
 * process that works on it. Restate lets one run at a time for each session, calls it again where its process went away,
 * and keeps its timers. Nothing of a session but its id is told to Restate: no message, no outcome and no secret is ever
 * in its journal.
 */
import type { ObjectContext } from '@restatedev/restate-sdk';
import { connect, createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Rest } from '@perdure/runtime';
import type { Logger, Timers } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import type { Call, Notices } from './notices.ts';
import type { Libraries } from './sdk.ts';

export type EndpointOptions = {
  /** The services that this process offers. */
  names: readonly string[];
  notices: Pick<Notices, 'elsewhere' | 'wakes'>;
  logger: Logger;
  /** Public keys of the Restate cluster whose requests are taken (`publickeyv1_…`); without any, everybody's are. */
  identityKeys: readonly string[];
  drive: (session: string) => Promise<Rest>;
};

export type Handler = Parameters<typeof createServer>[1] & ((...given: never[]) => void);
export type Listening = { port: number; close(): Promise<void> };
export type Listen = (handler: Handler) => Promise<Listening>;

export function createEndpoint({ sdk }: Libraries, options: EndpointOptions): Handler {
  const { names, logger, identityKeys } = options;
  return sdk.createEndpointHandler({
    services: names.map((name) => objectOf(sdk, name, options)),
    ...(identityKeys.length === 0 ? {} : { identityKeys: [...identityKeys] }),
    logger: ({ level }, ...said) => {
      if (level !== 'error' && level !== 'warn') return;
      logger.debug({ restate: said.map((one) => textOf(one)).join(' ') }, 'the Restate SDK says');
    },
  }) as Handler;
}

/**
 * Sessions of one agent. Nothing is journaled but that the call came and ended: what it does is in the session's log, and
 * what follows is told to Restate anew.
 */
function objectOf(sdk: Libraries['sdk'], name: string, { notices, drive: tenure }: EndpointOptions) {
  const drive = async ({ key }: ObjectContext, { wake }: Call): Promise<void> => {
    const rest = await tenure(key);
    if (rest.at === 'elsewhere') await notices.elsewhere(name, key);
    else if (rest.wakeAt !== null) await notices.wakes(name, key, rest.wakeAt, wake);
  };
  return sdk.object({
    name,
    handlers: { drive },
    options: {
      inactivityTimeout: LIMITS.tenureMs,
      abortTimeout: LIMITS.abortMs,
      // What it says is in the log; of its journal nothing is needed when it has ended.
      journalRetention: 0,
      // The same call twice is one while it waits; when it has come it may be asked for again.
      idempotencyRetention: LIMITS.keyMs,
      retryPolicy: {
        initialInterval: LIMITS.driveBackoffMs,
        maxInterval: LIMITS.driveBackoffMaxMs,
        exponentiationFactor: 2,
        maxAttempts: LIMITS.driveTries,
        onMaxAttempts: 'kill',
      },
    },
  });
}

const textOf = (said: unknown): string => {
  if (said instanceof Error) return said.message;
  return typeof said === 'string' ? said : (JSON.stringify(said) ?? '');
};

/** HTTP/2 without TLS (h2c with prior knowledge), as Restate speaks it to its deployments. */
export const listenOn =
  (host: string, port: number): Listen =>
  async (handler) => {
    const server = createServer(handler);
    const connections = new Set<ServerHttp2Session>();
    server.on('session', (session) => {
      connections.add(session);
      session.on('close', () => connections.delete(session));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => resolve());
    });
    return {
      port: (server.address() as AddressInfo).port,
      async close() {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        for (const session of connections) session.destroy();
        await closed;
      },
    };
  };

/** Whether somebody answers there who speaks HTTP/2: a process that is gone, or stands still, does not. */
export async function speaks(timers: Timers, uri: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const session = connect(uri);
  const timer = timers.set(LIMITS.speaksMs, () => resolve(false));
  session.once('error', () => resolve(false));
  session.once('connect', () => session.ping((error) => resolve(error === null)));
  const answer = await promise;
  timer.cancel();
  session.destroy();
  return answer;
}
