/** One address for all processes that work, as a balancer gives it: each connection goes to the next one that lives. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export type Balancer = {
  url: string;
  add(port: number): void;
  /** It is gone: its connections break. */
  remove(port: number): void;
  close(): Promise<void>;
};

export async function startBalancer(): Promise<Balancer> {
  const backends = new Map<number, Set<Socket>>();
  let turn = 0;
  const server = createServer((client) => {
    const ports = [...backends.keys()];
    const port = ports[(turn += 1) % ports.length];
    const sockets = port === undefined ? undefined : backends.get(port);
    if (port === undefined || sockets === undefined) {
      client.destroy();
      return;
    }
    const backend = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const remove = (port: number): void => {
    for (const socket of backends.get(port) ?? []) socket.destroy();
    backends.delete(port);
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    add: (port) => void backends.set(port, new Set()),
    remove,
    async close() {
      for (const port of backends.keys()) remove(port);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
