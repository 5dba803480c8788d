import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { MemoryDisk } from '@perdure/stores/memory';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { createVirtualSystem } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { silentLogger } from '../logger.ts';
import type { DocStore, Store } from '../ports.ts';
import { CHANGE } from './key-change.ts';
import type { SecretKeys } from './keys.ts';
import { fileKeys, givenKeys, memoryKeys, newKey, noKeys, readKeys } from './keys.ts';
import { Redactor } from './redact.ts';
import type { Vault } from './vault.ts';
import { KIND, openVault, readVault } from './vault.ts';

const folder = mkdtempSync(join(tmpdir(), 'perdure-vault-'));
after(() => rmSync(folder, { recursive: true }));

const system = createVirtualSystem();
const there = { tool: 'probe' };

type Bench = { vault: Vault; redactor: Redactor; store: Store; disk: MemoryDisk; docs: DocStore; keys: SecretKeys };

/** `put` stands before and after each write. */
async function bench(
  given: { disk?: MemoryDisk; keys?: SecretKeys; tenant?: string; shared?: boolean; put?: () => void } = {},
): Promise<Bench> {
  const { disk = createMemoryDisk(), keys = memoryKeys(), tenant = 'default', shared = false, put } = given;
  const opened = openMemoryStore({ clock: system.clock, disk, shared });
  const store: Store = {
    ...opened,
    tenant(name) {
      const scope = opened.tenant(name);
      const docs: DocStore = {
        get: async (...args) => scope.docs.get(...args),
        list: async (...args) => scope.docs.list(...args),
        search: async (...args) => scope.docs.search(...args),
        async put(...args) {
          put?.();
          const written = await scope.docs.put(...args);
          put?.();
          return written;
        },
      };
      return { ...scope, docs };
    },
  };
  const redactor = new Redactor();
  const vault = await openVault({ store, tenant, keys, redactor, system, logger: silentLogger });
  return { vault, redactor, store, disk, docs: opened.tenant(tenant).docs, keys };
}

const rows = (disk: MemoryDisk, tenant = 'default') => {
  const docs = disk.tenants.get(tenant)?.docs;
  return docs?.get(KIND) ?? assert.fail('no documents');
};
const given = ({ redactor }: Bench, name: string): string | undefined => redactor.secret(name, there);

test('a secret is given by its name after a restart, and stands nowhere in what is stored', async () => {
  const first = await bench();
  const info = await first.vault.set('TOKEN', 'open-sesame-1', { tools: ['probe'] });
  assert.deepEqual([info.version, info.bindings, info.problem], [1, { tools: ['probe'] }, null]);
  const stored = JSON.stringify([...rows(first.disk)]);
  for (const text of ['open-sesame-1', Buffer.from('open-sesame-1').toString('base64url')])
    assert.ok(!stored.includes(text));
  const again = await bench(first);
  assert.equal(given(again, 'TOKEN'), 'open-sesame-1');
  assert.equal(again.redactor.text('open-sesame-1'), '{{secret:TOKEN}}');
  assert.throws(() => again.redactor.secret('TOKEN', { tool: 'other' }), { code: 'secret_refused' });
  assert.deepEqual(again.vault.list(), [info]);
});

test('whichever byte of what is stored is changed, the secret does not open, and is given to nobody', async () => {
  const one = await bench();
  await one.vault.set('TOKEN', 'open-sesame-1', { hosts: ['api.example.com'] });
  const row = rows(one.disk).get('TOKEN') ?? assert.fail();
  const whole = JSON.stringify(row.doc);
  let forged = 0;
  for (let at = 0; at < whole.length; at += 1)
    for (const flip of [1, 2, 32]) {
      const text = whole.slice(0, at) + String.fromCharCode(whole.charCodeAt(at) ^ flip) + whole.slice(at + 1);
      let doc: unknown;
      try {
        doc = JSON.parse(text);
      } catch {
        continue;
      }
      row.doc = doc;
      const { vault } = await bench(one);
      if (vault.value('TOKEN') !== undefined) assert.fail(`accepted: ${text}`);
      forged += 1;
    }
  assert.ok(forged > 300, String(forged));
});

test('what is put elsewhere does not open: under another name, tenant, version, or back over a newer one', async () => {
  const disk = createMemoryDisk();
  const keys = memoryKeys();
  const one = await bench({ disk, keys, shared: true });
  const other = await bench({ disk, keys, tenant: 'other', shared: true });
  await one.vault.set('A', 'password-of-a-1', {});
  const first = structuredClone(rows(disk).get('A')?.doc) as { [name: string]: unknown };
  await one.vault.set('A', 'password-of-a-2', {});
  await one.vault.set('B', 'password-of-b-1', {});
  await other.vault.set('A', 'password-of-c-1', {});
  await other.vault.set('A', 'password-of-c-2', {});
  const [a, b, c] = [rows(disk).get('A'), rows(disk).get('B'), rows(disk, 'other').get('A')];
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  const whole = structuredClone(a.doc) as typeof first;
  const read = async (doc: unknown): Promise<string | undefined> => {
    a.doc = doc;
    return (await bench({ disk, keys, shared: true })).vault.value('A');
  };
  assert.equal(await read(whole), 'password-of-a-2');
  for (const doc of [b.doc, c.doc, first, { ...whole, version: 1 }, { ...whole, value: first['value'] }])
    assert.equal(await read(doc), undefined);
  for (const doc of [
    { ...whole, dataKey: first['dataKey'] },
    { ...whole, dataKey: first['dataKey'], value: first['value'] },
    { ...first, version: 2 },
    { ...whole, bindings: { hosts: ['evil.example'] } },
    { ...whole, setAt: 1 },
  ])
    assert.equal(await read(doc), undefined);
});

test('a tag that was cut short opens nothing', async () => {
  const one = await bench();
  await one.vault.set('TOKEN', 'open-sesame-1', {});
  const row = rows(one.disk).get('TOKEN') ?? assert.fail();
  const whole = row.doc as { [name: string]: unknown };
  for (const member of ['value', 'dataKey'])
    for (const bytes of [4, 8, 12, 13, 14, 15]) {
      const sealed = Buffer.from(String(whole[member]), 'base64url');
      const cut = Buffer.concat([sealed.subarray(0, 12 + bytes), sealed.subarray(28)]).toString('base64url');
      row.doc = { ...whole, [member]: cut };
      assert.equal((await bench(one)).vault.value('TOKEN'), undefined);
    }
});

test('an older row that is put back while the process runs is not believed', async () => {
  const one = await bench({ shared: true });
  await one.vault.set('TOKEN', 'password-one', {});
  const old = structuredClone(rows(one.disk).get('TOKEN') ?? assert.fail());
  await one.vault.set('TOKEN', 'password-two', {});
  rows(one.disk).set('TOKEN', old);
  await one.vault.load();
  assert.deepEqual([one.vault.value('TOKEN'), one.vault.list()[0]?.problem], [undefined, 'secret_damaged']);
});

test('a deleted secret is given to nobody, stays out of sight, and no copy of the data from before opens it', async () => {
  const one = await bench();
  await one.vault.set('GONE', 'open-sesame-1', {});
  await one.vault.set('KEPT', 'open-sesame-2', {});
  const backup = structuredClone([...rows(one.disk)]);
  assert.deepEqual(await one.vault.delete('GONE'), { shredded: true });
  assert.equal(await one.vault.delete('GONE'), false);
  assert.equal(given(one, 'GONE'), undefined);
  assert.equal(given(one, 'KEPT'), 'open-sesame-2');
  assert.equal(one.redactor.text('open-sesame-1'), '{{secret:GONE}}');
  assert.deepEqual(
    (await bench(one)).vault.list().map(({ name }) => name),
    ['KEPT'],
  );
  for (const [name, row] of backup) rows(one.disk).set(name, row);
  const restored = await bench(one);
  assert.equal(restored.vault.value('GONE'), undefined);
  assert.deepEqual(
    restored.vault.list().map(({ problem }) => problem),
    ['secret_key_unknown', 'secret_key_unknown'],
  );
});

test('a name that was deleted goes on with its versions, and of two writers one is told', async () => {
  const one = await bench({ shared: true });
  const two = await bench({ ...one, shared: true });
  await one.vault.set('TOKEN', 'password-one', {}, 0);
  await assert.rejects(two.vault.set('TOKEN', 'password-two', {}, 0), { code: 'secret_conflict' });
  assert.equal(given(two, 'TOKEN'), 'password-one');
  const both = await Promise.allSettled([
    one.vault.set('TOKEN', 'password-3-of-one', {}, 1),
    two.vault.set('TOKEN', 'password-3-of-two', {}, 1),
  ]);
  assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  await Promise.all([one.vault.load(), two.vault.load()]);
  assert.equal(given(one, 'TOKEN'), given(two, 'TOKEN'));
  await one.vault.delete('TOKEN');
  assert.equal((await two.vault.set('TOKEN', 'password-four', {}, 0)).version, 3);
});

test('what another process sets and deletes is known a moment later', async () => {
  const keys = memoryKeys();
  const one = await bench({ keys, shared: true });
  const two = await bench({ ...one, keys, shared: true });
  await one.vault.set('TOKEN', 'password-one', {});
  await system.advance(1_000);
  await two.vault.fresh();
  assert.equal(given(two, 'TOKEN'), 'password-one');
  await one.vault.delete('TOKEN');
  await system.advance(1_000);
  await two.vault.fresh();
  assert.equal(given(two, 'TOKEN'), undefined);
  assert.equal(two.redactor.text('password-one'), '{{secret:TOKEN}}');
});

test('what could not be stored is not given, and is out of sight all the same', async () => {
  let full = false;
  const one = await bench({
    put: () => {
      if (full) throw new Error('disk full');
    },
  });
  await one.vault.set('TOKEN', 'password-one', {});
  full = true;
  await assert.rejects(one.vault.set('TOKEN', 'password-two', {}), /disk full/);
  await assert.rejects(one.vault.set('OTHER', 'password-three', {}), /disk full/);
  assert.deepEqual([given(one, 'TOKEN'), given(one, 'OTHER')], ['password-one', undefined]);
  assert.equal(one.redactor.text('password-two password-three'), '{{secret:TOKEN}} {{secret:OTHER}}');
});

const NAMES = Array.from({ length: 12 }, (_, n) => `S${n}`);
const valueOf = (name: string): string => `the-password-of-${name}`;

test('keys change while secrets are used and set: none is missed for a moment, and the key before opens nothing', async () => {
  const keys = fileKeys(join(folder, 'load.key'));
  const one = await bench({ keys });
  for (const name of NAMES) await one.vault.set(name, valueOf(name), {});
  const [before] = keys.read();
  let missed = 0;
  const look = (): void => {
    for (const name of NAMES) if (given(one, name)?.startsWith(valueOf(name)) !== true) missed += 1;
  };
  let writing = true;
  const writes = (async () => {
    for (let n = 0; writing; n += 1) {
      const name = NAMES[n % NAMES.length] ?? '';
      await one.vault.set(name, `${valueOf(name)}-${n}`, {});
      look();
    }
  })();
  const rotated = await Promise.all([one.vault.rotate(), one.vault.rotate()]);
  await one.vault.rotate();
  writing = false;
  await writes;
  assert.ok(rotated.some(({ resealed }) => resealed > 0));
  assert.equal(missed, 0);
  const after = keys.read();
  assert.equal(after.length, 1);
  assert.notEqual(after[0]?.id, before?.id);
  const again = await bench({ ...one, keys });
  for (const name of NAMES) assert.equal(given(again, name), given(one, name));
  const stale = await bench({ ...one, keys: givenKeys(() => (before === undefined ? [] : [before])) });
  for (const name of NAMES) assert.equal(given(stale, name), undefined);
});

class Killed extends Error {}

/** What is done when a process dies at its write number `deadly`, before it or after it, and the next one has opened the secrets. */
async function killedAt(deadly: number, file: SecretKeys, work: (vault: Vault) => Promise<unknown>) {
  const disk = createMemoryDisk();
  const calm = await bench({ disk, keys: file });
  for (const name of NAMES) await calm.vault.set(name, valueOf(name), {});
  const [before] = file.read();
  let writes = 0;
  const strike = (): void => {
    if (writes++ === deadly) throw new Killed();
  };
  const keys: SecretKeys = {
    own: file.own,
    read: () => file.read(),
    write: (next) => {
      strike();
      file.write(next);
      strike();
    },
  };
  const doomed = await bench({ disk, keys, put: strike });
  const died = await work(doomed.vault).then(
    () => false,
    (error: unknown) => error instanceof Killed,
  );
  const marked = disk.tenants.get('default')?.docs.get(CHANGE)?.get(CHANGE)?.doc;
  const next = await bench({ disk, keys: file });
  assert.equal(await next.docs.get(CHANGE, CHANGE), null, 'nothing is left to be done');
  return { before, died, begun: marked !== undefined && marked !== null, next };
}

test('a change of keys that is killed before or after any of its writes leaves every secret readable, and is finished by whoever opens them next, unasked', async () => {
  for (let deadly = 0; deadly < 4 * NAMES.length + 12; deadly += 1) {
    const file = memoryKeys();
    const { before, died, begun, next } = await killedAt(deadly, file, async (vault) => vault.rotate());
    for (const name of NAMES) assert.equal(given(next, name), valueOf(name), `${deadly} ${name}`);
    const [key, ...others] = file.read();
    assert.deepEqual(others, [], `${deadly}: one key is left`);
    if (begun) assert.notEqual(key?.id, before?.id, `${deadly}: it is another one`);
    for (const { key: sealedWith } of next.vault.list()) assert.equal(sealedWith, key?.id);
    if (!died) return assert.ok(deadly > 2 * NAMES.length);
  }
  assert.fail('it never came to its end');
});

test('a deletion that is killed before or after any of its writes is whole once the next has opened the secrets: what is gone is gone from copies, too', async () => {
  const [gone = '', ...rest] = NAMES;
  for (let deadly = 0; deadly < 4 * NAMES.length + 16; deadly += 1) {
    const file = memoryKeys();
    const { before, died, next } = await killedAt(deadly, file, async (vault) => vault.delete(gone));
    for (const name of rest) assert.equal(given(next, name), valueOf(name), `${deadly} ${name}`);
    const [key, ...others] = file.read();
    assert.deepEqual(others, []);
    if (given(next, gone) === undefined) assert.notEqual(key?.id, before?.id, `${deadly}: a copy would still open`);
    if (!died) return assert.equal(given(next, gone), undefined);
  }
  assert.fail('it never came to its end');
});

test('a change of keys from outside goes on as well where it was begun, and where the new key is not there it waits for it', async () => {
  const [a, b] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64')];
  const of = (...keys: string[]): SecretKeys => givenKeys(() => readKeys(keys.join(), 'PERDURE_SECRET_KEY'));
  const one = await bench({ keys: of(a), shared: true });
  for (const name of NAMES) await one.vault.set(name, valueOf(name), {});
  let writes = 0;
  const put = (): void => {
    if ((writes += 1) > 5) throw new Killed();
  };
  const doomed = await bench({ ...one, shared: true, keys: of(b, a), put });
  await assert.rejects(doomed.vault.rotate(), Killed);
  const without = await bench({ ...one, shared: true, keys: noKeys('set PERDURE_SECRET_KEY') });
  assert.notEqual(await without.docs.get(CHANGE, CHANGE), null, 'who has no key says nothing of it');
  const next = await bench({ ...one, shared: true, keys: of(b, a) });
  assert.deepEqual(new Set(next.vault.list().map(({ key }) => key)), new Set([of(b).read()[0]?.id]));
  assert.equal(await next.docs.get(CHANGE, CHANGE), null);
  const only = await bench({ ...one, shared: true, keys: of(b) });
  for (const name of NAMES) assert.equal(given(only, name), valueOf(name));
});

test('who only looks reads what is stored, and finishes and writes nothing', async () => {
  const file = fileKeys(join(folder, 'look.key'));
  const one = await bench({ keys: file });
  await one.vault.set('TOKEN', 'open-sesame-1', {});
  const [key] = file.read();
  file.write([newKey(system.random), ...file.read()]);
  const stored = JSON.stringify([...rows(one.disk)]);
  const seen = await readVault({ docs: one.docs, tenant: 'default', keys: file, system });
  assert.deepEqual([seen.value('TOKEN'), seen.list()[0]?.key], ['open-sesame-1', key?.id]);
  assert.equal(file.read().length, 2);
  assert.equal(JSON.stringify([...rows(one.disk)]), stored);
  const blind = await readVault({ docs: one.docs, tenant: 'default', keys: noKeys('none'), system });
  assert.deepEqual([blind.value('TOKEN'), blind.list()[0]?.problem], [undefined, 'secret_key_missing']);
});

test('one that does not open keeps no key from being changed', async () => {
  const one = await bench();
  await one.vault.set('A', 'password-of-a', {});
  await one.vault.set('B', 'password-of-b', {});
  const row = rows(one.disk).get('A') ?? assert.fail();
  row.doc = { ...(row.doc as object), dataKey: 'AAAA' };
  await one.vault.rotate();
  const again = await bench(one);
  assert.deepEqual([given(again, 'A'), given(again, 'B')], [undefined, 'password-of-b']);
});

test('keys from outside: the first seals, all open, and what is needed no more is told', async () => {
  const [a, b] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('hex')];
  const of = (text: string): SecretKeys => givenKeys(() => readKeys(text, 'PERDURE_SECRET_KEY'));
  const one = await bench({ keys: of(a), shared: true });
  await one.vault.set('TOKEN', 'password-one', {});
  const both = await bench({ ...one, shared: true, keys: of(`${b},${a}`) });
  assert.equal(given(both, 'TOKEN'), 'password-one');
  assert.deepEqual(await both.vault.rotate(), { key: both.keys.read()[0]?.id, resealed: 1, left: 1 });
  assert.equal(given(await bench({ ...one, shared: true, keys: of(b) }), 'TOKEN'), 'password-one');
  const without = await bench({ ...one, shared: true, keys: of(a) });
  assert.deepEqual(without.vault.list()[0]?.problem, 'secret_key_unknown');
  assert.deepEqual(await both.vault.delete('TOKEN'), { shredded: false });
  for (const text of ['', 'short', `${a}x`, 'z'.repeat(64)])
    assert.throws(() => readKeys(text, 'PERDURE_SECRET_KEY'), { code: 'secret_key_invalid' });
});

test('where there is no key, setting says what to set, and what is stored is listed as unreadable', async () => {
  const one = await bench();
  await one.vault.set('TOKEN', 'password-one', {});
  const none = await bench({ ...one, keys: noKeys('set PERDURE_SECRET_KEY') });
  await assert.rejects(none.vault.set('TOKEN', 'password-two', {}), /set PERDURE_SECRET_KEY/);
  assert.equal(none.vault.list()[0]?.problem, 'secret_key_missing');
});

test('the key file is made at the first secret, for its owner alone, and refused where others may read it', async () => {
  const path = join(folder, 'secrets.key');
  const one = await bench({ keys: fileKeys(path) });
  assert.ok(!existsSync(path));
  await one.vault.set('TOKEN', 'password-one', {});
  assert.equal(statSync(path).mode & 0o777, 0o600);
  chmodSync(path, 0o644);
  const open = await bench(one);
  assert.equal(open.vault.list()[0]?.problem, 'secret_key_invalid');
  await assert.rejects(open.vault.set('TOKEN', 'password-two', {}), /chmod 600/);
  chmodSync(path, 0o600);
  // What a writer left that died half-way is not taken for the file.
  writeFileSync(`${path}.next`, 'half');
  const whole = await bench(one);
  assert.equal(given(whole, 'TOKEN'), 'password-one');
  await whole.vault.rotate();
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 2);
});

test('a secret that is set while a session runs is out of sight at once, and no method gives it back', async () => {
  const world = await World.create({
    script: () => ({ text: 'it is open-sesame-1, is it?' }),
    host: {},
  });
  const vault = world.host.parts.vault;
  assert.equal(await world.code('secrets.set', { name: 'TOKEN', value: 'open-sesame-1' }), 'invalid_state');
  assert.deepEqual(vault.list(), []);
  const keyed = await World.create({ script: () => ({ text: 'it is open-sesame-1, is it?' }), keys: memoryKeys() });
  const { session } = await keyed.open('hello');
  await keyed.system.settle();
  const set = await keyed.call('secrets.set', { name: 'TOKEN', value: 'open-sesame-1', hosts: ['a.example'] });
  const { run } = await keyed.call('runs.start', {
    session,
    input: 'is it open-sesame-1?',
    submission: 's2',
    mode: 'queue',
    priority: 0,
  });
  assert.equal((await keyed.run(session, run.id)).text, 'it is {{secret:TOKEN}}, is it?');
  assert.match(JSON.stringify(keyed.model.calls.at(-1)?.items), /is it \{\{secret:TOKEN\}\}\?/);
  const listed = await keyed.call('secrets.list', { limit: 10 });
  assert.deepEqual(listed.secrets, [set]);
  assert.ok(!JSON.stringify([set, listed]).includes('sesame'));
  assert.equal(
    await keyed.code('secrets.set', { name: 'TOKEN', value: 'open-sesame-2', ifVersion: 7 }),
    'revision_conflict',
  );
  const early = await keyed.call('secrets.set', { name: 'EARLY', value: 'open-sesame-3', tools: ['nosuch'] });
  assert.match(early.notices?.join() ?? '', /^no agent here has a tool nosuch/);
  await keyed.call('secrets.delete', { name: 'EARLY' });
  assert.equal((await keyed.call('secrets.rotate', {})).resealed, 1);
  assert.deepEqual(await keyed.call('secrets.delete', { name: 'TOKEN' }), { shredded: true });
  assert.equal(await keyed.code('secrets.delete', { name: 'TOKEN' }), 'not_found');
});
