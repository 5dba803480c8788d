import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timers } from '@perdure/runtime/ports';
import { storeSuite } from '@perdure/testkit';
import { openSqliteStore } from './index.ts';

const timers: Timers = {
  set(afterMs, run) {
    const timer = setTimeout(run, afterMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
const systemClock: Clock = { now: () => Date.now(), monotonicMs: () => performance.now() };

storeSuite({
  name: 'sqlite',
  async open(clock) {
    const directory = mkdtempSync(join(tmpdir(), 'perdure-sqlite-'));
    let store = await openSqliteStore({ directory, clock, timers });
    return {
      store,
      async reopen() {
        await store.close();
        store = await openSqliteStore({ directory, clock, timers });
        return store;
      },
      async dispose() {
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
});
void systemClock;
