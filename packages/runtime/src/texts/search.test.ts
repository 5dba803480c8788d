import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualSystem } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import { LIMITS } from '../limits.ts';
import type { HistoryPage, LogStore, ToolContext } from '../ports.ts';
import { StoreDamage } from '../ports.ts';
import { createSearch, termsOf } from './search.ts';

const talk = async (world: World, ...messages: string[]): Promise<string> => {
  const [first = '', ...more] = messages;
  const { session } = await world.open(first);
  await world.system.advance(1_000);
  for (const input of more) {
    await world.call('runs.start', { session, input, mode: 'queue', priority: 0 });
    await world.system.advance(1_000);
  }
  return session;
};
const search = async (world: World, q: string, more: object = {}) =>
  world.call('messages.search', { q, limit: 100, ...more });
const places = ({ hits }: Awaited<ReturnType<typeof search>>): string[] =>
  hits.map(({ session, run, seq }) => `${session}.${run}#${seq}`);

test('what people and models said is found at its place, newest first, as soon as it is acknowledged', async () => {
  const world = await World.create({ script: () => ({ text: 'The kettle is in the kitchen.' }) });
  const one = await talk(world, 'Where is the Kettle?', 'and the cup');
  const found = await search(world, 'kettle');
  assert.deepEqual(
    found.hits.map(({ run, role, seq }) => [run, role, seq]),
    [
      ['r2', 'assistant', 10],
      ['r1', 'assistant', 5],
      ['r1', 'user', 2],
    ],
  );
  const { messages } = await world.call('messages.list', { session: one, limit: 10 });
  assert.deepEqual(
    found.hits.map(({ seq }) => seq),
    messages
      .filter(({ text }) => /kettle/i.test(text))
      .map(({ seq }) => seq)
      .toReversed(),
    'the place is that of the message',
  );
  assert.deepEqual(
    [found.hits[2]?.snippet, found.hits[2]?.title, found.hits[2]?.agent],
    ['Where is the Kettle?', 'Where is the Kettle?', 'assistant'],
  );
  assert.equal(found.behind, undefined);
  const two = await talk(world, 'a "copper kettle" is here');
  assert.deepEqual(places(await search(world, '"copper kettle"')), [`${two}.r1#2`]);
  assert.deepEqual((await search(world, 'kettle "is copper"')).hits, []);
  const page = await search(world, 'kettle', { limit: 2 });
  const rest = await search(world, 'kettle', { limit: 9, cursor: page.next });
  assert.equal(new Set([...places(page), ...places(rest)]).size, 5);
  assert.equal(rest.next, undefined);
});

test('what a tool is told of history is what the method tells, and it knows its agent', async () => {
  let heard: HistoryPage | undefined;
  const remember = tool({
    name: 'remember',
    description: 'Searches.',
    input: { type: 'object' },
    effect: 'pure',
    run: async (_args, context: ToolContext) => {
      heard = await context.history({ text: 'teapot', agent: context.agent, limit: 5 });
      return 'heard';
    },
  });
  const world = await World.create({ tools: [remember], script: () => ({ text: 'ok' }) });
  await talk(world, 'the teapot');
  world.model.expect();
  const asking = await World.create({
    disk: world.disk,
    system: world.system,
    tools: [remember],
    script: [{ calls: [{ name: 'remember' }] }, { text: 'ok' }],
  });
  await talk(asking, 'look it up');
  assert.deepEqual(
    heard?.hits.map(({ snippet }) => snippet),
    ['the teapot'],
  );
});

test('a query without words, with too many, or with a cursor of nowhere is refused', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  await talk(world, 'go');
  const many = Array.from({ length: LIMITS.searchTerms + 1 }, (_, n) => `w${n}`).join(' ');
  for (const q of ['-', '""', ' ', '🙂', many]) {
    const refused = await world.refused('messages.search', { q, limit: 1 });
    assert.deepEqual([refused.code, refused.details], ['invalid_request', { path: 'q' }], q);
  }
  assert.equal(await world.code('messages.search', { q: 'go', limit: 1, cursor: 'nowhere' }), 'invalid_request');
});

test('a query is words and words in quotes, whatever else stands in it', () => {
  assert.deepEqual(termsOf('deploy  "last friday" -x'), ['deploy', 'last friday', '-x']);
  assert.deepEqual(termsOf('"never closed'), ['never closed']);
  assert.deepEqual(termsOf(`a"b c"d`), ['a', 'b c', 'd']);
  assert.deepEqual(termsOf('* a OR NEAR(b)'), ['a', 'OR', 'NEAR(b)']);
});

test('no secret is found, and nothing of a session that was deleted', async () => {
  const world = await World.create({ script: () => ({ text: 'noted' }), secrets: { DB: 'hunter2-hunter2' } });
  const session = await talk(world, 'the password is hunter2-hunter2, keep it');
  assert.deepEqual((await search(world, 'hunter2')).hits, []);
  assert.equal((await search(world, 'password')).hits.length, 1);
  await world.call('sessions.close', { session });
  await world.system.settle();
  await world.call('sessions.delete', { session });
  assert.deepEqual((await search(world, 'password')).hits, []);
});

test('a long message is found, and a long log page by page', async () => {
  const world = await World.create({ script: () => ({ text: 'answer' }) });
  const long = `${'filler '.repeat(20_000)} needle`;
  const session = await talk(world, long);
  assert.deepEqual(places(await search(world, 'needle')), [`${session}.r1#2`]);
  assert.match((await search(world, 'needle')).hits[0]?.snippet ?? '', /filler needle$/);
  const messages = Array.from({ length: LIMITS.pageFrames }, (_, n) => `message number ${n}`);
  const many = await talk(world, ...messages);
  assert.equal((await search(world, 'message number')).hits.length, messages.length);
  assert.equal((await search(world, `number ${messages.length - 1}`)).hits[0]?.session, many);
});

/** A search over the log of a world, some of it made to behave otherwise. */
function searchOver(world: World, own: Partial<LogStore>, system = createVirtualSystem()) {
  const log = new Proxy(world.log, { get: (target, name) => Reflect.get(own, name) ?? Reflect.get(target, name) });
  const store = { log, blobs: world.host.parts.store.blobs };
  const { logger } = world.host.parts;
  return createSearch({ store, timers: system.timers, logger, stopping: new AbortController().signal });
}

test('a session that cannot be read is passed over, and is not shown where it was found before', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const bad = await talk(world, 'bad kettle');
  const good = await talk(world, 'good kettle');
  const damage = (session: string): void => {
    if (session === bad) throw new StoreDamage({ session, code: 'hash', seq: 1, detail: 'as the test says' });
  };
  const find = searchOver(world, {
    read: async (session, options) => (damage(session), world.log.read(session, options)),
    get: async (session) => (damage(session), world.log.get(session)),
  });
  const sessionsIn = async (): Promise<string[]> =>
    (await find({ text: 'kettle', limit: 9 })).hits.map(({ session }) => session);
  assert.deepEqual(await sessionsIn(), [good]);
  await searchOver(world, {})({ text: 'kettle', limit: 9 });
  assert.deepEqual(await sessionsIn(), [good]);
});

test('an index that takes long answers with what it has, says so, and goes on', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  await talk(world, 'first kettle');
  await searchOver(world, {})({ text: 'kettle', limit: 9 });
  await talk(world, 'second kettle');
  const gate = Promise.withResolvers<void>();
  const { texts } = world.log;
  const slow: LogStore['texts'] = {
    ...texts,
    add: async (batch, cursor) => {
      await gate.promise;
      return texts.add(batch, cursor);
    },
  };
  const system = createVirtualSystem();
  const find = searchOver(world, { texts: slow }, system);
  const asked = find({ text: 'kettle', limit: 9 });
  await system.advance(LIMITS.searchWaitMs);
  const first = await asked;
  assert.deepEqual([first.hits.length, first.behind], [1, true]);
  gate.resolve();
  const second = await find({ text: 'kettle', limit: 9 });
  assert.deepEqual([second.hits.length, second.behind], [2, false]);
  assert.equal(system.timersSet, 0);
});

test('an index that cannot be brought up answers with what it has, says so, and is brought up by the next search', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  await talk(world, 'a kettle');
  let broken = true;
  const { texts } = world.log;
  const find = searchOver(world, {
    texts: {
      ...texts,
      add: async (batch, cursor) => {
        if (broken) throw Object.assign(new Error('no space'), { code: 'full' });
        return texts.add(batch, cursor);
      },
    },
  });
  assert.deepEqual(await find({ text: 'kettle', limit: 9 }), { hits: [], next: null, behind: true });
  broken = false;
  assert.equal((await find({ text: 'kettle', limit: 9 })).hits.length, 1);
});

test('a cursor that the feed does not know any more begins at the start, and finds nothing twice', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  await talk(world, 'a kettle');
  await searchOver(world, {})({ text: 'kettle', limit: 9 });
  await talk(world, 'another kettle');
  let told = 0;
  const find = searchOver(world, {
    feed: async (after, limit) => {
      if (after === '' || told > 0) return world.log.feed(after, limit);
      told += 1;
      return { resync: true, cursor: after };
    },
  });
  const { hits, behind } = await find({ text: 'kettle', limit: 9 });
  assert.deepEqual([told, hits.length, behind], [1, 2, false]);
});
