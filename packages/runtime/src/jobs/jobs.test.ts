import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMemoryStore } from '@perdure/stores/memory';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import type { Sandbox, SandboxEnd, SandboxOptions, SandboxProcess, TenantStore } from '../ports.ts';
import { SandboxError } from '../ports.ts';
import { system } from '../system.ts';
import { Jobs } from './jobs.ts';
import { JobOutput } from './output.ts';

const OPTIONS = { folders: [], cwd: '/', env: {}, hosts: [], limits: {} } as unknown as Omit<SandboxOptions, 'input'>;
const NOW = { after: 0, waitMs: 0, signal: new AbortController().signal };
const SECRET = 'planted-secret';
/** Nothing is mounted. */
const UNCHANGED = { start: async () => {}, stop: () => {}, expect: async () => {}, ended: async () => {} };

/** A process that says and ends what the test wants. */
function fakeProcess() {
  const queue: Uint8Array[] = [];
  let more = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<SandboxEnd>();
  let over = false;
  const end = (how: SandboxEnd): void => {
    over = true;
    more.resolve();
    ended.resolve(how);
  };
  async function* said(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = queue.shift();
      if (piece !== undefined) yield piece;
      else if (over) return;
      else await more.promise;
    }
  }
  // oxlint-disable-next-line require-yield
  async function* nothing(): AsyncGenerator<Uint8Array> {
    await ended.promise;
  }
  const written: string[] = [];
  const process: SandboxProcess = {
    stdout: said(),
    stderr: nothing(),
    write: async (bytes) => {
      written.push(Buffer.from(bytes).toString());
      return !over;
    },
    endInput: () => void written.push('<end>'),
    kill: () => end({ type: 'killed', reason: 'stopped' }),
    ended: ended.promise,
  };
  const say = (text: string | Uint8Array): void => {
    queue.push(Buffer.from(text));
    more.resolve();
    more = Promise.withResolvers<void>();
  };
  return { process, say, end, written };
}

type Fake = ReturnType<typeof fakeProcess>;

function world(store: TenantStore = openMemoryStore({ clock: system.clock }).tenant('default')) {
  const started: Fake[] = [];
  const told: string[] = [];
  let refuse = false;
  const sandbox: Sandbox = {
    kind: 'fake',
    probe: () => assert.fail('not probed'),
    run: async () => {
      if (refuse) throw new SandboxError('sandbox_unavailable', 'none here');
      const fake = fakeProcess();
      started.push(fake);
      return fake.process;
    },
    close: async () => {},
  };
  const processNamed = (name: string, shared = false): Jobs =>
    new Jobs({
      sandbox,
      docs: store.docs,
      blobs: store.blobs,
      timers: system.timers,
      logger: silentLogger,
      process: name,
      shared,
      clean: (text) => text.replaceAll(SECRET, '[secret]'),
      changes: UNCHANGED,
      tell: async (session, content) => void told.push(`${session}: ${content}`),
    });
  const refusing = (value: boolean): void => {
    refuse = value;
  };
  return { store, started, told, processNamed, refusing };
}

void test('a job goes on between calls, is read from where the last reading ended, and takes input', async () => {
  const { started, processNamed } = world();
  const jobs = processNamed('p1');
  await jobs.of('s', 'r1t1c0').start(['run'], OPTIONS);
  const later = jobs.of('s', 'r2t1c0');
  assert.deepEqual(await later.state('r1t1c0'), { type: 'running' });
  const waiting = later.read('r1t1c0', { ...NOW, waitMs: 60_000 });
  started[0]?.say('one\ntw');
  assert.deepEqual(await waiting, { state: { type: 'running' }, text: 'one\ntw', from: 0, next: 6 });
  started[0]?.say('o\n');
  const more = await later.read('r1t1c0', { ...NOW, after: 6, waitMs: 60_000 });
  assert.deepEqual(more, { state: { type: 'running' }, text: 'o\n', from: 6, next: 8 });
  assert.deepEqual([await later.write('r1t1c0', 'in', false), await later.write('r1t1c0', '', true)], [true, true]);
  assert.deepEqual(started[0]?.written, ['in', '<end>']);
  assert.equal(await later.read('r9t9c9', NOW), null);
  assert.equal(await jobs.of('other', 'r1t1c0').read('r1t1c0', NOW), null, 'a job is of its session');
  assert.deepEqual(await later.stop('r1t1c0'), { type: 'killed', reason: 'stopped' });
});

void test('a job that ends by itself is told to its session, and what it said is kept', async () => {
  const { started, told, processNamed } = world();
  const jobs = processNamed('p1');
  const mine = jobs.of('s', 'r1t1c0');
  await mine.start(['run'], OPTIONS);
  started[0]?.say('last words');
  const waiting = mine.read('r1t1c0', { ...NOW, after: 10, waitMs: 60_000 });
  started[0]?.end({ type: 'exited', code: 3 });
  await waiting;
  while (told.length === 0) await new Promise<void>((go) => void system.timers.set(1, go));
  assert.match(told.join(), /^s: .*\nr1t1c0 ended with exit code 3$/s);
  const kept = { state: { type: 'exited', code: 3 }, text: 'last words', from: 0, next: 10 };
  assert.deepEqual(await mine.read('r1t1c0', NOW), kept);
  assert.deepEqual(await processNamed('p2').of('s', 'x').read('r1t1c0', NOW), kept, 'after a restart, too');
  assert.equal(await mine.write('r1t1c0', 'x', false), false);
  assert.deepEqual(await mine.stop('r1t1c0'), { type: 'exited', code: 3 });
});

void test('what follows from the end of a job is done once, before anybody hears of the end, however it ended', async () => {
  for (const how of ['itself', 'stop', 'close'] as const) {
    const { started, told, processNamed } = world();
    const jobs = processNamed('p1');
    const mine = jobs.of('s', 'r1t1c0');
    const gate = Promise.withResolvers<string>();
    let times = 0;
    await mine.start(['run'], OPTIONS, async () => {
      times += 1;
      return gate.promise;
    });
    started[0]?.say('said');
    const over =
      how === 'stop'
        ? mine.stop('r1t1c0')
        : how === 'close'
          ? jobs.close()
          : started[0]?.end({ type: 'exited', code: 0 });
    while (times === 0) await new Promise<void>((go) => void system.timers.set(1, go));
    assert.deepEqual([await mine.state('r1t1c0'), told], [{ type: 'running' }, []]);
    if (how === 'close') gate.reject(new Error('no room'));
    else gate.resolve('\n[noted]');
    await over;
    while ((await mine.state('r1t1c0'))?.type === 'running')
      await new Promise<void>((go) => void system.timers.set(1, go));
    const words = how === 'close' ? '\n[what it changed may not be kept]' : '\n[noted]';
    assert.equal((await mine.read('r1t1c0', NOW))?.text, `said${words}`);
    assert.equal(times, 1);
  }
});

void test('one that ran in a process that is gone is lost, and named so', async () => {
  const { store, processNamed } = world();
  await processNamed('p1').of('s', 'r1t1c0').start(['run'], OPTIONS);
  const next = world(store).processNamed('p2').of('s', 'r2t1c0');
  assert.deepEqual(await next.read('r1t1c0', NOW), { state: { type: 'lost' }, text: '', from: 0, next: 0 });
  assert.deepEqual(await next.stop('r1t1c0'), { type: 'lost' });
  assert.equal(await next.write('r1t1c0', 'x', true), false);
  assert.deepEqual(await world(store).processNamed('p3', true).of('s', 'x').state('r1t1c0'), { type: 'away' });
  assert.equal(await next.state('r3t1c0'), null, 'what was never started is not lost');
});

void test('a stop, the end of the session and the end of the process end jobs, and none of these is told', async () => {
  const { started, told, processNamed } = world();
  const jobs = processNamed('p1');
  for (const session of ['a', 'a', 'b', 'c'])
    await jobs.of(session, `r${started.length + 1}t1c0`).start(['x'], OPTIONS);
  assert.deepEqual(await jobs.of('a', 'x').stop('r1t1c0'), { type: 'killed', reason: 'stopped' });
  await jobs.end('a');
  assert.deepEqual(await jobs.of('a', 'x').state('r2t1c0'), { type: 'killed', reason: 'stopped' });
  assert.deepEqual(await jobs.of('b', 'x').state('r3t1c0'), { type: 'running' });
  await jobs.close();
  for (const [session, job] of [
    ['b', 'r3t1c0'],
    ['c', 'r4t1c0'],
  ] as const)
    assert.deepEqual(await jobs.of(session, 'x').state(job), { type: 'killed', reason: 'stopped' });
  assert.deepEqual(told, []);
});

void test('a job that was looked for and not found does not begin later, unless somebody asks for it again', async () => {
  const { store, started, processNamed } = world();
  const late = processNamed('p1').of('s', 'r1t1c0', { attempt: 1 });
  const next = world(store).processNamed('p2');
  const asked = next.of('s', 'r1t1c0', { attempt: 2 });
  assert.deepEqual([await asked.begun(), await asked.begun(), await asked.state('r1t1c0')], [null, null, null]);
  await assert.rejects(late.start(['run'], OPTIONS), { code: 'given_up' });
  assert.equal(started.length, 0);
  const again = world(store).processNamed('p3').of('s', 'r1t1c0', { attempt: 2 });
  await again.start(['run'], OPTIONS);
  assert.deepEqual(await again.state('r1t1c0'), { type: 'running' });
  assert.deepEqual(await next.of('s', 'r1t1c0', { attempt: 3 }).begun(), { type: 'lost' });
});

void test('a command that could not begin is no job', async () => {
  const { processNamed, refusing } = world();
  const mine = processNamed('p1').of('s', 'r1t1c0');
  refusing(true);
  await assert.rejects(mine.start(['x'], OPTIONS), { code: 'sandbox_unavailable' });
  assert.notDeepEqual(await mine.state('r1t1c0'), { type: 'running' });
});

void test('jobs are bounded in number, and a place that is free again is taken', async () => {
  const { processNamed } = world();
  const jobs = processNamed('p1');
  for (let index = 0; index < LIMITS.sessionJobs; index++) await jobs.of('s', `r${index}t1c0`).start(['x'], OPTIONS);
  await assert.rejects(jobs.of('s', 'r99t1c0').start(['x'], OPTIONS), { code: 'too_many_jobs' });
  await jobs.of('s', 'x').stop('r0t1c0');
  await jobs.of('s', 'r99t1c0').start(['x'], OPTIONS);
});

void test('of what a job says the newest is kept, in whole characters and without secrets', async () => {
  const output = new JobOutput((text) => text.replaceAll(SECRET, '[secret]'));
  const bytes = Buffer.from(`a ${SECRET}\nZwölf`);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (const byte of bytes) yield Uint8Array.of(byte);
  }
  await output.take(pieces());
  assert.deepEqual(output.read(0), { text: 'a [secret]\nZwölf', from: 0, next: 16 });
  async function* flood(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < 40; index++) yield Buffer.alloc(LIMITS.jobOutputChars / 10, `${index % 10}`);
  }
  await output.take(flood());
  const { text, from, next } = output.read(0);
  assert.ok(text.length <= LIMITS.jobOutputChars && text.endsWith('9'));
  assert.equal(next, from + text.length);
  assert.deepEqual(output.read(next), { text: '', from: next, next });
});

void test('a job whose session was closed meanwhile is recorded as ended, and that nobody hears of it is no error', async () => {
  const { store, started } = world();
  const errors: string[] = [];
  const jobs = new Jobs({
    sandbox: {
      kind: 'fake',
      probe: () => assert.fail('not probed'),
      run: async () => {
        const fake = fakeProcess();
        started.push(fake);
        return fake.process;
      },
      close: async () => {},
    },
    docs: store.docs,
    blobs: store.blobs,
    timers: system.timers,
    logger: { ...silentLogger, error: (_fields, message) => void errors.push(message) },
    process: 'p1',
    shared: true,
    clean: (text) => text,
    changes: UNCHANGED,
    tell: async () => {
      throw Object.assign(new Error('the session is closed'), { code: 'session_closed' });
    },
  });
  const all = jobs.of('s', 'r1t1c0');
  await all.start(['run'], OPTIONS);
  started[0]?.end({ type: 'exited', code: 0 });
  await jobs.end('s');
  assert.deepEqual(await all.state('r1t1c0'), { type: 'exited', code: 0 });
  assert.deepEqual(errors, []);
});
