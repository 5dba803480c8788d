import assert from 'node:assert/strict';
import { append, appendAfter, bodyOf, rejectsWith, runRow, EMPTY_HEAD, type Law } from './world.ts';

/** Laws of `append`: what is accepted, what is refused, and that a refusal leaves no trace. */
export const appendLaws: readonly Law[] = [
  {
    name: 'an append moves the head to its last entry and its hash',
    async run({ log }) {
      const first = await append(log, 's1', EMPTY_HEAD, { entries: 3 });
      assert.equal(first.seq, 3);
      const second = await append(log, 's1', first, { entries: 2 });
      assert.deepEqual((await log.get('s1'))?.head, second);
    },
  },
  {
    name: 'an append with a stale seq is refused with the real head and writes nothing',
    async run({ log }) {
      const one = await append(log, 's1', EMPTY_HEAD);
      const two = await append(log, 's1', one);
      const stale = appendAfter('s1', one, {
        bodies: [bodyOf('lost')],
        runs: [runRow('r9')],
        index: { title: 'lost' },
      });
      assert.deepEqual(await log.append(stale), { ok: false, code: 'conflict', head: two });
      assert.equal((await log.read('s1', { after: 0, limit: 10 })).length, 2);
      assert.equal((await log.get('s1'))?.title, 'A title');
      assert.equal(await log.run('s1', 'r9'), null);
    },
  },
  {
    name: 'an append with the right seq and another hash is refused with the real head',
    async run({ log }) {
      const head = await append(log, 's1', EMPTY_HEAD);
      const other = appendAfter('s1', { seq: head.seq, hash: 'ab'.repeat(32) });
      assert.deepEqual(await log.append(other), { ok: false, code: 'conflict', head });
    },
  },
  {
    name: 'an append to a session that is not there is refused with the empty head',
    async run({ log }) {
      const result = await log.append(appendAfter('s1', { seq: 4, hash: 'ab'.repeat(32) }));
      assert.deepEqual(result, { ok: false, code: 'conflict', head: EMPTY_HEAD });
      assert.equal(await log.get('s1'), null);
    },
  },
  {
    name: 'of two appends on one head exactly one wins and the other learns its head',
    async run({ log }) {
      const head = await append(log, 's1', EMPTY_HEAD);
      const [a, b] = await Promise.all([
        log.append(appendAfter('s1', head, { text: 'a' })),
        log.append(appendAfter('s1', head, { text: 'b' })),
      ]);
      const winner = a.ok ? a : b;
      const loser = a.ok ? b : a;
      assert.ok(winner.ok);
      assert.deepEqual(loser, { ok: false, code: 'conflict', head: winner.head });
    },
  },
  {
    name: 'a frame that leaves a gap or breaks the hash chain is refused as a bug',
    async run({ log }) {
      const head = await append(log, 's1', EMPTY_HEAD);
      const good = appendAfter('s1', head);
      await rejectsWith('invalid_append', log.append({ ...good, frame: { ...good.frame, first: head.seq + 2 } }));
      await rejectsWith('invalid_append', log.append({ ...good, frame: { ...good.frame, hash: 'ab'.repeat(32) } }));
      await rejectsWith('invalid_append', log.append({ ...good, frame: { ...good.frame, count: 0 } }));
      assert.deepEqual((await log.get('s1'))?.head, head);
      assert.ok((await log.append(good)).ok, 'the session goes on');
    },
  },
  {
    name: 'a refused append does not undo others that were sent with it',
    async run({ log, reopen }) {
      const head = await append(log, 's1', EMPTY_HEAD, { index: { key: 'mine' } });
      const results = await Promise.all([
        log.append(appendAfter('s2', EMPTY_HEAD)),
        log.append(appendAfter('s1', EMPTY_HEAD)),
        log.append(appendAfter('s3', EMPTY_HEAD, { index: { key: 'mine' } })),
        log.append(appendAfter('s4', EMPTY_HEAD, { fence: { holder: 'old', epoch: 0 } })),
        log.append(appendAfter('s1', head)),
      ]);
      assert.deepEqual(
        results.map((result) => (result.ok ? 'ok' : result.code)),
        ['ok', 'conflict', 'key_taken', 'fenced', 'ok'],
      );
      await reopen();
    },
  },
  {
    name: 'concurrent appends of many sessions are all durable, each gap-free',
    async run(world) {
      const names = Array.from({ length: 40 }, (_, at) => `s${at}`);
      const grow = async (name: string): Promise<void> => {
        let head = EMPTY_HEAD;
        for (let round = 0; round < 5; round++) head = await append(world.log, name, head, { text: name, entries: 2 });
      };
      await Promise.all(names.map(grow));
      await world.reopen();
      for (const name of names) {
        const frames = await world.log.read(name, { after: 0, limit: 100 });
        assert.deepEqual(
          frames.map((frame) => frame.first),
          [1, 3, 5, 7, 9],
        );
      }
      assert.deepEqual(await world.log.verify(), []);
    },
  },
  {
    name: 'of many appends at once each is stored as it is, whoever holds its session, and each refusal is for whom it is meant',
    async run(world) {
      const { log, home, reopen } = world;
      const sessions = await Promise.all(
        Array.from({ length: 40 }, async (_, at) => {
          const name = `s${at}`;
          const holder = `holder-${(at * 7) % 5}`;
          const claim = at % 4 === 0 ? null : await home.leases.claim(`session/${name}`, holder, 60_000);
          const epoch = claim?.ok === true ? claim.epoch : 0;
          const isRefused = at % 4 === 3;
          const fence = claim === null ? {} : { fence: { holder: isRefused ? 'nobody' : holder, epoch } };
          return { name, fence, expected: isRefused ? 'fenced' : 'ok', head: EMPTY_HEAD, texts: new Array<string>() };
        }),
      );
      for (let round = 1; round <= 5; round++) {
        const grow = async (session: (typeof sessions)[number]): Promise<void> => {
          const { name, head, fence, expected, texts } = session;
          const text = `${name} says ${name.repeat(((round * 13) % 7) * name.length)}`;
          const result = await log.append(appendAfter(name, head, { text, bodies: [bodyOf(text)], ...fence }));
          assert.equal(result.ok ? 'ok' : result.code, expected);
          if (!result.ok) return;
          texts.push(text);
          session.head = result.head;
        };
        await Promise.all(sessions.map(grow));
      }
      await reopen();
      for (const { name, texts } of sessions) {
        const frames = await world.log.read(name, { after: 0, limit: 100 });
        assert.deepEqual(
          frames.map(({ bodies: [body] }) => body?.text),
          texts,
        );
      }
      assert.deepEqual(await world.log.verify(), []);
    },
  },
  {
    name: 'a key belongs to one session of a tenant, and whoever comes second learns which',
    async run(world) {
      const { log, store } = world;
      const head = await append(log, 's1', EMPTY_HEAD, { index: { key: 'invoice-7' } });
      const taken = await log.append(appendAfter('s2', EMPTY_HEAD, { index: { key: 'invoice-7' } }));
      assert.deepEqual(taken, { ok: false, code: 'key_taken', session: 's1' });
      assert.equal(await log.get('s2'), null);
      await append(log, 's1', head, { index: { key: 'invoice-7' } });
      await append(store.tenant('other').log, 's2', EMPTY_HEAD, { index: { key: 'invoice-7' } });
      await world.reopen();
      assert.equal((await world.log.find('invoice-7'))?.id, 's1');
      assert.equal(await world.log.find('invoice-8'), null);
    },
  },
  {
    name: 'of two sessions that want one key at once exactly one gets it',
    async run({ log }) {
      const [a, b] = await Promise.all([
        log.append(appendAfter('s1', EMPTY_HEAD, { index: { key: 'k' } })),
        log.append(appendAfter('s2', EMPTY_HEAD, { index: { key: 'k' } })),
      ]);
      assert.equal([a, b].filter((result) => result.ok).length, 1);
      const loser = a.ok ? b : a;
      assert.deepEqual(loser, { ok: false, code: 'key_taken', session: a.ok ? 's1' : 's2' });
    },
  },
  {
    name: 'a watcher hears each commit of its tenant once and in order, until it ends the watch',
    async run({ log, store }) {
      const heard: string[] = [];
      const end = log.watch(({ session, head, status, agent, outstanding, own }) => {
        heard.push(`${session}@${head} ${status} ${agent} ${outstanding} ${own ? 'own' : 'foreign'}`);
      });
      const head = await append(log, 's1', EMPTY_HEAD, { entries: 2, index: { status: 'running', outstanding: 2 } });
      assert.deepEqual(heard, ['s1@2 running assistant 2 own'], 'heard before the append resolves');
      await append(store.tenant('other').log, 's1', EMPTY_HEAD);
      await log.append(appendAfter('s1', EMPTY_HEAD));
      const next = await append(log, 's1', head);
      await append(store.tenant('default').log, 's2', EMPTY_HEAD, { index: { agent: 'b' } });
      end();
      end();
      await append(log, 's1', next);
      assert.deepEqual(heard, ['s1@2 running assistant 2 own', 's1@3 idle assistant 0 own', 's2@1 idle b 0 own']);
    },
  },
  {
    name: 'after close an append is unavailable and every other method rejects with that code',
    async run({ store, home, log }) {
      await append(log, 's1', EMPTY_HEAD);
      const pending = log.append(appendAfter('s2', EMPTY_HEAD));
      assert.equal(store.unavailable(), null);
      await store.close();
      assert.ok((await pending).ok, 'close waits for what is under way');
      await store.close();
      const late = await log.append(appendAfter('s3', EMPTY_HEAD));
      assert.equal(late.ok ? 'ok' : late.code, 'unavailable');
      assert.notEqual(store.unavailable(), null, 'a closed store says that it is');
      const calls = [
        () => log.read('s1', { after: 0, limit: 1 }),
        () => log.get('s1'),
        () => log.find('k'),
        () => log.body('s1', 1, 'd'),
        () => log.list({ limit: 1 }),
        () => log.runs({ limit: 1 }),
        () => log.run('s1', 'r1'),
        () => log.due({ now: 0, after: null, limit: 1 }),
        () => log.feed('', 1),
        () => log.delete('s1'),
        () => log.verify(),
        () => home.snapshots.load('s1'),
        () => home.snapshots.drop('s1'),
        () => home.blobs.put(new Uint8Array(1)),
        () => home.blobs.get('d'),
        () => home.blobs.has('d'),
        () => home.blobs.list({ after: null, limit: 1 }),
        () => home.blobs.delete('d'),
        () => home.docs.get('k', 'i'),
        () => home.docs.put('k', 'i', {}, 0),
        () => home.docs.list('k', { after: null, limit: 1 }),
        () => home.docs.search('k', 'q', 1),
        () => home.leases.claim('n', 'h', 1),
        () => home.leases.renew('n', 'h', 1, 1),
        () => home.leases.release('n', 'h', 1),
        () => home.leases.offer('n'),
        () => home.leases.list('n'),
        () => store.tenants(),
      ];
      for (const call of calls) await rejectsWith('unavailable', call());
    },
  },
];
