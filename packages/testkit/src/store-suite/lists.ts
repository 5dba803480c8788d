import assert from 'node:assert/strict';
import type { Page, SessionIndex } from '@perdure/runtime/ports';
import { append, rejectsWith, runRow, EMPTY_HEAD, type Law, type World } from './world.ts';

/** Sessions s0 … s{count-1}, created in this order. */
async function sessions(world: World, count: number, index: (at: number) => Partial<SessionIndex>): Promise<void> {
  for (let at = 0; at < count; at++) await append(world.log, `s${at}`, EMPTY_HEAD, { index: index(at) });
}

async function pages<T>(page: (cursor: string | undefined) => Promise<Page<T>>): Promise<T[][]> {
  const all: T[][] = [];
  let cursor: string | undefined;
  do {
    const { items, next } = await page(cursor);
    all.push(items);
    cursor = next ?? undefined;
  } while (cursor !== undefined && all.length < 100);
  return all;
}

/** Laws of lists, due work and the feed: order, filters, cursors. */
export const listLaws: readonly Law[] = [
  {
    name: 'sessions are listed newest first by creation, whatever changes later',
    async run(world) {
      await sessions(world, 5, () => ({}));
      const first = await world.log.get('s0');
      await append(world.log, 's0', first?.head ?? EMPTY_HEAD, { index: { title: 'changed' } });
      await world.reopen();
      const { items, next } = await world.log.list({ limit: 10 });
      assert.deepEqual(
        items.map((row) => row.id),
        ['s4', 's3', 's2', 's1', 's0'],
      );
      assert.equal(next, null);
      assert.deepEqual(items[4], await world.log.get('s0'));
    },
  },
  {
    name: 'pages of a list neither repeat nor miss a session when others are created meanwhile',
    async run(world) {
      await sessions(world, 7, () => ({}));
      let extra = 0;
      const found = await pages(async (cursor) => {
        const page = await world.log.list({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
        await append(world.log, `x${extra++}`, EMPTY_HEAD);
        return page;
      });
      assert.deepEqual(
        found.map((page) => page.map((row) => row.id)),
        [['s6', 's5', 's4'], ['s3', 's2', 's1'], ['s0']],
      );
    },
  },
  {
    name: 'lists filter by agent and by status, also both, at the newest state',
    async run(world) {
      await sessions(world, 8, (at) => ({ agent: at % 2 === 0 ? 'a' : 'b', status: at < 4 ? 'idle' : 'running' }));
      const head = (await world.log.get('s0'))?.head ?? EMPTY_HEAD;
      await append(world.log, 's0', head, { index: { agent: 'a', status: 'running' } });
      const ids = async (query: { agent?: string; status?: string }): Promise<string[]> =>
        (await pages((cursor) => world.log.list({ ...query, limit: 2, ...(cursor === undefined ? {} : { cursor }) })))
          .flat()
          .map((row) => row.id);
      assert.deepEqual(await ids({ agent: 'a' }), ['s6', 's4', 's2', 's0']);
      assert.deepEqual(await ids({ status: 'running' }), ['s7', 's6', 's5', 's4', 's0']);
      assert.deepEqual(await ids({ agent: 'a', status: 'running' }), ['s6', 's4', 's0']);
      assert.deepEqual(await ids({ agent: 'c' }), []);
    },
  },
  {
    name: 'runs are listed newest first and filter by session, agent and status',
    async run(world) {
      const { log } = world;
      const one = await append(log, 's1', EMPTY_HEAD, { runs: [runRow('r1'), runRow('r2', { status: 'queued' })] });
      await append(log, 's2', EMPTY_HEAD, { runs: [runRow('r1', { agent: 'b' })] });
      await append(log, 's1', one, { runs: [runRow('r1', { status: 'completed' }), runRow('r3')] });
      const names = async (query: { agent?: string; status?: string; session?: string }): Promise<string[]> =>
        (await pages((cursor) => log.runs({ ...query, limit: 2, ...(cursor === undefined ? {} : { cursor }) })))
          .flat()
          .map((row) => `${row.session}.${row.run}`);
      assert.deepEqual(await names({}), ['s1.r3', 's2.r1', 's1.r2', 's1.r1']);
      assert.deepEqual(await names({ session: 's1' }), ['s1.r3', 's1.r2', 's1.r1']);
      assert.deepEqual(await names({ agent: 'b' }), ['s2.r1']);
      assert.deepEqual(await names({ status: 'running' }), ['s1.r3', 's2.r1']);
      assert.deepEqual(await names({ session: 's1', status: 'running', agent: 'assistant' }), ['s1.r3']);
      assert.deepEqual(await names({ session: 'nobody' }), []);
      const { session, ...row } = (await log.runs({ session: 's2', limit: 1 })).items[0] ?? {};
      assert.equal(session, 's2');
      assert.deepEqual(row, await log.run('s2', 'r1'));
    },
  },
  {
    name: 'due are the sessions with outstanding effects or a time that has come, each once over the pages',
    async run(world) {
      const dueAt = [null, 50, 100, 101, null, 100, null];
      const outstanding = [1, 0, 0, 0, 0, 3, 0];
      await sessions(world, 7, (at) => ({ dueAt: dueAt[at] ?? null, outstanding: outstanding[at] ?? 0 }));
      const found: string[][] = [];
      let after: string | null = null;
      do {
        const page: { sessions: string[]; next: string | null } = await world.log.due({ now: 100, after, limit: 2 });
        found.push(page.sessions);
        after = page.next;
      } while (after !== null);
      assert.deepEqual(found.flat().toSorted(), ['s0', 's1', 's2', 's5']);
      assert.ok(found.every((page) => page.length <= 2));
      const head = (await world.log.get('s0'))?.head ?? EMPTY_HEAD;
      await append(world.log, 's0', head, {});
      await world.reopen();
      const { sessions: rest } = await world.log.due({ now: 100, after: null, limit: 10 });
      assert.deepEqual(rest.toSorted(), ['s1', 's2', 's5'], 'settled work is not due any more');
    },
  },
  {
    name: 'the feed gives the newest change of each session after the cursor, and nothing twice without a change',
    async run(world) {
      await sessions(world, 3, () => ({}));
      const start = await world.log.feed('', 2);
      assert.ok('changes' in start);
      assert.deepEqual(
        start.changes.map((change) => change.session),
        ['s0', 's1'],
      );
      const head = (await world.log.get('s0'))?.head ?? EMPTY_HEAD;
      await append(world.log, 's0', head, { entries: 2, index: { status: 'running', agent: 'b' } });
      await world.reopen();
      const rest = await world.log.feed(start.cursor, 10);
      assert.ok('changes' in rest);
      assert.deepEqual(rest.changes, [
        { session: 's2', agent: 'assistant', head: 1, status: 'idle' },
        { session: 's0', agent: 'b', head: 3, status: 'running' },
      ]);
      const end = await world.log.feed(rest.cursor, 10);
      assert.deepEqual(end, { changes: [], cursor: rest.cursor });
    },
  },
  {
    name: 'a feed cursor from the future of this store asks for a resync',
    async run(world) {
      await sessions(world, 3, () => ({}));
      const { cursor } = await world.log.feed('', 10);
      const empty = world.store.tenant('empty').log;
      const answer = await empty.feed(cursor, 10);
      assert.ok('resync' in answer);
      assert.deepEqual(await empty.feed(answer.cursor, 10), { changes: [], cursor: answer.cursor });
    },
  },
  {
    name: 'a cursor that is none of this list is refused as bad_cursor',
    async run(world) {
      await sessions(world, 3, () => ({ outstanding: 1 }));
      const { log } = world;
      const { next } = await log.list({ limit: 1 });
      assert.ok(next !== null);
      for (const bad of ['', 'x', '!!', `${next}=`, '-1', 's', 's-1', 's1 ', '../..']) {
        await rejectsWith('bad_cursor', log.list({ limit: 1, cursor: bad }));
        await rejectsWith('bad_cursor', log.runs({ limit: 1, cursor: bad }));
        await rejectsWith('bad_cursor', log.due({ now: 0, after: bad, limit: 1 }));
        if (bad !== '') await rejectsWith('bad_cursor', log.feed(bad, 1));
      }
      await rejectsWith('bad_cursor', log.runs({ limit: 1, cursor: next }));
      await rejectsWith('bad_cursor', log.feed(next, 1));
    },
  },
];
