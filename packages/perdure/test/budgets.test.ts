import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { agent, createRuntime } from '../src/index.ts';
import type { Runtime } from '../src/index.ts';
import { neverOverspent } from './never-overspent.ts';
import { createPlace } from './process.ts';

test('200 runs at once never overspend a tenant’s cap on SQLite: each ends, or waits for it', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'perdure-budgets-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const clerk = agent({ name: 'clerk', model: 'demo' });
  const open = async (): Promise<Runtime> =>
    createRuntime({
      agents: [clerk],
      store: 'sqlite',
      data,
      budgets: { day: { tokens: 2_000 } },
      log: { level: 'silent' },
    });
  await neverOverspent([await open()], 2_000);
});

describe('perdure budget', () => {
  const project = () => {
    const place = createPlace();
    writeFileSync(
      join(place.directory, 'perdure.config.ts'),
      `import { agent, defineConfig } from 'perdure';
       export default defineConfig({ agents: [agent({ name: 'clerk', model: 'demo' })], budgets: { month: { tokens: 90000 } } });`,
    );
    return place;
  };

  test('sets and shows what may be spent, and a run that waits goes on when it is raised', async (t) => {
    const place = project();
    t.after(() => place.leave());
    const server = place.start(['up', '--port', '0']);
    await server.printed(/Ctrl-C/);
    const set = await place.run(['budget', 'set', '--agent', 'clerk', '--day', '5usd,10tokens', '--json']);
    assert.equal(set.code, 0, set.stderr);
    const shown = JSON.parse(set.stdout);
    assert.deepEqual(
      [shown.scope, shown.name, shown.revision, shown.periods[0].cap],
      ['agent', 'clerk', 1, { nanoUsd: 5_000_000_000, tokens: 10 }],
    );
    const parked = await place.run(['run', 'What is 2 + 3?', '--session', 'desk']);
    assert.match(parked.stdout + parked.stderr, /agent\/clerk@\d{4}-\d\d-\d\d is short of tokens/);
    const raised = await place.run(['budget', 'set', '--agent', 'clerk', '--day', '5usd,50_000tokens']);
    assert.equal(raised.code, 0, raised.stderr);
    assert.match(raised.stdout, /^agent clerk +day +\$5\.000000 50000 tokens/m);
    const [session] = JSON.parse((await place.run(['sessions', 'list', '--json'])).stdout).sessions;
    const watched = await place.run([
      'sessions',
      'watch',
      session.id,
      '--timeout',
      '20',
      '--max-events',
      '7',
      '--json',
    ]);
    assert.match(watched.stdout, /"how":"freed"/);
    const list = await place.run(['budget', 'show']);
    assert.match(list.stdout, /^BUDGET +PERIOD +CAP +SPENT +RESERVED +UNTIL \(UTC\)$/m);
    assert.match(list.stdout, /^tenant +month +90000 tokens/m);
    assert.equal(JSON.parse((await place.run(['budget', 'show', '--tenant', '--json'])).stdout).budgets.length, 1);
    const lifted = await place.run(['budget', 'set', '--month', 'none']);
    assert.match(lifted.stdout, /^tenant +month +- /m);
  });

  test('says what is wrong with a cap or with whose it is', async (t) => {
    const place = project();
    t.after(() => place.leave());
    for (const [args, said] of [
      [['--day', '5'], /--day is like 5usd, 200000tokens/],
      [['--day', '5usd,6usd'], /--day is like 5usd, 200000tokens/],
      [['--day', '0.5tokens'], /--day is like/],
      [[], /what may be spent\? Give --day, --month or --total/],
      [['--tenant', '--agent', 'clerk', '--day', '1usd'], /--tenant and --agent name two budgets/],
    ] as const) {
      const ended = await place.run(['budget', 'set', ...args]);
      assert.match(ended.stderr, said);
      assert.equal(ended.code, 5);
    }
    const offline = await place.run(['budget', 'set', '--session', `ses_${'0'.repeat(26)}`, '--day', '1usd']);
    assert.match(offline.stderr, /there is no data in|session ses_0+ does not exist|no session|not_found/);
  });
});
