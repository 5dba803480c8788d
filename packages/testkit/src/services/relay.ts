/** A relay before a server, which breaks connections at the moment that a test wants. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

export type Relay = {
  readonly port: number;
  /** The next request that fits is passed on, and its connection broken when the answer comes: it happened, and nobody is told. */
  loseAnswer(request: (bytes: Buffer) => boolean): Promise<void>;
  /** The next request that fits is lost with its connection: it never happened. */
  loseRequest(request: (bytes: Buffer) => boolean): Promise<void>;
  close(): Promise<void>;
};

type Trap = { fits: (bytes: Buffer) => boolean; passes: boolean; sprung: () => void };

/** Relays what comes to a free port of the loopback to `port` there. */
export async function startRelay(port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let trap: Trap | null = null;
  const server = createServer((client) => {
    const upstream = createConnection(port, '127.0.0.1');
    let deaf = false;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (bytes) => {
      const sprung = trap?.fits(bytes) === true ? trap : null;
      if (sprung !== null) {
        trap = null;
        sprung.sprung();
        if (!sprung.passes) return end();
        deaf = true;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (deaf) end();
      else client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const set = async (fits: Trap['fits'], passes: boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    trap = { fits, passes, sprung: resolve };
    await promise;
  };
  return {
    port: portOf(server.address()),
    loseAnswer: async (fits) => set(fits, true),
    loseRequest: async (fits) => set(fits, false),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('it listens on no port');
  return address.port;
}
