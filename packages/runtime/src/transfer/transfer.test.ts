import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ApiError } from '@perdure/contract';
import { World } from '../../test/world.ts';
import type { WorldOptions } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import { chainHash, effectKey, sha256 } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import { checkExport } from './check.ts';

const never = new Promise<never>(() => {});
const keys: string[] = [];
const pay = tool({
  name: 'pay',
  description: 'Pays.',
  input: { type: 'object' },
  effect: 'keyed',
  approval: 'always',
  run: (_args, { key }) => {
    keys.push(key);
    return 'paid';
  },
});
const asksToPay = { calls: [{ name: 'pay', arguments: { to: 'a' } }] };
const talkative: WorldOptions = { script: () => ({ text: 'ok' }), tools: [pay] };

async function exported(world: World, session: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await world.host.exportSession(world.caller(), session)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The file in pieces of so many bytes. */
const inPieces = (file: Uint8Array, size = file.length) =>
  async function* () {
    for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
  };

const bring = async (world: World, file: Uint8Array, size?: number) =>
  world.host.importSession(world.caller(), inPieces(file, size));

async function refusal(world: World, file: Uint8Array): Promise<ApiError> {
  const error = await bring(world, file).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof ApiError) return error;
  throw new Error(`not refused, but ${String(error)}`);
}

const texts = async (world: World, session: string): Promise<string[]> =>
  (await world.call('messages.list', { session, limit: 100 })).messages.map(({ text }) => text);

async function isEmpty({ host, disk }: World): Promise<void> {
  const { log, blobs } = host.parts.store;
  assert.deepEqual((await log.list({ limit: 10 })).items, []);
  assert.equal((await blobs.list({ after: null, limit: 100 })).length, 1, 'the manifest of the agent that is here');
  assert.equal(disk.tenants.get('default')?.staged.size ?? 0, 0);
}

test('an exported session is brought elsewhere as a fork: it reads the same, and goes on by itself', async () => {
  const here = await World.create(talkative);
  const { session } = await here.open('one');
  await here.system.settle();
  const file = await exported(here, session);
  const there = await World.create(talkative);
  for (const size of [undefined, 1, 100]) {
    const { session: fork, seq } = await bring(there, file, size);
    assert.deepEqual(fork.forkedFrom, { session, seq: seq - 1 });
    assert.notEqual(fork.id, session);
    assert.deepEqual(await texts(there, fork.id), ['one', 'ok']);
    await there.call('runs.start', { session: fork.id, input: 'two', mode: 'queue', priority: 0 });
    await there.system.settle();
    assert.deepEqual(await texts(there, fork.id), ['one', 'ok', 'two', 'ok']);
    assert.equal((await there.call('runs.get', { session: fork.id, run: 'r1' })).text, 'ok');
  }
  assert.deepEqual(await there.log.verify(), []);
});

test('what was open where an unsealed session was exported never runs where it is brought', async () => {
  const here = await World.create({ script: [asksToPay], tools: [pay] });
  const { session } = await here.open('one');
  await here.system.settle();
  const there = await World.create(talkative);
  const { session: fork } = await bring(there, await exported(here, session));
  await there.system.settle();
  const { status, reason } = await there.call('runs.get', { session: fork.id, run: 'r1' });
  assert.deepEqual([status, reason, fork.waits, keys], ['cancelled', 'fork', [], []]);
});

test('a moved session goes on where it is brought, under its own keys, and no more where it was', async () => {
  const caps = { limits: { tokens: 60_000, session: { tokens: 90_000 } } };
  const here = await World.create({ script: [asksToPay], tools: [pay] });
  const { session, run } = await here.open('one', { key: 'k', config: caps });
  await here.system.settle();
  const sealed = await here.call('sessions.move', { session, to: 'the other machine' });
  assert.deepEqual([sealed.status, sealed.movedTo], ['closed', 'the other machine']);
  const refused = await here.refused('runs.start', { session, input: 'x', mode: 'queue', priority: 0 });
  assert.deepEqual([refused.code, /the other machine/.test(refused.message)], ['session_closed', true]);
  const file = await exported(here, session);
  const there = await World.create({ script: [{ text: 'done' }, { text: 'more' }], tools: [pay] });
  const { session: view } = await bring(there, file);
  assert.deepEqual([view.id, view.status, view.key, view.movedTo], [session, 'waiting', 'k', undefined]);
  const [wait] = (await there.call('waits.list', { session, limit: 10 })).waits;
  const answer = { decision: 'approve', digest: wait?.digest ?? '' } as const;
  await there.call('waits.resolve', { session, wait: 'w1', answer });
  const ended = await there.run(session, run);
  assert.deepEqual([ended.status, ended.text], ['completed', 'done']);
  assert.deepEqual(keys.splice(0), [effectKey('default', session, 'r1t1c0')]);
  const account = there.disk.tenants.get('default')?.accounts.get(session);
  assert.deepEqual(account?.spent.tokens, ended.usage.input + ended.usage.output, 'what it had spent came with it');
  assert.equal(await here.code('waits.resolve', { session, wait: 'w1', answer }), 'session_closed');
  assert.deepEqual(await there.log.verify(), []);
});

test('a session arrives once: where it is already, or was deleted, it is refused', async () => {
  const here = await World.create(talkative);
  const { session } = await here.open('one');
  await here.system.settle();
  await here.call('sessions.move', { session, to: 'x' });
  const file = await exported(here, session);
  assert.equal((await refusal(here, file)).code, 'invalid_state');
  const there = await World.create(talkative);
  const [first, second] = await Promise.allSettled([bring(there, file), bring(there, file)]);
  assert.equal([first, second].filter(({ status }) => status === 'fulfilled').length, 1);
  await there.call('sessions.close', { session });
  await there.call('sessions.delete', { session });
  assert.match((await refusal(there, file)).code, /session_closed|invalid_state/);
});

test('a session moves on, and what was moved away can be forked', async () => {
  const first = await World.create(talkative);
  const { session } = await first.open('one');
  await first.system.settle();
  await first.call('sessions.move', { session, to: 'x' });
  const second = await World.create(talkative);
  await bring(second, await exported(first, session));
  await second.call('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  await second.system.settle();
  await second.call('sessions.move', { session, to: 'y' });
  const third = await World.create(talkative);
  await bring(third, await exported(second, session));
  assert.deepEqual(await texts(third, session), ['one', 'ok', 'two', 'ok']);
  const { session: fork } = await first.call('sessions.fork', { session });
  assert.equal(fork.status, 'idle');
});

test('while something is under way a session stays: what it leads to would come to nobody', async () => {
  const world = await World.create({ script: [{ hold: never }] });
  const { session, run } = await world.open('one');
  await world.system.settle();
  const { code, details } = await world.refused('sessions.move', { session, to: 'x' });
  assert.deepEqual([code, details?.['effect']], ['invalid_state', 'r1t1']);
  await world.call('runs.cancel', { session, run });
  await world.system.settle();
  assert.equal((await world.call('sessions.move', { session, to: 'x' })).movedTo, 'x');
  assert.equal((await world.call('sessions.move', { session, to: 'x' })).movedTo, 'x', 'again is no other');
  const other = await world.refused('sessions.move', { session, to: 'y' });
  assert.deepEqual([other.code, other.details?.['movedTo']], ['invalid_state', 'x'], 'one place, and no other');
  assert.match(other.message, /has moved to x before: leave the place out/);
  assert.equal((await world.call('sessions.move', { session })).movedTo, 'x', 'not named, it is where it is');
});

test('a file that was cut anywhere, or changed in any byte, is refused before anything is written', async () => {
  const here = await World.create({ script: () => ({ text: 'x'.repeat(LIMITS.inlineBodyBytes + 1) }) });
  const { session } = await here.open('one');
  await here.system.settle();
  const file = await exported(here, session);
  const there = await World.create(talkative);
  const lines = file.toString().split('\n');
  const ends = lines.reduce<number[]>((at, line) => [...at, (at.at(-1) ?? 0) + line.length + 1], []);
  const cuts = [0, 1, ...ends.flatMap((end) => [end - 2, end - 1, end]), file.length - 1].filter(
    (n) => n < file.length,
  );
  for (const cut of cuts) {
    const { code } = await refusal(there, file.subarray(0, cut));
    assert.equal(code, 'invalid_request', `cut at ${cut}`);
  }
  for (let at = 0; at < file.length; at += Math.ceil(file.length / 400)) {
    const changed = Buffer.from(file);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal((await refusal(there, changed)).code, 'invalid_request', `changed at ${at}`);
  }
  for (const [n] of lines.slice(0, -1).entries()) {
    const without = lines.filter((_, index) => index !== n).join('\n');
    assert.equal((await refusal(there, Buffer.from(without))).code, 'invalid_request', `without line ${n + 1}`);
  }
  assert.equal((await refusal(there, Buffer.concat([file, file]))).code, 'invalid_request');
  await isEmpty(there);
  await bring(there, file);
});

test('what is no export, or one of a newer version, is told as that', async () => {
  const world = await World.create(talkative);
  for (const text of ['', '{}\n', 'hello\n', '[1]\n', '{"frame":1}\n', '{"perdure":"session","version":1}\n'])
    assert.equal((await refusal(world, Buffer.from(text))).code, 'invalid_request', text);
  const newer = await refusal(world, Buffer.from('{"perdure":"session","version":2}\n'));
  assert.match(newer.message, /newer Perdure/);
  assert.equal((await refusal(world, Buffer.from([0xff, 0x0a]))).code, 'invalid_request');
  await isEmpty(world);
});

type Forgery = { text?: (text: string) => string; header?: object; lines?: (lines: object[]) => object[] };

/** The file of whoever can compute sums: with other texts in its entries, another header, other lines between it and the end. */
function forge(file: Buffer, { text: change = (text) => text, header = {}, lines = (all) => all }: Forgery): Buffer {
  const given = file.toString().trimEnd().split('\n');
  let hash = '';
  const parts = given.slice(1, -1).map((line): object => {
    const part = JSON.parse(line) as { frame?: { text: string; hash: string } };
    if (part.frame === undefined) return part;
    const text = change(part.frame.text);
    hash = chainHash(hash, Buffer.from(text));
    return { ...part, frame: { ...part.frame, text, hash } };
  });
  const first = JSON.parse(change(given[0] ?? '')) as { head: object };
  const all = [{ ...first, ...header, head: { ...first.head, hash } }, ...lines(parts)];
  const text = all.map((part) => `${JSON.stringify(part)}\n`).join('');
  const sum = createHash('sha256').update(text).digest('hex');
  return Buffer.from(`${text}${JSON.stringify({ end: { lines: all.length, sha256: sum } })}\n`);
}

test('a file that names its session as none is named here is refused, whatever its sums say', async () => {
  const world = await World.create(talkative);
  const { session } = await world.open('one');
  await world.system.settle();
  await world.call('sessions.move', { session, to: 'b' });
  const file = await exported(world, session);
  const there = await World.create(talkative);
  for (const name of ['', 'x', '../../x', 'ses_../x', '__proto__', 'a'.repeat(10_000)]) {
    const { code } = await refusal(there, forge(file, { text: (text) => text.replaceAll(session, name) }));
    assert.equal(code, 'invalid_request', name);
  }
  for (const header of [
    { title: 'x'.repeat(LIMITS.titleChars + 1) },
    { agent: '../zz' },
    { agent: 'another' },
    { tenant: '' },
    { exportedAt: -1 },
  ])
    assert.equal((await refusal(there, forge(file, { header }))).code, 'invalid_request', JSON.stringify(header));
  const elsewhere = (text: string): string => text.replaceAll('"agent":"assistant"', '"agent":"../zz"');
  assert.equal((await refusal(there, forge(file, { text: elsewhere }))).code, 'invalid_request');
  await isEmpty(there);
  await bring(there, forge(file, {}));
});

test('a file holds what its entries name, each once, and its accounts once: anything more is refused', async () => {
  const long = 'y'.repeat(LIMITS.inlineBodyBytes + 1);
  const here = await World.create({ script: () => ({ text: long }) });
  const { session } = await here.open('one');
  await here.system.settle();
  const file = await exported(here, session);
  const there = await World.create(talkative);
  const stray = sha256('stray');
  const blob = { blob: stray, bytes: 5, part: 0, data: Buffer.from('stray').toString('base64') };
  const isBlob = (line: object): boolean => 'blob' in line;
  const forgeries: { [what: string]: (lines: object[]) => object[] } = {
    'a blob that nothing names': (lines) => lines.toSpliced(-1, 0, blob),
    'a blob twice': (lines) => lines.toSpliced(-1, 0, ...lines.filter(isBlob)),
    'a missing blob that nothing names': (lines) => lines.toSpliced(-1, 0, { missing: stray }),
    'a blob that is there and missing': (lines) =>
      lines.toSpliced(-1, 0, ...lines.filter(isBlob).map((line) => ({ missing: (line as typeof blob).blob }))),
    'two ledgers': (lines) => [...lines, ...lines.slice(-1)],
    'a blob behind the ledger': (lines) => [...lines.filter((line) => !isBlob(line)), ...lines.filter(isBlob)],
    'a member that no line has': (lines) => [...lines.slice(0, -1), { ...lines.at(-1), more: 1 }],
  };
  for (const [what, lines] of Object.entries(forgeries))
    assert.equal((await refusal(there, forge(file, { lines }))).code, 'invalid_request', what);
  await isEmpty(there);
  await bring(there, forge(file, {}));
});

test('a secret in the title of a file is blanked, and one in a name is refused', async () => {
  const secret = 'hunter2-hunter2';
  const here = await World.create(talkative);
  const { session } = await here.open('one', { key: 'k-for-you' });
  await here.system.settle();
  const file = await exported(here, session);
  const there = await World.create({ ...talkative, secrets: { DOOR: secret } });
  const named = forge(file, { text: (text) => text.replaceAll('k-for-you', secret) });
  assert.match((await refusal(there, named)).message, /looks like a secret/);
  await isEmpty(there);
  const { session: fork } = await bring(there, forge(file, { header: { title: `open ${secret}` } }));
  assert.match(fork.title, /^open /);
  assert.ok(!JSON.stringify(fork).includes(secret));
});

test('a line without an end is given up at its bound', async () => {
  const world = await World.create(talkative);
  let given = 0;
  const open = async function* () {
    for (;;) {
      given += 1;
      yield Buffer.alloc(1024 * 1024, 0x20);
    }
  };
  await assert.rejects(world.host.importSession(world.caller(), open), { code: 'invalid_request' });
  assert.ok(given <= LIMITS.importLineBytes / (1024 * 1024) + 1, `${given}`);
});

test('large bodies and attachments come along, and what was lost is said to be missing', async () => {
  const long = 'y'.repeat(LIMITS.inlineBodyBytes + 1);
  const here = await World.create({ script: () => ({ text: long }), tools: [pay] });
  const { session } = await here.open('one');
  await here.system.settle();
  const there = await World.create(talkative);
  const { session: fork } = await bring(there, await exported(here, session));
  assert.deepEqual((await texts(there, fork.id)).length, 2);
  assert.equal((await there.call('runs.get', { session: fork.id, run: 'r1' })).text, long);
  const row = await here.log.run(session, 'r1');
  await here.host.parts.store.blobs.delete(row?.text?.digest ?? '');
  const { missing, blobs } = await checkExport(inPieces(await exported(here, session)));
  assert.deepEqual([missing, blobs], [[row?.text?.digest], 1]);
});

test('an export ends where the log stood when it began', async () => {
  const world = await World.create(talkative);
  const { session } = await world.open('one');
  await world.system.settle();
  const { head } = await world.call('sessions.get', { session });
  const lines = await world.host.exportSession(world.caller(), session);
  const first = await lines.next();
  await world.call('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  await world.system.settle();
  const rest: Uint8Array[] = first.done === true ? [] : [first.value];
  for await (const chunk of lines) rest.push(chunk);
  assert.equal((await checkExport(inPieces(Buffer.concat(rest)))).entries, head);
});

test('an import that the storage does not take leaves nothing behind', async () => {
  const here = await World.create(talkative);
  const { session } = await here.open('one');
  await here.system.settle();
  const file = await exported(here, session);
  const there = await World.create(talkative);
  there.weather.append = () => ({ ok: false, code: 'full' });
  assert.equal((await refusal(there, file)).code, 'storage_full');
  assert.deepEqual((await there.log.list({ limit: 10 })).items, []);
  assert.equal(there.disk.tenants.get('default')?.staged.size, 0);
  there.weather.append = null;
  await bring(there, file);
});

test('logs are read again on request, one or all, and what is wrong is told', async () => {
  const world = await World.create(talkative);
  const { session } = await world.open('one');
  await world.system.settle();
  assert.deepEqual(await world.call('sessions.verify', { session }), { damage: [], more: false });
  assert.deepEqual(await world.call('data.verify', {}), { damage: [], more: false });
  const many = await Promise.allSettled([1, 2, 3].map(async () => world.call('data.verify', {})));
  assert.deepEqual(
    many.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected'],
    'no more than the bound at once',
  );
  const [frame] = world.disk.tenants.get('default')?.sessions.get(session)?.frames ?? [];
  frame?.bytes.set([0x20], 1);
  const { damage } = await world.call('sessions.verify', { session });
  assert.deepEqual([damage[0]?.session, damage[0]?.code], [session, 'hash']);
  assert.equal(await world.code('sessions.verify', { session: `ses_${'0'.repeat(26)}` }), 'not_found');
});

test('a session that is not there cannot be exported', async () => {
  const world = await World.create(talkative);
  await assert.rejects(world.host.exportSession(world.caller(), `ses_${'0'.repeat(26)}`), { code: 'not_found' });
});

test('a file that holds what is a secret here is refused, in whichever form and place, and nothing of it is written', async () => {
  const secret = 'hunter2-"hunter2"';
  const long = `${'words '.repeat(20_000)}${secret}`;
  for (const said of [secret, Buffer.from(`x${secret}y`).toString('base64'), long]) {
    const here = await World.create({ script: () => ({ text: `it is ${said}` }) });
    const { session } = await here.open('hello');
    await here.system.settle();
    const there = await World.create({ ...talkative, secrets: { DOOR: secret } });
    const { code, message } = await refusal(there, await exported(here, session));
    assert.deepEqual([code, message.startsWith('the file holds the secret DOOR in ')], ['invalid_request', true]);
    await isEmpty(there);
  }
});
