import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { World } from '../../test/world.ts';
import { LIMITS } from '../limits.ts';
import type { Marks } from './marks.ts';
import { createFileMarks, noMarks } from './marks.ts';

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'marks-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'marks');
}

/** Marks of a process that dies whenever it is in one session: from then on it does nothing. */
class Death extends Error {}
function deadly(marks: Marks, session: string): Marks {
  let isDead = false;
  return {
    ...marks,
    enter(id) {
      if (isDead) throw new Death();
      marks.enter(id);
      isDead = id === session;
      if (isDead) throw new Death();
    },
    leave: () => (isDead ? undefined : marks.leave()),
    acquit: () => (isDead ? undefined : marks.acquit()),
  };
}

test('a mark outlives the process that is killed in the middle of its work', (t) => {
  const path = place(t);
  const script = `
    import { createFileMarks } from ${JSON.stringify(import.meta.resolve('./marks.ts'))};
    const marks = createFileMarks(${JSON.stringify(path)});
    marks.enter('ses_one');
    marks.leave();
    marks.enter('ses_two');
    process.kill(process.pid, 'SIGKILL');`;
  const died = spawnSync(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    '--input-type=module-typescript',
    '-e',
    script,
  ]);
  assert.equal(died.signal, 'SIGKILL', died.stderr.toString());
  const marks = createFileMarks(path);
  assert.deepEqual(marks.left(), { session: 'ses_two', trials: 0 });
  marks.enter('ses_three');
  marks.leave();
  marks.close();
  assert.equal(createFileMarks(path).left(), null);
});

test('a mark takes its room at the start', (t) => {
  const path = place(t);
  createFileMarks(path).close();
  assert.equal(statSync(path).size, 128);
});

const FULL = '/dev/full';
test('where a mark cannot be written sessions go on without it', { skip: !existsSync(FULL) && `no ${FULL}` }, () => {
  const marks = createFileMarks(FULL);
  marks.enter('ses_one');
  marks.leave();
  marks.accuse({ session: 'ses_one', trials: 1 });
  marks.acquit();
  assert.equal(marks.left(), null);
  marks.close();
});

test('what is no mark names nobody', (t) => {
  const path = place(t);
  for (const text of ['', 'x'.repeat(500), '{"session":1,"trials":0}', '{"session":"s"}', 'null']) {
    writeFileSync(path, text.padEnd(128));
    const marks = createFileMarks(path);
    assert.equal(marks.left(), null, text.slice(0, 30));
    marks.close();
  }
});

test('a session that kills its process whenever it is folded is parked after its trials, and its neighbours live', async (t) => {
  const path = place(t);
  const script = () => ({ text: 'ok' });
  const first = await World.create({ script });
  const { session: poison } = await first.open();
  const { session: good } = await first.open();
  await first.system.settle();
  const marks = createFileMarks(path);
  marks.enter(poison);
  marks.close();
  let world = first;
  let deaths = 0;
  for (;;) {
    const file = createFileMarks(path);
    world = await world.crash({ idle: true, host: { marks: deadly(file, poison) } });
    await world.host.start();
    if (world.host.parts.quarantine.has(poison)) break;
    deaths += 1;
    file.close();
    assert.ok(deaths <= LIMITS.deathsToQuarantine);
  }
  assert.equal(deaths, LIMITS.deathsToQuarantine);
  assert.equal((await world.call('sessions.get', { session: poison })).status, 'quarantined');
  await world.call('runs.start', { session: good, input: 'more', mode: 'queue', priority: 0 });
  assert.equal((await world.run(good, 'r2')).status, 'completed');
  assert.equal(createFileMarks(path).left(), null);
});

test('a process that was killed from outside at an unlucky moment blames nobody for long', async (t) => {
  const path = place(t);
  const first = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await first.open();
  await first.system.settle();
  let world = first;
  for (let kill = 0; kill < 2 * LIMITS.deathsToQuarantine; kill += 1) {
    const before = createFileMarks(path);
    before.enter(session);
    before.close();
    const marks = createFileMarks(path);
    world = await world.crash({ host: { marks } });
    assert.equal(marks.left(), null);
    marks.close();
  }
  assert.equal((await world.call('sessions.get', { session })).status, 'idle');
});

test('only a session that was loaded is marked, and only in its first transitions', async () => {
  const entered: string[] = [];
  const marks: Marks = { ...noMarks, enter: (session) => void entered.push(session) };
  const world = await World.create({ script: () => ({ text: 'ok' }), host: { marks } });
  const { session } = await world.open();
  await world.system.settle();
  assert.deepEqual(entered, [], 'a new session cannot have killed anybody');
  const next = await world.crash();
  for (let i = 0; i < 2 * LIMITS.watchedTransitions; i += 1) {
    await next.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
    await next.system.settle();
  }
  assert.deepEqual(
    entered,
    Array.from({ length: 1 + LIMITS.watchedTransitions }, () => session),
  );
});
