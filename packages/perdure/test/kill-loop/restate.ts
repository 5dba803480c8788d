/** Restate as what drives a fleet: a server of its own, killed and started again on the same data and the same ports. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestateServer } from '@perdure/drivers/restate';
import { startRestateServer } from '@perdure/drivers/restate';
import { system } from '@perdure/runtime';
import { startBalancer } from '@perdure/testkit/services';
import type { FleetEngine } from './fleet.ts';
import { freePort } from './server.ts';

export type RestateEngine = FleetEngine & {
  readonly admin: string;
  /** Its data is gone when it is started again. Only while it is killed. */
  wipe(): void;
};

/**
 * `isBalanced`: the workers stand behind one address, each at a port that it keeps. Else each worker registers itself
 * on whatever port it has, and one of them is called.
 */
export async function restateEngine({ isBalanced }: { isBalanced: boolean }): Promise<RestateEngine> {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-restate-'));
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const [ingress, admin] = ports.map((port) => `http://127.0.0.1:${port}`);
  const balancer = isBalanced ? await startBalancer() : null;
  // A connection for each call: a balancer sees connections alone.
  const settings = { RESTATE_WORKER__INVOKER__HTTP2_STREAMS_PER_CONNECTION_LIMIT: '1' };
  const launch = async (): Promise<RestateServer> =>
    startRestateServer({ directory, ports, ...system, ...(isBalanced ? { settings } : {}) });
  let server: RestateServer | null = await launch();
  return {
    admin: admin ?? '',
    env: {
      PERDURE_RESTATE: `${ingress},${admin}`,
      ...(balancer === null ? {} : { PERDURE_RESTATE_URL: balancer.url }),
    },
    async seat() {
      if (balancer === null) return {};
      const port = await freePort();
      balancer.add(port);
      return { PERDURE_RESTATE_LISTEN: `127.0.0.1:${port}` };
    },
    async kill() {
      if (server === null) return;
      process.kill(-server.pid, 'SIGKILL');
      await server.ended;
      server = null;
    },
    async start() {
      server ??= await launch();
    },
    wipe() {
      rmSync(join(directory, 'data'), { recursive: true });
    },
    async close() {
      await server?.stop();
      await balancer?.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
