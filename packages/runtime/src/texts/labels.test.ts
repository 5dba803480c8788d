import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyRule } from '@perdure/engine';
import type { ScriptedCall, ScriptedReply } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import type { HistoryPage, ToolContext } from '../ports.ts';
import { createHistory } from './labels.ts';
import { createSearch } from './search.ts';

const input = { type: 'object' };
const fetch = tool({
  name: 'fetch',
  description: 'Fetches.',
  input,
  effect: 'pure',
  taint: 'web',
  run: () => 'a page',
});
const look = tool({
  name: 'look',
  description: 'Searches what was said.',
  input,
  effect: 'pure',
  run: async (_args, context: ToolContext) => {
    const { hits } = await context.history({ text: 'kettle', limit: 9 });
    return hits.map(({ snippet }) => snippet).join('\n');
  },
});
const post = tool({ name: 'post', description: 'Posts.', input, run: () => 'posted' });
const rules: PolicyRule[] = [{ decision: 'deny', tool: '*', tainted: ['web'], acts: ['egress'] }];

/** What the model does is what its last message asks for, one word a turn; then it says `says`. */
const obeying =
  (says: string) =>
  ({ items }: ScriptedCall): ScriptedReply => {
    const place = items.findLastIndex(({ kind }) => kind === 'message');
    const words = JSON.stringify(items[place]).match(/fetch|look|post/g) ?? [];
    const name = words[items.slice(place).filter(({ kind }) => kind === 'turn').length];
    return name === undefined ? { text: says } : { calls: [{ name }] };
  };
const worldOf = async (says = 'the kettle is copper'): Promise<World> =>
  World.create({ tools: [fetch, look, post], script: obeying(says), agent: { policies: { rules } } });
const say = async (world: World, text: string): Promise<string> => {
  const { session } = await world.open(text);
  await world.system.settle();
  return session;
};
const stepsOf = async (world: World, session: string) =>
  (await world.call('messages.list', { session, limit: 50 })).messages.flatMap(({ steps = [] }) => steps);

test('what the web said comes back out of the history as the words of the web, and what leaves the machine is denied', async () => {
  const world = await worldOf();
  await say(world, 'fetch it');
  const session = await say(world, 'look and post');
  const steps = await stepsOf(world, session);
  assert.deepEqual(
    steps.map(({ name, status, taint }) => [name, status, taint]),
    [
      ['look', 'done', ['web']],
      ['post', 'denied', undefined],
    ],
  );
  assert.match(String(steps[0]?.result), /kettle/);
});

test('words of the web stay so however many conversations they went through', async () => {
  const world = await worldOf();
  await say(world, 'fetch it');
  await say(world, 'look');
  await world.call('sessions.list', { limit: 1 });
  const history = historyOf(world);
  const { hits } = await history({ text: 'kettle', limit: 9 });
  assert.deepEqual(
    hits.map(({ role, taint }) => [role, taint]),
    [
      ['assistant', ['web']],
      ['assistant', ['web']],
    ],
  );
});

test('what was said before anything was read, and what nothing was found of, taints nothing', async () => {
  const world = await worldOf();
  const first = await say(world, 'the kettle, please');
  await world.call('runs.start', { session: first, input: 'now fetch it', mode: 'queue', priority: 0 });
  await world.system.settle();
  const { hits } = await historyOf(world)({ text: 'kettle', limit: 9 });
  assert.deepEqual(
    hits.map(({ run, role, taint }) => `${run} ${role} ${taint.join()}`),
    ['r2 assistant web', 'r1 assistant ', 'r1 user '],
  );
  const other = await worldOf('a cup');
  const session = await say(other, 'look and post');
  assert.deepEqual(
    (await stepsOf(other, session)).map(({ name, status, taint }) => [name, status, taint]),
    [
      ['look', 'done', undefined],
      ['post', 'done', undefined],
    ],
  );
});

test('a call that was shown such words and failed over them carries their labels, too', async () => {
  const stumbling = tool({
    name: 'look',
    description: 'Searches, and throws what it finds.',
    input,
    effect: 'pure',
    run: async (_args, context: ToolContext) => {
      throw new Error((await context.history({ text: 'kettle', limit: 9 })).hits[0]?.snippet);
    },
  });
  const world = await World.create({ tools: [fetch, stumbling, post], script: obeying('the kettle is copper') });
  await say(world, 'fetch it');
  const [step] = await stepsOf(world, await say(world, 'look'));
  assert.deepEqual([step?.status, step?.taint], ['failed', ['web']]);
});

test('a message of somebody untrusted is that also where it waits, and where it was never read', async () => {
  const world = await worldOf('ok');
  const session = await say(world, 'hello');
  await world.call('runs.start', { session, input: 'sleep', mode: 'queue', priority: 0 });
  const stranger = { ...world.caller(), actor: { kind: 'system', id: 'other' } } as const;
  await world.host.call(stranger, 'runs.start', { session, input: 'kettle of a stranger', mode: 'queue', priority: 0 });
  await world.call('runs.start', { session, input: 'kettle of its user', mode: 'queue', priority: 9 });
  const { hits } = await historyOf(world)({ text: 'kettle', limit: 9 });
  assert.deepEqual(
    new Map(hits.map(({ snippet, taint }) => [snippet, taint.join()])).get('kettle of a stranger'),
    'input',
  );
});

test("words whose log cannot be read, or that is parked, may be anybody's", async () => {
  const world = await worldOf();
  const session = await say(world, 'kettle');
  const search = searchOf(world);
  const page = await search({ text: 'kettle', limit: 9 });
  const { sessions, store } = world.host.parts;
  const labels = async (options: Partial<Parameters<typeof createHistory>[0]>): Promise<string[]> => {
    const history = createHistory({
      search: async () => page,
      sessions,
      log: store.log,
      quarantine: new Set<string>(),
      ...options,
    });
    return (await history({ text: 'kettle', limit: 9 })).hits.map(({ role, taint }) => `${role} ${taint.join()}`);
  };
  const all = 'web,file,tool,input';
  const broken = async (): Promise<never> => Promise.reject(new Error('damaged'));
  assert.deepEqual(await labels({}), ['assistant ', 'user ']);
  assert.deepEqual(await labels({ quarantine: new Set([session]) }), [`assistant ${all}`, `user ${all}`]);
  assert.deepEqual(await labels({ log: { read: broken } }), ['assistant ', `user ${all}`]);
  sessions.drop(session);
  world.weather.reads = () => {
    throw new Error('damaged');
  };
  assert.deepEqual(await labels({}), [`assistant ${all}`, `user ${all}`]);
  world.weather.reads = null;
  assert.deepEqual(
    await labels({ search: async () => ({ ...page, hits: page.hits.map((hit) => ({ ...hit, seq: 99 })) }) }),
    [`assistant ${all}`, `user ${all}`],
  );
});

test('what another process has written meanwhile is looked at, not what this one remembers', async () => {
  const world = await World.create({ tools: [fetch], script: obeying('the kettle is copper'), shared: true });
  const beside = await World.create({
    tools: [fetch],
    script: obeying('the kettle is copper'),
    shared: true,
    beside: world,
    idle: true,
  });
  const session = await say(world, 'kettle');
  await beside.host.parts.sessions.exclusive(session, async () => beside.host.parts.sessions.load(session));
  await world.call('runs.start', { session, input: 'fetch it', mode: 'queue', priority: 0 });
  await world.system.settle();
  const { hits } = await historyOf(beside)({ text: 'kettle', limit: 9 });
  assert.deepEqual(
    hits.map(({ run, role, taint }) => `${run} ${role} ${taint.join()}`),
    ['r2 assistant web', 'r1 assistant ', 'r1 user '],
  );
});

const searchOf = (world: World) => {
  const { store, logger } = world.host.parts;
  return createSearch({ store, timers: world.system.timers, logger, stopping: new AbortController().signal });
};
function historyOf(world: World): (query: { text: string; limit: number }) => Promise<HistoryPage> {
  const { sessions, store, quarantine } = world.host.parts;
  return createHistory({ search: searchOf(world), sessions, log: store.log, quarantine });
}
