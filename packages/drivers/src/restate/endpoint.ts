/**
 * What Restate calls: one object a session with one handler, `drive`. Restate lets one run at a time for each session,
 * calls it again where its process went away, and keeps its timers. Nothing of a session but its id is told to Restate:
 * no message, no outcome and no secret is ever in its journal.
 */
import type { ObjectContext } from '@restatedev/restate-sdk';
import { createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Rest } from '@perdure/runtime';
import type { Clock, Logger } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import type { Libraries } from './sdk.ts';

/** `wake`: the timer (wall ms) by which it comes. */
export type Call = { wake?: number };

export const CALLS = {
  contentType: 'application/json',
  serialize: (call: Call): Uint8Array => new TextEncoder().encode(JSON.stringify(call)),
  deserialize: (bytes: Uint8Array): Call => JSON.parse(new TextDecoder().decode(bytes)) as Call,
};

/** As the journal of an invocation has it. */
type Driven = Rest & { now: number };

export type EndpointOptions = {
  name: string;
  clock: Clock;
  logger: Logger;
  /** Public keys of the Restate cluster whose requests are taken (`publickeyv1_…`); without any, everybody's are. */
  identityKeys: readonly string[];
  drive(session: string): Promise<Rest>;
};

export type Handler = Parameters<typeof createServer>[1] & ((...given: never[]) => void);
export type Listening = { port: number; close(): Promise<void> };
export type Listen = (handler: Handler) => Promise<Listening>;

export function createEndpoint({ sdk }: Libraries, options: EndpointOptions): Handler {
  const { name, clock, logger, identityKeys } = options;
  const drive = async (context: ObjectContext, { wake }: Call): Promise<void> => {
    const { key } = context;
    const driven = await context.run('drive', async (): Promise<Driven> => {
      const rest = await options.drive(key);
      return { ...rest, now: clock.now() };
    });
    const send = (parameter: Call, delay: number, idempotencyKey?: string): void => {
      const target = { service: name, method: 'drive', key, parameter, delay, inputSerde: CALLS };
      context.genericSend(idempotencyKey === undefined ? target : { ...target, idempotencyKey });
    };
    if (driven.at === 'elsewhere') {
      const turn = Math.floor(driven.now / LIMITS.elsewhereMs) + 1;
      send({}, LIMITS.elsewhereMs, `${key} elsewhere ${turn}`);
      return;
    }
    // One timer a session: the one that is set, unless this is it or another time is due.
    const set = await context.get<number>(WAKE);
    const { wakeAt } = driven;
    if (wakeAt === set && set !== wake) return;
    if (wakeAt === null) {
      if (set === wake) context.clear(WAKE);
      return;
    }
    context.set(WAKE, wakeAt);
    send({ wake: wakeAt }, Math.max(LIMITS.wakeMinMs, wakeAt - driven.now));
  };
  const sessions = sdk.object({
    name,
    handlers: { drive },
    options: {
      inactivityTimeout: LIMITS.tenureMs,
      abortTimeout: LIMITS.abortMs,
      // What it says is in the log; of its journal nothing is needed when it has ended.
      journalRetention: 0,
      retryPolicy: {
        initialInterval: LIMITS.driveBackoffMs,
        maxInterval: LIMITS.driveBackoffMaxMs,
        exponentiationFactor: 2,
        maxAttempts: LIMITS.driveTries,
        onMaxAttempts: 'kill',
      },
    },
  });
  return sdk.createEndpointHandler({
    services: [sessions],
    ...(identityKeys.length === 0 ? {} : { identityKeys: [...identityKeys] }),
    logger: ({ level }, ...said) => {
      if (level !== 'error' && level !== 'warn') return;
      logger.debug({ restate: said.map((one) => textOf(one)).join(' ') }, 'the Restate SDK says');
    },
  }) as Handler;
}

const WAKE = 'wake';

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
