import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import type { Head, LogStore } from '@perdure/runtime/ports';
import { StoreDamage } from '@perdure/runtime/ports';
import { append, appendAfter, bodyOf, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { clock, directoryFor, openFor, timers } from '../../test/support.ts';
import { frameHash } from '../chain.ts';
import { checkOrphans, checkSession } from './check.ts';
import { packBodies } from '../frames.ts';
import { readFrame } from './frames.ts';
import { openSqliteStore } from './index.ts';
import { statements } from './schema.ts';

const DATABASE = 'perdure.db';

/** A closed store with sessions s0 … s4, each of four frames with a body; odd ones are unfinished. */
async function writtenData(t: TestContext): Promise<string> {
  const directory = directoryFor(t);
  const store = await openFor(t, directory);
  for (let at = 0; at < 5; at++) {
    let head = EMPTY_HEAD;
    for (let frame = 0; frame < 4; frame++) {
      head = await append(store.tenant('default').log, `s${at}`, head, {
        text: `frame ${frame} of s${at}`,
        bodies: [bodyOf(`body ${frame} of s${at}`, 'salt')],
        index: { outstanding: at % 2 },
      });
    }
  }
  await store.close();
  return directory;
}

function flip(directory: string, marker: string): void {
  const path = join(directory, DATABASE);
  const bytes = readFileSync(path);
  const at = bytes.indexOf(marker);
  assert.ok(at > 0 && bytes.indexOf(marker, at + 1) === -1, `${marker} is in the file once`);
  bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
  writeFileSync(path, bytes);
}

const firstFrames = async (log: LogStore, session: string): Promise<number> =>
  (await log.read(session, { after: 0, limit: 9 })).length;

test('after close nothing is left but the data itself', async (t) => {
  const directory = await writtenData(t);
  assert.deepEqual(readdirSync(directory).toSorted(), ['heads.journal', 'owner.lock', DATABASE]);
});

test('a byte flipped in a frame is named by reading and verifying, and the other sessions go on', async (t) => {
  const directory = await writtenData(t);
  flip(directory, 'frame 1 of s2');
  const store = await openFor(t, directory);
  const { log } = store.tenant('default');
  assert.deepEqual(store.damage, [], 'a finished session is not read at opening');
  await assert.rejects(log.read('s2', { after: 0, limit: 9 }), (error: unknown) => {
    assert.ok(error instanceof StoreDamage);
    assert.deepEqual([error.report.session, error.report.code, error.report.seq], ['s2', 'hash', 2]);
    return true;
  });
  assert.equal((await log.read('s2', { after: 2, limit: 9 })).length, 2, 'what follows the damage can still be read');
  assert.equal(await firstFrames(log, 's3'), 4);
  assert.deepEqual(
    (await log.verify()).map(({ session, code, seq }) => [session, code, seq]),
    [['s2', 'hash', 2]],
  );
  assert.deepEqual(await log.verify('s3'), []);
});

test('a byte flipped in a body is named by reading and verifying', async (t) => {
  const directory = await writtenData(t);
  flip(directory, 'body 2 of s4');
  const { log } = (await openFor(t, directory)).tenant('default');
  const { digest } = bodyOf('body 2 of s4', 'salt');
  await assert.rejects(log.read('s4', { after: 0, limit: 9 }), { code: 'damaged' });
  await assert.rejects(log.body('s4', 3, digest), { code: 'damaged' });
  assert.deepEqual(
    (await log.verify()).map(({ session, code, seq }) => [session, code, seq]),
    [['s4', 'body', 3]],
  );
});

test('opening checks the last frame of each unfinished session, and nobody appends to a damaged one', async (t) => {
  const directory = await writtenData(t);
  flip(directory, 'frame 3 of s1');
  flip(directory, 'frame 3 of s2');
  const store = await openFor(t, directory);
  assert.deepEqual(
    store.damage.map(({ session, code, seq }) => [session, code, seq]),
    [['s1', 'hash', 4]],
  );
  const { log } = store.tenant('default');
  await assert.rejects(log.append(appendAfter('s1', { seq: 4, hash: '' })), StoreDamage);
  assert.equal(await firstFrames(log, 's3'), 4);
});

test('frames that are gone are a gap, in the middle and at the end', async (t) => {
  const directory = await writtenData(t);
  const db = new DatabaseSync(join(directory, DATABASE));
  db.exec(`DELETE FROM frames WHERE first = 2 AND sid = (SELECT sid FROM sessions WHERE id = 's0');
           DELETE FROM frames WHERE first = 4 AND sid = (SELECT sid FROM sessions WHERE id = 's2');`);
  db.close();
  rmSync(join(directory, 'heads.journal'));
  const { log } = (await openFor(t, directory)).tenant('default');
  assert.deepEqual(
    (await log.verify()).map(({ session, code, seq }) => [session, code, seq]),
    [
      ['s0', 'gap', 2],
      ['s2', 'gap', 4],
    ],
  );
  await assert.rejects(log.read('s0', { after: 0, limit: 9 }), StoreDamage);
  await assert.rejects(log.read('s2', { after: 0, limit: 9 }), StoreDamage);
});

/** Re-hashes every session of a database file, and gives what is read of each when nothing is wrong; null: damage. */
function contentOf(path: string): string | null {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const sql = statements(db);
    const sessions = sql('SELECT sid, id, seq, hash FROM sessions ORDER BY sid').all();
    if (sessions.flatMap((row) => checkSession(sql, row)).length > 0) return null;
    if (checkOrphans(sql, 0, Number.MAX_SAFE_INTEGER).length > 0) return null;
    // By place, as names of columns may change their case; and without a session's name, which is not in its frames'
    // hashes: that one was renamed is for the heads journal to notice.
    const frames = db.prepare('SELECT first, frame, bodies FROM frames WHERE sid = ? ORDER BY first');
    frames.setReturnArrays(true);
    return JSON.stringify(sessions.map(({ sid }) => [sid, frames.all(sid ?? null)]));
  } catch {
    return null;
  } finally {
    db.close();
  }
}

test('bodies whose column has become a number are damage, not erased', () => {
  const bytes = Buffer.from('[]');
  const hash = Buffer.from(frameHash('', bytes), 'hex');
  const row = { first: 1, count: 1, hash, frame: bytes, bodies: packBodies([bodyOf('mine')]) };
  const start = { seq: 0, hash: '' };
  assert.deepEqual(readFrame(row, start).problems, []);
  assert.deepEqual(
    readFrame({ ...row, bodies: 106 }, start).problems.map(({ code }) => code),
    ['body'],
  );
});

test('a bit flipped anywhere in the database is noticed or changes no frame and no body', async (t) => {
  const directory = await writtenData(t);
  const path = join(directory, DATABASE);
  const original = readFileSync(path);
  const expected = contentOf(path);
  assert.notEqual(expected, null);
  let noticed = 0;
  for (let flips = 0; flips < 400; flips++) {
    const bytes = Buffer.from(original);
    const at = randomBytes(4).readUInt32LE() % bytes.length;
    bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << (flips % 8)), at);
    writeFileSync(path, bytes);
    const content = contentOf(path);
    if (content === null) noticed += 1;
    else assert.equal(content, expected, `bit ${flips % 8} of byte ${at}`);
  }
  assert.ok(noticed > 0);
});

test('what was deleted is in no file any more', async (t) => {
  const directory = directoryFor(t);
  const store = await openFor(t, directory);
  const { log } = store.tenant('default');
  const index = { title: 'TITLE-TO-ERASE', key: 'KEY-TO-ERASE' };
  let head = await append(log, 's1', EMPTY_HEAD, { bodies: [bodyOf('BODY-TO-ERASE')], index });
  head = await append(log, 's1', head, { bodies: [bodyOf(`BODY-TO-ERASE ${'long '.repeat(9_000)}`)], index });
  await append(log, 's2', EMPTY_HEAD, { bodies: [bodyOf('BODY-TO-KEEP')] });
  await store.tenant('default').snapshots.save('s1', {
    seq: head.seq,
    hash: head.hash,
    engine: 'e',
    checksum: 'c',
    state: 'STATE-TO-ERASE',
    prefix: '',
  });
  const contents = () => readdirSync(directory).map((name) => readFileSync(join(directory, name), 'latin1'));
  assert.ok(contents().some((content) => content.includes('BODY-TO-ERASE')));
  assert.equal(await log.delete('s1'), true);
  // The next commit begins when the committer has cleaned up.
  await append(log, 's3', EMPTY_HEAD);
  for (const content of contents()) assert.doesNotMatch(content, /TO-ERASE/);
  await store.close();
  assert.ok(contents().some((content) => content.includes('BODY-TO-KEEP')));
  for (const content of contents()) assert.doesNotMatch(content, /TO-ERASE/);
});

test('a blob whose bytes changed counts as missing, and putting it again heals it', async (t) => {
  const directory = directoryFor(t);
  const { blobs } = (await openFor(t, directory)).tenant('default');
  const digest = await blobs.put(Buffer.from('precious'));
  const name = Buffer.from(digest, 'base64url').toString('hex');
  const path = join(directory, 'blobs', 'default', name.slice(0, 2), name);
  for (const broken of ['precioux', 'prec', '']) {
    writeFileSync(path, broken);
    assert.equal(await blobs.get(digest), null);
    await blobs.put(Buffer.from('precious'));
    assert.equal(Buffer.from((await blobs.get(digest)) ?? []).toString(), 'precious');
  }
});

test('what a put left unfinished is cleared at the next opening', async (t) => {
  const directory = directoryFor(t);
  const store = await openFor(t, directory);
  await store.tenant('default').blobs.put(Buffer.from('x'));
  await store.close();
  writeFileSync(join(directory, 'blobs', 'unfinished', 'default-abc'), 'half');
  await openFor(t, directory);
  assert.equal(existsSync(join(directory, 'blobs', 'unfinished')), false);
});

test('data in use is refused at once, and free after close', async (t) => {
  const directory = directoryFor(t);
  const store = await openFor(t, directory);
  await assert.rejects(openFor(t, directory), { code: 'data_in_use' });
  await store.tenant('default').log.append(appendAfter('s1', EMPTY_HEAD));
  await store.close();
  const next = await openFor(t, directory);
  assert.equal((await next.tenant('default').log.get('s1'))?.head.seq, 1);
});

test('data of a newer version is refused and left as it is', async (t) => {
  const directory = await writtenData(t);
  const db = new DatabaseSync(join(directory, DATABASE));
  db.exec("UPDATE meta SET value = 99 WHERE name = 'schema'");
  db.close();
  const before = readFileSync(join(directory, DATABASE));
  await assert.rejects(openFor(t, directory), { code: 'data_too_new' });
  await assert.rejects(openFor(t, directory), { code: 'data_too_new' }, 'and the refused opening let go of the data');
  assert.deepEqual(readFileSync(join(directory, DATABASE)), before);
});

test('a file that is no database is named as damaged', async (t) => {
  const directory = await writtenData(t);
  writeFileSync(join(directory, DATABASE), randomBytes(20_000));
  await assert.rejects(openFor(t, directory), { code: 'damaged' });
});

test('a long log is folded into the database while it is written, and the heads journal with it', async (t) => {
  const directory = directoryFor(t);
  const store = await openFor(t, directory);
  const { log } = store.tenant('default');
  const text = 'x'.repeat(60_000);
  let head = EMPTY_HEAD;
  for (let at = 0; at < 700; at++) head = await append(log, 's1', head, { text });
  assert.ok(statSync(join(directory, `${DATABASE}-wal`)).size < 25e6, 'the write-ahead log is bounded');
  assert.ok(existsSync(join(directory, 'heads.journal.1')));
  assert.deepEqual(await log.verify(), []);
  await store.close();
  const again = await openFor(t, directory);
  assert.deepEqual(again.damage, []);
  assert.equal((await again.tenant('default').log.get('s1'))?.head.seq, 700);
});

test('a heads journal that many openings left long starts anew', async (t) => {
  const directory = await writtenData(t);
  const journal = join(directory, 'heads.journal');
  writeFileSync(journal, readFileSync(journal, 'utf8').repeat(2_000));
  assert.ok(statSync(journal).size > 1_100_000);
  const store = await openFor(t, directory);
  assert.deepEqual(store.damage, []);
  await append(store.tenant('default').log, 'new', EMPTY_HEAD);
  await store.close();
  assert.ok(statSync(journal).size < 1_000);
});

/** A file system of its own, of this size; null where the test is skipped. It goes after the store is closed. */
function smallDisk(t: TestContext, size: string) {
  const directory = directoryFor(t);
  const run = (...[program = '', ...args]: string[]): number | null =>
    spawnSync(program, args, { stdio: 'ignore' }).status;
  if (process.getuid?.() !== 0) t.skip('needs root');
  else if (run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory) !== 0)
    t.skip('needs leave to mount a tmpfs');
  else
    return {
      directory,
      resize: (to: string) => run('mount', '-o', `remount,size=${to}`, directory),
      gone: () => void run('umount', directory),
    };
  return null;
}

test('a full disk refuses with its own code, writes nothing, serves reads, and heals when space returns', async (t) => {
  const disk = smallDisk(t, '3m');
  if (disk === null) return;
  const { directory } = disk;
  const store = await openSqliteStore({ directory, clock, timers });
  try {
    const tenant = store.tenant('default');
    const { log } = tenant;
    const text = 'x'.repeat(20_000);
    let head = EMPTY_HEAD;
    let refused = 0;
    for (let at = 0; at < 500 && refused < 3; at++) {
      const result = await log.append(appendAfter('s1', head, { text }));
      if (result.ok) head = result.head;
      else assert.equal(result.code, 'full');
      refused += result.ok ? 0 : 1;
    }
    assert.equal(refused, 3, 'the disk filled up');
    await assert.rejects(tenant.blobs.put(randomBytes(3_000_000)), { code: 'full' });
    await assert.rejects(tenant.docs.put('note', 'n1', text.repeat(20), 0), { code: 'full' });
    assert.deepEqual((await log.get('s1'))?.head, head);
    assert.equal((await log.read('s1', { after: 0, limit: 1_000 })).length, head.seq);
    assert.equal(disk.resize('30m'), 0);
    for (let at = 0; at < 20; at++) head = await append(log, 's1', head, { text });
    assert.deepEqual(await log.verify(), []);
    await store.close();
    const again = await openSqliteStore({ directory, clock, timers });
    assert.deepEqual(again.damage, []);
    assert.deepEqual((await again.tenant('default').log.get('s1'))?.head, head);
    await again.close();
  } finally {
    await store.close();
    disk.gone();
  }
});

test('on a full disk what is urgent is still written, and nothing else takes the room that is kept for it', async (t) => {
  const disk = smallDisk(t, '4m');
  if (disk === null) return;
  const { directory } = disk;
  let store = await openSqliteStore({ directory, clock, timers });
  try {
    const heads = new Map<string, Head>();
    const write = async (session: string, urgent: boolean): Promise<string> => {
      const request = appendAfter(session, heads.get(session) ?? EMPTY_HEAD, {
        text: urgent ? 'stop' : 'x'.repeat(500),
      });
      const result = await store.tenant('default').log.append({ ...request, urgent });
      if (result.ok) heads.set(session, result.head);
      return result.ok ? 'ok' : result.code;
    };
    const several = async (urgent: boolean): Promise<string[]> =>
      Promise.all(['s1', 's2', 's3'].map(async (session) => write(session, urgent)));
    for (let at = 0; at < 2_000 && (await write('s1', false)) === 'ok'; at++);
    for (let at = 0; at < 5; at++) {
      assert.deepEqual(await several(true), ['ok', 'ok', 'ok']);
      assert.equal(await write('s1', false), 'full');
    }
    const mixed = await Promise.all([write('s4', false), write('s5', true), write('s6', false)]);
    assert.deepEqual(mixed, ['full', 'ok', 'full']);
    assert.equal(disk.resize('30m'), 0);
    assert.deepEqual(await several(false), ['ok', 'ok', 'ok']);
    await store.close();
    store = await openSqliteStore({ directory, clock, timers });
    assert.deepEqual(store.damage, []);
    for (const [session, head] of heads) assert.deepEqual((await store.tenant('default').log.get(session))?.head, head);
    assert.deepEqual(await several(false), ['ok', 'ok', 'ok']);
  } finally {
    await store.close();
    disk.gone();
  }
});

test('what the write-ahead log takes of a small disk is given back when there is some room again', async (t) => {
  const disk = smallDisk(t, '7m');
  if (disk === null) return;
  const { directory } = disk;
  const store = await openSqliteStore({ directory, clock, timers });
  const filler = join(directory, 'filler');
  try {
    writeFileSync(filler, randomBytes(1_500_000));
    const { log } = store.tenant('default');
    let head = EMPTY_HEAD;
    const write = async (): Promise<string> => {
      const result = await log.append(appendAfter('s1', head, { text: 'x'.repeat(500) }));
      if (result.ok) head = result.head;
      return result.ok ? 'ok' : result.code;
    };
    for (let at = 0; at < 1_000 && (await write()) === 'ok'; at++);
    assert.equal(await write(), 'full');
    const { size } = statSync(join(directory, 'perdure.db-wal'));
    assert.ok(size > 3_000_000, 'it is the log that takes the room');
    rmSync(filler);
    const written = head.seq;
    // More than fits into what was freed, if the log keeps what it has.
    while (head.seq < written * 2) assert.equal(await write(), 'ok');
    assert.deepEqual(await log.verify(), []);
  } finally {
    await store.close();
    disk.gone();
  }
});

test('a disk too small to keep room on it is used to its end', async (t) => {
  const disk = smallDisk(t, '1m');
  if (disk === null) return;
  const { directory } = disk;
  const store = await openSqliteStore({ directory, clock, timers });
  try {
    let head = EMPTY_HEAD;
    for (let at = 0; at < 3; at++) head = await append(store.tenant('default').log, 's1', head);
    assert.deepEqual((await store.tenant('default').log.get('s1'))?.head, head);
  } finally {
    await store.close();
    disk.gone();
  }
});

test('a large write that does not fit does not take a small one with it', async (t) => {
  const disk = smallDisk(t, '3m');
  if (disk === null) return;
  const { directory } = disk;
  const store = await openSqliteStore({ directory, clock, timers });
  try {
    const { log } = store.tenant('default');
    const results = await Promise.all([
      log.append(appendAfter('s1', EMPTY_HEAD, { text: 'small' })),
      log.append(appendAfter('s2', EMPTY_HEAD, { text: 'x'.repeat(4_000_000) })),
      log.append(appendAfter('s3', EMPTY_HEAD, { text: 'small' })),
    ]);
    assert.deepEqual(
      results.map((result) => (result.ok ? 'ok' : result.code)),
      ['ok', 'full', 'ok'],
    );
  } finally {
    await store.close();
    disk.gone();
  }
});
