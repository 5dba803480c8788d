/** A network of its own for one process (Linux network namespaces): two lines to it, each of which can be cut. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** Why no network can be made here; null: it can. */
export function netnsMissing(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'making network namespaces takes root on Linux';
  try {
    const name = `perdure-try-${process.pid}`;
    ip('netns', 'add', name);
    ip('netns', 'delete', name);
    return null;
  } catch (error) {
    return `no network namespace can be made: ${error instanceof Error ? error.message.slice(0, 200) : String(error)}`;
  }
}

export type Line = {
  /** This side's address, and the other's. */
  here: string;
  there: string;
  cut(): void;
  heal(): void;
};

export type Netns = {
  /** Goes before a command that is to run there. */
  wrap: readonly string[];
  /** To what the process uses, and for those who reach it. */
  storage: Line;
  internal: Line;
  /** What listens on the loopback is reached over the line to the storage, at the same port. */
  offer(port: number): Promise<void>;
  remove(): Promise<void>;
};

let networks = 0;

export function createNetns(): Netns {
  const id = `${process.pid % 10_000}${(networks += 1)}`;
  const name = `perdure-${id}`;
  ip('netns', 'add', name);
  // Of the block that is kept for tests of networks (RFC 2544).
  const subnet = (process.pid % 60) * 4;
  const line = (kind: string, third: number): Line => {
    const [outer, inner] = [`pd${kind}${id}`, `pi${kind}${id}`];
    const [here, there] = [`198.18.${third}.${subnet + 1}`, `198.18.${third}.${subnet + 2}`];
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
    ip('addr', 'add', `${here}/30`, 'dev', outer);
    ip('netns', 'exec', name, 'ip', 'addr', 'add', `${there}/30`, 'dev', inner);
    ip('netns', 'exec', name, 'ip', 'link', 'set', inner, 'up');
    ip('link', 'set', outer, 'up');
    return { here, there, cut: () => ip('link', 'set', outer, 'down'), heal: () => ip('link', 'set', outer, 'up') };
  };
  const [storage, internal] = [line('s', networks * 2), line('n', networks * 2 + 1)];
  ip('netns', 'exec', name, 'ip', 'link', 'set', 'lo', 'up');
  const open: { server: Server; ends: Set<Socket> }[] = [];
  return {
    wrap: ['ip', 'netns', 'exec', name],
    storage,
    internal,
    async offer(port) {
      const ends = new Set<Socket>();
      const server = createServer((near) => join(near, connect(port, '127.0.0.1'), ends));
      open.push({ server, ends });
      server.listen(port, storage.here);
      await once(server, 'listening');
    },
    async remove() {
      for (const { server, ends } of open) {
        for (const end of ends) end.destroy();
        server.close();
      }
      // The lines go with it.
      ip('netns', 'delete', name);
    },
  };
}

function join(near: Socket, far: Socket, ends: Set<Socket>): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    ends.add(from);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      ends.delete(from);
      to.destroy();
    });
    from.pipe(to);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}
