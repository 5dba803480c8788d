/** Three Restate servers that are one, of which one may stand still: what they keep lies on two of them each. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRestateServer } from '@perdure/drivers/restate';
import { system } from '@perdure/runtime';
import type { FleetEngine } from './fleet.ts';
import { freePort } from './server.ts';

const NODES = 3;

export type RestateNodes = FleetEngine & {
  readonly count: number;
  /** The first is the one that all processes talk to. */
  pause(node: number): void;
  resume(node: number): void;
};

export async function restateNodes(): Promise<RestateNodes> {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-restate-'));
  const nodes: (readonly [number, number, number])[] = [];
  for (let n = 0; n < NODES; n += 1) nodes.push([await freePort(), await freePort(), await freePort()]);
  const shared = {
    RESTATE_DEFAULT_REPLICATION: '2',
    RESTATE_METADATA_CLIENT__ADDRESSES: JSON.stringify(nodes.map(([, , port]) => `http://127.0.0.1:${port}`)),
  };
  const servers = await Promise.all(
    nodes.map(async (ports, n) => {
      const settings = { ...shared, RESTATE_NODE_NAME: `node${n}`, RESTATE_AUTO_PROVISION: String(n === 0) };
      return startRestateServer({ directory: join(directory, String(n)), ports, settings, ...system });
    }),
  );
  const [first] = servers;
  const signal = (node: number, name: NodeJS.Signals): void => {
    const pid = servers[node]?.pid ?? 0;
    if (pid > 0) process.kill(-pid, name);
  };
  return {
    count: NODES,
    env: { PERDURE_RESTATE: `${first?.ingress},${first?.admin}` },
    seat: async () => ({}),
    pause: (node) => signal(node, 'SIGSTOP'),
    resume: (node) => signal(node, 'SIGCONT'),
    kill: async () => signal(0, 'SIGKILL'),
    start: async () => {},
    async close() {
      servers.forEach((_, node) => signal(node, 'SIGKILL'));
      await Promise.all(servers.map(async ({ ended }) => ended));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
