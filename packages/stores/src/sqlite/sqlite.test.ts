import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeSuite } from '@perdure/testkit';
import { timers } from '../../test/support.ts';
import { openSqliteStore } from './index.ts';

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
