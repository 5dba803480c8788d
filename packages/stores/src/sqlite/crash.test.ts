import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Store } from '@perdure/runtime/ports';
import { StoreDamage } from '@perdure/runtime/ports';
import { directoryFor, loadAppend, loadAppends, openFor } from '../../test/support.ts';

const LOAD = fileURLToPath(new URL('../../test/append-load.ts', import.meta.url));
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];

type Load = { child: ChildProcess; lines: AsyncIterableIterator<string> };

function startLoad(t: TestContext, directory: string, sessions: number): Load {
  const child = spawn(process.execPath, [...NODE_FLAGS, LOAD, directory, String(sessions)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.stdout !== null);
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** Runs the load until this many appends were acknowledged, kills it and gives the last acknowledged seq of each session. */
async function killAfter(t: TestContext, directory: string, acknowledged: number): Promise<Map<string, number>> {
  const { child, lines } = startLoad(t, directory, 8);
  const heads = new Map<string, number>();
  let count = 0;
  for await (const line of lines) {
    const [session = '', seq = ''] = line.split(' ');
    assert.notEqual(session, 'refused');
    if (line !== 'open') heads.set(session, Number(seq));
    // What it said before it died was acknowledged too: all lines are read.
    if (count++ === acknowledged) child.kill('SIGKILL');
  }
  return heads;
}

async function assertStored(store: Store, session: string, seq: number): Promise<void> {
  const { log } = store.tenant('default');
  const frames = await log.read(session, { after: 0, limit: 100_000 });
  for (const [at, expected] of loadAppends(session, seq).entries()) {
    const frame = frames[at];
    assert.ok(frame !== undefined, `${session} has its frame at seq ${expected.frame.first}`);
    assert.deepEqual(Buffer.from(frame.bytes), Buffer.from(expected.frame.bytes));
    assert.equal(frame.hash, expected.frame.hash);
    assert.deepEqual(frame.bodies, expected.bodies);
  }
}

test('every append acknowledged before a kill -9 is there afterwards, byte for byte, over twenty kills', async (t) => {
  const directory = directoryFor(t);
  for (let kill = 0; kill < 20; kill++) {
    const heads = await killAfter(t, directory, (kill * 53) % 211);
    const store = await openFor(t, directory);
    assert.deepEqual(store.damage, []);
    for (const [session, seq] of heads) await assertStored(store, session, seq);
    if (kill === 19) assert.deepEqual(await store.tenant('default').log.verify(), []);
    await store.close();
  }
});

const WAL = 'perdure.db-wal';
const damages: [name: string, damage: (wal: string, from: number) => void][] = [
  ['cut off', (wal, from) => truncateSync(wal, from)],
  ['filled with zeros', (wal, from) => writeFileSync(wal, readFileSync(wal).fill(0, from))],
  [
    'flipped in one bit',
    (wal, from) => {
      const bytes = readFileSync(wal);
      bytes.writeUInt8((bytes[from] ?? 0) ^ 4, from);
      writeFileSync(wal, bytes);
    },
  ],
  ['gone', (wal) => rmSync(wal)],
];

test('a write-ahead log that lost its tail is reported session by session, and the other sessions go on', async (t) => {
  const source = directoryFor(t);
  await killAfter(t, source, 50);
  const settled = await openFor(t, source);
  const quiet = loadAppend('quiet', { seq: 0, hash: '' });
  assert.ok((await settled.tenant('default').log.append(quiet)).ok);
  await settled.close();
  const acknowledged = await killAfter(t, source, 300);
  const size = readFileSync(join(source, WAL)).length;

  for (const [name, damage] of damages) {
    const directory = join(directoryFor(t), 'copy');
    cpSync(source, directory, { recursive: true });
    damage(join(directory, WAL), Math.floor(size / 2));
    const store = await openFor(t, directory);
    const { log } = store.tenant('default');
    const reported = new Map(store.damage.map((report) => [report.session, report]));
    assert.ok(reported.size > 0, `a log ${name} is noticed`);
    for (const [session, seq] of acknowledged) {
      const report = reported.get(session);
      if (report === undefined) {
        await assertStored(store, session, seq);
        continue;
      }
      assert.equal(report.code, 'tail_lost');
      assert.ok(report.seq <= seq, `${session} lost an acknowledged entry`);
      await assert.rejects(log.read(session, { after: 0, limit: 1 }), StoreDamage);
      await assert.rejects(log.get(session), StoreDamage);
      await assert.rejects(log.append(loadAppend(session, { seq: report.seq - 1, hash: '' })), StoreDamage);
    }
    await assertStored(store, 'quiet', quiet.frame.count);
    assert.ok((await log.append(loadAppend('new', { seq: 0, hash: '' }))).ok);
    const due = await log.due({ now: Number.MAX_SAFE_INTEGER, after: null, limit: 100 });
    assert.deepEqual(
      due.sessions.filter((session) => reported.has(session)),
      [],
      'nothing is driven on from a lost tail',
    );
    await store.close();
    await assertStaysReported(t, directory, [...reported.keys()].toSorted());
  }
});

/** A lost tail is no less lost at the next opening; to delete the session is to accept the loss. */
async function assertStaysReported(t: TestContext, directory: string, sessions: string[]): Promise<void> {
  const again = await openFor(t, directory);
  assert.deepEqual(again.damage.map((report) => report.session).toSorted(), sessions.toSorted());
  const { log } = again.tenant('default');
  const [first = ''] = sessions;
  assert.deepEqual(
    (await log.verify(first)).map((report) => report.code),
    ['tail_lost'],
  );
  assert.equal(await log.delete(first), true);
  assert.equal(await log.get(first), null);
  assert.equal(await log.delete(first), false);
  const anew = await log.append(loadAppend(first, { seq: 0, hash: '' }));
  assert.equal(anew.ok ? 'ok' : anew.code, 'conflict', 'its id is not given again');
  await again.close();
  const accepted = await openFor(t, directory);
  assert.deepEqual(accepted.damage.map((report) => report.session).toSorted(), sessions.toSorted().slice(1));
  assert.deepEqual(await accepted.tenant('default').log.verify(first), []);
  await accepted.close();
}

test('a tail that comes back with a restored copy ends the report', async (t) => {
  const directory = directoryFor(t);
  await killAfter(t, directory, 100);
  const wal = readFileSync(join(directory, WAL));
  const database = readFileSync(join(directory, 'perdure.db'));
  truncateSync(join(directory, WAL), wal.length / 2);
  const damaged = await openFor(t, directory);
  assert.notDeepEqual(damaged.damage, []);
  await damaged.close();
  writeFileSync(join(directory, 'perdure.db'), database);
  writeFileSync(join(directory, WAL), wal);
  const restored = await openFor(t, directory);
  assert.deepEqual(restored.damage, []);
});

test('a torn line at the end of the heads journal is no damage and hides nothing', async (t) => {
  const directory = directoryFor(t);
  const heads = await killAfter(t, directory, 40);
  writeFileSync(join(directory, 'heads.journal'), 'deadbeef 99 0123', { flag: 'a' });
  const store = await openFor(t, directory);
  assert.deepEqual(store.damage, []);
  for (const [session, seq] of heads) await assertStored(store, session, seq);
});

test('data that another process owns is in use, and free the moment that process is killed', async (t) => {
  const directory = directoryFor(t);
  const { child, lines } = startLoad(t, directory, 1);
  assert.equal((await lines.next()).value, 'open');
  await assert.rejects(openFor(t, directory), { code: 'data_in_use' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = await openFor(t, directory);
  assert.deepEqual(store.damage, []);
});

/** Runs the load under a command of its own and gives what it said: acknowledged heads, and all other lines. */
async function runLoad(t: TestContext, command: string, args: string[]) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  const heads = new Map<string, number>();
  const rest: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const [session = '', seq = ''] = line.split(' ');
    if (/^s\d+$/.test(session)) {
      assert.deepEqual(rest, [], 'nothing is acknowledged once a write failed');
      heads.set(session, Number(seq));
    } else if (line !== 'open') {
      rest.push(line);
    }
  }
  return { heads, rest };
}

async function assertReopens(t: TestContext, directory: string, heads: Map<string, number>): Promise<void> {
  const store = await openFor(t, directory);
  assert.deepEqual(store.damage, []);
  for (const [session, seq] of heads) await assertStored(store, session, seq);
  assert.deepEqual(await store.tenant('default').log.verify(), []);
  await store.close();
}

const STOPPED = [...Array(8).fill('refused unavailable'), 'late unavailable', 'read 1', 'closed'];

test('a write that the disk fails stops the store: nothing is acknowledged after it, reads go on', async (t) => {
  if (process.platform === 'win32') return t.skip('needs a shell with ulimit');
  const directory = directoryFor(t);
  // A limit on file sizes makes the kernel refuse writes in the middle of a commit, with an error that is not "full".
  const command = `trap '' XFSZ; ulimit -f 1200; exec "$0" "$@"`;
  const args = ['-c', command, process.execPath, ...NODE_FLAGS, LOAD, directory, '8'];
  const { heads, rest } = await runLoad(t, '/bin/sh', args);
  assert.deepEqual(rest, STOPPED);
  await assertReopens(t, directory, heads);
});

/** Runs the load with a fault injected into one kind of system call, from the `when`th call on. */
function straceArgs(directory: string, calls: string, fault: string): string[] {
  const inject = ['-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}`];
  return ['-f', '-qq', '-o', '/dev/null', ...inject, process.execPath, ...NODE_FLAGS, LOAD, directory, '8'];
}

const noStrace = spawnSync('strace', ['-V'], { stdio: 'ignore' }).status !== 0 ? 'needs strace' : false;

for (const [call, when] of [
  ['fsync', 25],
  ['fsync', 40],
  ['fdatasync', 3],
] as const) {
  test(`a flush that fails stops the store and is not tried again (${call} ${when})`, { skip: noStrace }, async (t) => {
    const directory = directoryFor(t);
    const { heads, rest } = await runLoad(t, 'strace', straceArgs(directory, call, `error=EIO:when=${when}`));
    assert.deepEqual(rest, STOPPED);
    await assertReopens(t, directory, heads);
  });
}

test('a kill at any write or flush of a commit loses nothing acknowledged', { skip: noStrace }, async (t) => {
  for (let when = 5; when < 400; when += 43) {
    const directory = directoryFor(t);
    const fault = `signal=SIGKILL:when=${when}`;
    const { heads, rest } = await runLoad(t, 'strace', straceArgs(directory, 'pwrite64,fsync', fault));
    assert.deepEqual(rest, []);
    await assertReopens(t, directory, heads);
  }
});
