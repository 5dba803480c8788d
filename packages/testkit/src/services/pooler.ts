/**
 * A transaction pooler as operators put one before Postgres: a connection to the server is a client's for one transaction
 * and then the next one's, in turn, so that whatever a client leaves behind in a session is lost to it and met by others.
 */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { portOf } from './relay.ts';

export type Pooler = { readonly port: number; close(): Promise<void> };
export type PoolerOptions = { port: number; user: string; database: string; connections: number };

/** How the frontend asks for an end of its transaction: Sync, or a simple query. */
const ENDS = new Set(['S', 'Q']);
const PROTOCOL = 196_608;

type Upstream = { socket: Socket; client: Socket | null };

/** Passwords are none of its business: it serves the one user of `options`, and takes everybody for that one. */
export async function startPooler(options: PoolerOptions): Promise<Pooler> {
  const upstreams: Upstream[] = [];
  for (let at = 0; at < options.connections; at++) upstreams.push({ socket: await connect(options), client: null });
  const waiting: { client: Socket; bytes: Buffer }[] = [];
  const clients = new Set<Socket>();
  const serve = (): void => {
    for (const idle of upstreams.filter(({ client }) => client === null)) {
      const next = waiting.shift();
      if (next === undefined) return;
      idle.client = next.client;
      // The one that was used last comes last: nobody meets the same one twice in a row.
      upstreams.push(...upstreams.splice(upstreams.indexOf(idle), 1));
      idle.socket.write(next.bytes);
    }
  };
  for (const upstream of upstreams)
    upstream.socket.on(
      'data',
      messages((type, message) => {
        upstream.client?.write(message);
        if (type !== 'Z' || message.at(-1) !== IDLE) return;
        upstream.client = null;
        serve();
      }),
    );
  const server = createServer((client) => {
    clients.add(client);
    client.on('error', () => client.destroy()).on('close', () => clients.delete(client));
    let started = false;
    let asked: Buffer[] = [];
    const take = messages((type, message) => {
      if (type === 'X') {
        client.end();
        return;
      }
      asked.push(message);
      const open = upstreams.find((upstream) => upstream.client === client);
      if (open !== undefined) open.socket.write(Buffer.concat(asked.splice(0)));
      else if (ENDS.has(type)) {
        waiting.push({ client, bytes: Buffer.concat(asked) });
        asked = [];
        serve();
      }
    });
    client.on('data', (bytes) => {
      if (started) return take(bytes);
      started = true;
      client.write(GREETING);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server.address()),
    async close() {
      for (const socket of [...clients, ...upstreams.map((upstream) => upstream.socket)]) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const IDLE = 'I'.charCodeAt(0);
/** AuthenticationOk, BackendKeyData, ReadyForQuery. */
const GREETING = Buffer.from([
  82,
  0,
  0,
  0,
  8,
  0,
  0,
  0,
  0,
  75,
  0,
  0,
  0,
  12,
  0,
  0,
  0,
  1,
  0,
  0,
  0,
  1,
  90,
  0,
  0,
  0,
  5,
  IDLE,
]);

async function connect({ port, user, database }: PoolerOptions): Promise<Socket> {
  const socket = createConnection(port, '127.0.0.1').on('error', () => socket.destroy());
  const words = Buffer.from(`user\0${user}\0database\0${database}\0client_encoding\0UTF8\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(words.length + 8, 0);
  head.writeInt32BE(PROTOCOL, 4);
  socket.write(Buffer.concat([head, words]));
  const { promise, resolve } = Promise.withResolvers<void>();
  const greeted = messages((type) => (type === 'Z' ? resolve() : undefined));
  socket.on('data', greeted);
  await promise;
  socket.off('data', greeted);
  return socket;
}

/** Cuts a stream into messages: a letter, a length, the rest. */
function messages(each: (type: string, message: Buffer) => unknown): (bytes: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 5) {
      const end = rest.readInt32BE(1) + 1;
      if (rest.length < end) return;
      each(String.fromCharCode(rest[0] ?? 0), rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}
