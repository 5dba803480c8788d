import assert from 'node:assert/strict';
import { test } from 'node:test';
import { append, bodyOf, EMPTY_HEAD, storeSuite } from '@perdure/testkit';
import { createMemoryDisk, openMemoryStore } from './index.ts';

storeSuite({
  name: 'memory',
  async open(clock) {
    const disk = createMemoryDisk();
    let store = openMemoryStore({ clock, disk });
    return {
      store,
      async reopen() {
        await store.close();
        store = openMemoryStore({ clock, disk });
        return store;
      },
      async dispose() {},
    };
  },
});

storeSuite({
  name: 'memory, shared',
  shared: true,
  async open(clock) {
    const disk = createMemoryDisk();
    const opened = () => openMemoryStore({ clock, disk, shared: true });
    let store = opened();
    return {
      store,
      async reopen() {
        await store.close();
        store = opened();
        return store;
      },
      another: async () => opened(),
      async dispose() {},
    };
  },
});

const clock = { now: () => 0, monotonicMs: () => 0 };

test('a disk opened anew keeps its data and shuts out the store that had it', async () => {
  const disk = createMemoryDisk();
  const crashed = openMemoryStore({ clock, disk });
  await crashed.tenant('t').docs.put('note', 'n1', 'kept', 0);
  const next = openMemoryStore({ clock, disk });
  assert.equal(next.epoch, crashed.epoch + 1);
  assert.equal((await next.tenant('t').docs.get('note', 'n1'))?.doc, 'kept');
  await assert.rejects(crashed.tenant('t').docs.put('note', 'n1', 'lost', 1), { code: 'unavailable' });
  await crashed.close();
  assert.equal((await next.tenant('t').docs.put('note', 'n1', 'own', 1)).ok, true);
});

test('verify names the frame that was changed, the body, the gap and the missing tail', async () => {
  const disk = createMemoryDisk();
  const store = openMemoryStore({ clock, disk });
  const { log } = store.tenant('t');
  for (const session of ['hash', 'body', 'gap', 'tail', 'fine']) {
    let head = EMPTY_HEAD;
    for (let at = 0; at < 3; at++) head = await append(log, session, head, { bodies: [bodyOf('text', 'salt')] });
  }
  const frames = (session: string) => disk.tenants.get('t')?.sessions.get(session)?.frames ?? [];
  const [first] = frames('hash');
  if (first !== undefined) first.bytes[3] = 0;
  frames('body').forEach((frame, at) => at === 1 && Object.assign(frame.bodies[0] ?? {}, { text: 'other' }));
  frames('gap').splice(1, 1);
  frames('tail').pop();
  const codes = (await log.verify()).map(({ session, code, seq }) => `${session}: ${code} ${seq}`);
  assert.deepEqual(codes, ['hash: hash 1', 'body: body 2', 'gap: gap 3', 'gap: hash 3', 'tail: gap 3']);
});
