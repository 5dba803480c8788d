/** Processes of the driver suite that Restate drives. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { system } from '@perdure/runtime';
import type { HostOptions } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { openSqliteStore } from '@perdure/stores/sqlite';
import type { DriverGround, ProcessParts } from '@perdure/testkit';
import type { Balancer } from '@perdure/testkit/services';
import { startBalancer } from '@perdure/testkit/services';
import type { Listen, Listening, RestateOptions } from '../src/restate/index.ts';
import { createRestateDriver, listenOn } from '../src/restate/index.ts';

/** What Restate is trusted with, nobody else must do. */
export const NEVER_MS = 24 * 60 * 60_000;

type At = { ingress: string; admin: string; overdueMs?: number };
let names = 0;

const addressed = ({ ingress, admin, overdueMs = NEVER_MS }: At): Required<At> => ({ ingress, admin, overdueMs });

/** A process with Restate's driver; what Restate has open to it ends with it. */
async function process(
  store: Store,
  given: RestateOptions & Required<At>,
  host: Partial<HostOptions>,
  listened: (port: number, isThere: boolean) => void,
): Promise<ProcessParts> {
  let listening: Listening | undefined;
  const listen: Listen = async (handler) => {
    listening = await listenOn('127.0.0.1', 0)(handler);
    listened(listening.port, true);
    return listening;
  };
  const { overdueMs, ...options } = given;
  const driver = await createRestateDriver(options, { listen, overdueMs });
  const gone = (): void => {
    if (listening !== undefined) listened(listening.port, false);
  };
  return {
    store,
    host: { driver, ...host },
    async kill() {
      gone();
      await listening?.close();
      await store.close();
    },
    async close() {
      gone();
      await store.close();
    },
  };
}

/** One process at a time on its own data, each on a port of its own. */
export async function alone(at: At, host: Partial<HostOptions> = {}): Promise<DriverGround> {
  const directory = await mkdtemp(join(tmpdir(), 'perdure-drivers-'));
  const name = `alone${(names += 1)}`;
  return {
    async process() {
      const store = await openSqliteStore({ directory, clock: system.clock, timers: system.timers });
      return process(store, { ...addressed(at), name }, { sweepMs: NEVER_MS, ...host }, () => {});
    },
    dispose: async () => rm(directory, { recursive: true, force: true }),
  };
}

/** Processes beside each other on shared data: those with the same work behind one address, or each at its own. */
export async function together(
  at: At,
  open: () => Promise<Store>,
  host: Partial<HostOptions>,
  isBalanced = true,
): Promise<DriverGround> {
  const name = `together${(names += 1)}`;
  const balancers = new Map<string, Balancer>();
  const balancerOf = async (work: string): Promise<Balancer> => {
    const balancer = balancers.get(work) ?? (await startBalancer());
    balancers.set(work, balancer);
    return balancer;
  };
  return {
    async process(_system, work) {
      const balancer = isBalanced ? await balancerOf(JSON.stringify(work ?? null)) : null;
      const url = balancer === null ? {} : { url: balancer.url };
      return process(await open(), { ...addressed(at), name, ...url }, host, (port, isThere) =>
        isThere ? balancer?.add(port) : balancer?.remove(port),
      );
    },
    async dispose() {
      for (const balancer of balancers.values()) await balancer.close();
    },
  };
}
