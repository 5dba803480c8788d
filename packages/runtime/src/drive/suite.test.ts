import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { openSqliteStore } from '@perdure/stores/sqlite';
import { driverSuite, TWO_WORKERS } from '@perdure/testkit';
import { system } from '../system.ts';

const OWNED = { reason: 'one process owns this data', tests: TWO_WORKERS };

driverSuite({
  name: 'local on memory',
  skip: [OWNED],
  async open() {
    const disk = createMemoryDisk();
    return {
      async process({ clock }) {
        const store = openMemoryStore({ clock, disk });
        return { store, kill: async () => {}, close: async () => store.close() };
      },
      dispose: async () => {},
    };
  },
});

driverSuite({
  name: 'local on memory that workers share',
  async open() {
    const disk = createMemoryDisk();
    return {
      async process() {
        const store = openMemoryStore({ clock: system.clock, disk, shared: true });
        const host = { leaseMs: 600 };
        return { store, host, kill: async () => store.close(), close: async () => store.close() };
      },
      dispose: async () => {},
    };
  },
});

driverSuite({
  name: 'local on sqlite',
  skip: [OWNED],
  async open() {
    const directory = await mkdtemp(join(tmpdir(), 'perdure-drivers-'));
    return {
      async process() {
        // The store's own timers flush what was acknowledged: they are the disk's, not the process's.
        const store = await openSqliteStore({ directory, clock: system.clock, timers: system.timers });
        return { store, kill: async () => store.close(), close: async () => store.close() };
      },
      dispose: async () => rm(directory, { recursive: true, force: true }),
    };
  },
});
