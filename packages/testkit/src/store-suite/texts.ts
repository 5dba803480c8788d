import assert from 'node:assert/strict';
import type { Said, SaidHit, TextIndex } from '@perdure/runtime/ports';
import type { Law, World } from './world.ts';
import { append, EMPTY_HEAD, rejectsWith } from './world.ts';

const said = (seq: number, text: string, changes: Partial<Said> = {}): Said => ({
  seq,
  at: 1_700_000_000_000 + seq,
  run: 'r1',
  role: seq % 2 === 1 ? 'user' : 'assistant',
  text,
  ...changes,
});

/** A session with so many entries, and what was said in it. */
async function session({ log }: World, id: string, texts: readonly Said[], agent = 'assistant'): Promise<void> {
  const head = await append(log, id, EMPTY_HEAD, { entries: Math.max(1, ...texts.map(({ seq }) => seq)) });
  await log.texts.add([{ session: id, agent, upTo: head.seq, said: texts }], 'c');
}

async function found(texts: TextIndex, ...terms: string[]): Promise<string[]> {
  const { items } = await texts.search({ terms, limit: 100 });
  return items.map(({ session: id, seq }) => `${id}.${seq}`);
}

export const textLaws: readonly Law[] = [
  {
    name: 'search finds what was said by all of its words, in any case, newest first',
    async run(world) {
      await session(world, 's1', [said(1, 'Deploy on Friday'), said(2, 'Friday it is'), said(3, 'deploy, now!')]);
      await session(world, 's2', [said(9, 'The FRIDAY deploy failed', { run: 'r4', at: 1_700_000_000_002 })], 'ops');
      const { texts } = world.log;
      assert.deepEqual(await found(texts, 'deploy'), ['s1.3', 's2.9', 's1.1']);
      assert.deepEqual(await found(texts, 'friday', 'deploy'), ['s2.9', 's1.1']);
      assert.deepEqual(await found(texts, 'dep'), []);
      assert.deepEqual(await found(texts, 'deploy', 'sunday'), []);
      const { items } = await texts.search({ terms: ['failed'], limit: 9 });
      const hit: SaidHit = {
        session: 's2',
        agent: 'ops',
        seq: 9,
        at: 1_700_000_000_002,
        run: 'r4',
        role: 'user',
        snippet: 'The FRIDAY deploy failed',
      };
      assert.deepEqual(items, [hit]);
    },
  },
  {
    name: 'a term of several words is found only where they follow each other',
    async run(world) {
      await session(world, 's1', [said(1, 'one two three'), said(2, 'two, one'), said(3, 'One-two.')]);
      assert.deepEqual(await found(world.log.texts, 'one two'), ['s1.3', 's1.1']);
      assert.deepEqual(await found(world.log.texts, 'two', 'one'), ['s1.3', 's1.2', 's1.1']);
    },
  },
  {
    name: 'words of any script are found, composed or not, and without spaces by any run of characters',
    async run(world) {
      const texts = ['Straße nach Kraków', 'cafe\u0301 ﬁn', '今日は東京で会議です', 'नमस्ते दुनिया', 'Цена ½'];
      await session(
        world,
        's1',
        texts.map((text, index) => said(index + 1, text)),
      );
      const one = async (...terms: string[]): Promise<string[]> => found(world.log.texts, ...terms);
      assert.deepEqual(await one('STRAßE'), ['s1.1']);
      assert.deepEqual(await one('KRAKÓW'), ['s1.1']);
      assert.deepEqual(await one('café', 'fin'), ['s1.2']);
      assert.deepEqual(await one('東京'), ['s1.3']);
      assert.deepEqual(await one('京東'), []);
      assert.deepEqual(await one('दुनिया'), ['s1.4']);
      assert.deepEqual(await one('цена', '½'), ['s1.5']);
    },
  },
  {
    name: 'no query is anything but words, and none without words finds anything',
    async run(world) {
      await session(world, 's1', [said(1, `it's "quoted" OR 1=1 -- * NEAR(a b) ^x {y} col:z`)]);
      for (const term of ['"', '*', "'", '%', '--', '^', ':', '( )', '', '\0', '🙂'])
        assert.deepEqual(await found(world.log.texts, term), [], term);
      assert.deepEqual(await found(world.log.texts), []);
      for (const term of ['"quoted"', 'OR', 'NEAR(a b)', 'col:z', "it's", '1=1', 'quoted" OR "1', 'x\0{y}'])
        assert.deepEqual(await found(world.log.texts, term), ['s1.1'], term);
      for (const term of ['AND', 'NOT quoted', 'text', 'session', 'quot*', 'rowid'])
        assert.deepEqual(await found(world.log.texts, term), [], term);
    },
  },
  {
    name: 'search gives pages without gaps or repetition, also of what was said at the same moment',
    async run(world) {
      const at = 1_700_000_000_000;
      await session(
        world,
        's1',
        Array.from({ length: 7 }, (_, n) => said(n + 1, `word ${n}`, { at: n < 4 ? at : at + n })),
      );
      const seen: number[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: Awaited<ReturnType<TextIndex['search']>> = await world.log.texts.search({
          terms: ['word'],
          limit: 3,
          ...(cursor === '' ? {} : { cursor }),
        });
        assert.ok(page.items.length <= 3);
        seen.push(...page.items.map(({ seq }) => seq));
        cursor = page.next;
      }
      assert.deepEqual(seen.slice(0, 3), [7, 6, 5]);
      assert.deepEqual(
        seen.toSorted((a, b) => a - b),
        [1, 2, 3, 4, 5, 6, 7],
      );
      await rejectsWith('bad_cursor', world.log.texts.search({ terms: ['word'], limit: 3, cursor: 's1' }));
    },
  },
  {
    name: 'search can be kept to one agent',
    async run(world) {
      await session(world, 's1', [said(1, 'hello')], 'a');
      await session(world, 's2', [said(2, 'hello')], 'b');
      const { items } = await world.log.texts.search({ terms: ['hello'], agent: 'a', limit: 9 });
      assert.deepEqual(
        items.map((hit) => hit.session),
        ['s1'],
      );
      assert.deepEqual((await world.log.texts.search({ terms: ['hello'], agent: 'c', limit: 9 })).items, []);
    },
  },
  {
    name: 'a session is indexed once, however often it is brought, and goes on where it was',
    async run(world) {
      const { log } = world;
      assert.deepEqual(await log.texts.progress(['s1']), { cursor: '', reached: [0] });
      await session(world, 's1', [said(1, 'first'), said(2, 'second')]);
      await log.texts.add([{ session: 's1', agent: 'assistant', upTo: 2, said: [said(1, 'first')] }], 'd');
      const more = { session: 's1', agent: 'assistant', upTo: 5, said: [said(2, 'second'), said(4, 'first again')] };
      await log.texts.add([more], 'e');
      assert.deepEqual(await found(log.texts, 'first'), ['s1.4', 's1.1']);
      assert.deepEqual(await found(log.texts, 'second'), ['s1.2']);
      assert.deepEqual(await log.texts.progress(['s2', 's1']), { cursor: 'e', reached: [0, 5] });
    },
  },
  {
    name: 'what is indexed is there when the data is opened again, or all of it is made anew',
    async run(world) {
      await session(world, 's1', [said(1, 'kept')]);
      await world.reopen();
      const { texts } = world.log;
      const { cursor, reached } = await texts.progress(['s1']);
      if (cursor === '') assert.deepEqual(reached, [0]);
      else assert.deepEqual([reached, await found(texts, 'kept')], [[1], ['s1.1']]);
    },
  },
  {
    name: 'a deleted session is gone from search at once, and nothing brings it back',
    async run(world) {
      const { log } = world;
      await session(world, 's1', [said(1, 'secret plan')]);
      await session(world, 's2', [said(1, 'other plan')]);
      assert.equal(await log.delete('s1'), true);
      assert.deepEqual(await found(log.texts, 'plan'), ['s2.1']);
      const late = { session: 's1', agent: 'assistant', upTo: 9, said: [said(2, 'secret plan')] };
      await log.texts.add([late], 'd');
      assert.deepEqual(await found(log.texts, 'plan'), ['s2.1']);
      await world.reopen();
      await world.log.texts.add([late], 'e');
      assert.deepEqual(await found(world.log.texts, 'secret'), []);
    },
  },
  {
    name: 'a session that nobody indexed can be deleted, and is in no search afterwards',
    async run(world) {
      await append(world.log, 's1', EMPTY_HEAD);
      assert.equal(await world.log.delete('s1'), true);
      await world.log.texts.add([{ session: 's1', agent: 'a', upTo: 1, said: [said(1, 'late')] }], 'c');
      assert.deepEqual(await found(world.log.texts, 'late'), []);
    },
  },
  {
    name: 'a snippet is a line around what was found, however long the text is',
    async run(world) {
      const long = `${'before '.repeat(500)}\n\nthe  needle\n${'after '.repeat(500)}`;
      await session(world, 's1', [said(1, long), said(2, 'x'.repeat(5_000)), said(3, `a ${'𝔘'.repeat(1_000)} b`)]);
      const snippet = async (term: string): Promise<string> =>
        (await world.log.texts.search({ terms: [term], limit: 1 })).items[0]?.snippet ?? '';
      assert.match(await snippet('needle'), /^…before .*before the needle after .*after…$/);
      for (const term of ['needle', 'a', 'b', 'before']) {
        const shown = await snippet(term);
        assert.ok(shown.length > 0 && shown.length <= 1_000 && shown.isWellFormed(), shown);
      }
    },
  },
  {
    name: 'nothing of one tenant is found from another',
    async run(world) {
      await session(world, 's1', [said(1, 'mine')]);
      const other = world.store.tenant('other').log;
      assert.deepEqual(await found(other.texts, 'mine'), []);
      assert.deepEqual(await other.texts.progress(['s1']), { cursor: '', reached: [0] });
      await append(other, 's1', EMPTY_HEAD);
      await other.texts.add([{ session: 's1', agent: 'a', upTo: 1, said: [said(1, 'theirs')] }], 'c');
      assert.deepEqual(await found(world.log.texts, 'theirs'), []);
      assert.equal(await other.delete('s1'), true);
      assert.deepEqual(await found(world.log.texts, 'mine'), ['s1.1']);
    },
  },
];
