import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptedCall, ScriptedReply } from '@perdure/testkit';
import type { WorldOptions } from '../../test/world.ts';
import { World } from '../../test/world.ts';
import { agent, ConfigError } from '../index.ts';
import type { ModelInfo } from '../ports.ts';

const LONG = 'A long story. '.repeat(200);
const ITEM = [{ type: 'compaction', id: 'cmp_1', encrypted_content: 'sealed' }];
const never = new Promise<never>(() => {});
const CHEAP = {
  id: 'cheap',
  input: 10,
  cachedInput: 10,
  cacheWrite: 10,
  output: 20,
  source: 'a test',
  date: '2026-01-01',
};

const textOf = (item: ScriptedCall['items'][number] | undefined): string =>
  item?.kind === 'message' ? item.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') : '';
const isSummary = ({ items }: ScriptedCall): boolean =>
  /The conversation so far has grown long/.test(textOf(items.at(-1)));
/** Of the models of the scripted provider `scripted` and `scripted/two` compact, and `scripted/cheap` is the cheap one. */
const info =
  (compacts: ModelInfo['compacts'], summarizer?: string) =>
  (id: string): Partial<ModelInfo> => ({
    ...(compacts === undefined || id === 'scripted/cheap' ? {} : { compacts }),
    ...(summarizer === undefined ? {} : { summarizer }),
    ...(id === 'scripted/cheap' ? { price: CHEAP } : {}),
  });
const OPAQUE = { scripted: { info: info({ maxOutputTokens: 2_000, opaque: true }) } };
const READABLE = { scripted: { info: info({ maxOutputTokens: 2_000 }) } };
const script =
  (compacted: ScriptedReply) =>
  (call: ScriptedCall): ScriptedReply => {
    if (call.compacts) return compacted;
    return isSummary(call) ? { text: 'They told stories.' } : { text: `${LONG}${call.n}` };
  };

const send = async (world: World, session: string, input: string, config?: { model: string }) => {
  const { run } = await world.call('runs.start', {
    session,
    input,
    mode: 'queue',
    priority: 0,
    ...(config === undefined ? {} : { config }),
  });
  return world.run(session, run.id);
};
const eventsOf = async (world: World, session: string) =>
  (await world.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 })).events;
/** One message and its answer, compacted. */
async function compacted(options: WorldOptions, reply: ScriptedReply = { native: ITEM }) {
  const world = await World.create({ script: script(reply), ...options });
  const { session } = await world.open('tell me of the sea');
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  const ends = (await eventsOf(world, session)).flatMap((event) =>
    event.kind === 'compaction.settled' ? [event.data.outcome === 'failed' ? event.data.code : event.data.outcome] : [],
  );
  return { world, session, ends };
}

test('what a provider compacts itself is asked for with what its turns are sent, and goes back as it came', async () => {
  const { world, session, ends } = await compacted(OPAQUE);
  const [turn, asked] = world.model.calls;
  assert.deepEqual([ends, asked?.compacts], [['done'], true]);
  assert.equal(asked?.request.rendered.startsWith(`${turn?.request.rendered ?? '-'},`), true);
  assert.deepEqual(
    asked?.items.map(({ kind }) => kind),
    ['message', 'turn'],
  );
  assert.deepEqual(
    [asked?.request.instructions, asked?.request.tools, asked?.request.cacheKey, asked?.request.params],
    [turn?.request.instructions, turn?.request.tools, turn?.request.cacheKey, { maxOutputTokens: 2_000 }],
  );
  const ended = await send(world, session, 'and of the hills');
  assert.equal(ended.status, 'completed');
  const items = world.model.calls.at(-1)?.items ?? [];
  assert.deepEqual(items[0], { kind: 'turn', model: 'scripted', text: '', calls: [], native: ITEM });
  assert.equal(textOf(items[1]), 'and of the hills');
  assert.equal(items.length, 2);
  for (const run of ['r1', 'r2'] as const)
    assert.equal((await world.call('turns.request', { session, run, n: 1 })).exact, true);
  assert.equal(world.lines.filter(({ level }) => level === 'warn').length, 0);
  const { messages } = await world.call('messages.list', { session, limit: 100 });
  assert.match(messages[2]?.text ?? '', /compacted by the provider of scripted/);
});

test('another model reads the conversation again that the first one’s provider had compacted', async () => {
  const { world, session } = await compacted(OPAQUE);
  await send(world, session, 'and of the hills', { model: 'scripted/two' });
  const items = world.model.calls.at(-1)?.items ?? [];
  assert.deepEqual(
    items.map(({ kind }) => kind),
    ['message', 'turn', 'message'],
  );
  assert.equal(textOf(items[0]), 'tell me of the sea');
  assert.equal(JSON.stringify(items).includes('sealed'), false);
  await send(world, session, 'and back', { model: 'scripted' });
  assert.equal(world.model.calls.at(-1)?.items.length, 5);
  for (const run of ['r2', 'r3'] as const)
    assert.equal((await world.call('turns.request', { session, run, n: 1 })).exact, true);
  const kinds = (await eventsOf(world, session)).map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === 'context.restored').length, 1);
});

test('another model is compacted for as soon as what it reads again does not fit', async () => {
  const compacts = { maxOutputTokens: 2_000, opaque: true } as const;
  const small = (id: string): Partial<ModelInfo> =>
    id === 'scripted/two' ? { windowTokens: 1_000, maxOutputTokens: 200 } : { compacts };
  const { world, session } = await compacted({ scripted: { info: small } });
  const ended = await send(world, session, 'and of the hills', { model: 'scripted/two' });
  assert.equal(ended.status, 'completed');
  assert.match(textOf(world.model.calls.at(-1)?.items[0]), /They told stories/);
});

test('what others can read of it is what they are sent in its place', async () => {
  const { world, session } = await compacted(READABLE, { native: ITEM, text: 'It was about the sea.' });
  await send(world, session, 'go on');
  assert.equal(world.model.calls.at(-1)?.items[0]?.kind, 'turn');
  await send(world, session, 'go on', { model: 'scripted/two' });
  const [first] = world.model.calls.at(-1)?.items ?? [];
  assert.match(textOf(first), /summary of the conversation before[\s\S]*It was about the sea\./);
  assert.equal((await world.kinds(session)).includes('context.restored'), false);
});

test('a provider that cannot is followed by a summary, in the same append and without a word to the user', async () => {
  const { world, session, ends } = await compacted(OPAQUE, { fail: 'unsupported', retry: 'no' });
  assert.deepEqual(ends, ['unsupported', 'done']);
  await send(world, session, 'go on');
  assert.match(textOf(world.model.calls.at(-1)?.items[0]), /They told stories/);
  const { spans } = await world.call('trace.get', { session, limit: 100 });
  const seen = spans.filter(({ kind }) => kind === 'compaction').map(({ status, by, code }) => [status, by, code]);
  assert.deepEqual(seen, [
    ['failed', 'native', 'unsupported'],
    ['done', undefined, undefined],
  ]);
});

test('what is asked for is sealed with how it is asked: the same context is not the same compaction', async () => {
  const same = { scripted: { maxOutputTokens: 4_096, info: info({ maxOutputTokens: 4_096 }) } };
  const { world, session, ends } = await compacted(same, { fail: 'unsupported', retry: 'no' });
  assert.deepEqual(ends, ['unsupported', 'done']);
  const seals = (await eventsOf(world, session)).flatMap((event) =>
    event.kind === 'compaction.requested' ? [[event.data.maxOutputTokens, event.data.fingerprint]] : [],
  );
  assert.deepEqual(
    seals.map(([output]) => output),
    [4_096, 4_096],
  );
  assert.notEqual(seals[0]?.[1], seals[1]?.[1]);
});

test('an adapter that does not compact, of a model that is said to, is one that cannot', async () => {
  const world = await World.create({ ...OPAQUE, script: script({ native: ITEM }) });
  const found = world.model.source.resolve('scripted');
  assert.ok(found.ok);
  delete found.adapter.compact;
  const { session } = await world.open('tell me of the sea');
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  const codes = (await eventsOf(world, session)).flatMap((event) =>
    event.kind === 'compaction.settled' && event.data.outcome === 'failed' ? [event.data.code] : [],
  );
  assert.deepEqual(codes, ['unsupported']);
  assert.equal((await world.kinds(session)).includes('context.compacted'), true);
});

test('a provider’s item in which a secret was found is dropped: what can be read of it stands, else a summary', async () => {
  const secrets = { DB: 'hunter2-hunter2' };
  const native = [...ITEM, { type: 'message', text: 'the password is hunter2-hunter2' }];
  const told = await compacted({ ...READABLE, secrets }, { native, text: 'the password is hunter2-hunter2' });
  assert.deepEqual(told.ends, ['done']);
  const sealed = await compacted({ ...OPAQUE, secrets }, { native });
  assert.deepEqual(sealed.ends, ['empty', 'done']);
  for (const { world, session } of [told, sealed]) {
    assert.equal(
      world.lines.some(({ message }) => /was changed/.test(message)),
      true,
    );
    await send(world, session, 'go on');
    const sent = world.model.calls.at(-1);
    assert.equal(textOf(sent?.items[0]).startsWith('This is a summary'), true);
    assert.doesNotMatch(JSON.stringify(sent?.request), /hunter2/);
  }
});

test('a hook sees it, and may refuse it: then nobody else is asked', async () => {
  const seen: string[] = [];
  const hooks = [
    {
      name: 'guard',
      outcome: ({ kind, text }: { kind: string; text: string }) => {
        if (kind !== 'compaction') return { verdict: 'pass' } as const;
        seen.push(text);
        return { verdict: 'block', reason: 'not here' } as const;
      },
    },
  ];
  const { ends } = await compacted({ ...READABLE, host: { hooks } }, { native: ITEM, text: 'It was about the sea.' });
  assert.deepEqual([ends, seen], [['blocked'], ['It was about the sea.']]);
});

test('`native: never` is obeyed, for an agent, a session and a run; another word is refused', async () => {
  const asks = async (options: WorldOptions, config?: { compaction: { native: 'auto' | 'never' } }) => {
    const world = await World.create({ ...OPAQUE, script: script({ native: ITEM }), ...options });
    const { session } = await world.open('tell me of the sea', config === undefined ? {} : { config });
    await world.system.settle();
    await world.call('context.compact', { session });
    await world.system.settle();
    return world.model.calls.at(-1)?.compacts;
  };
  assert.equal(await asks({}), true);
  assert.equal(await asks({ agent: { compaction: { native: 'never' } } }), false);
  assert.equal(await asks({}, { compaction: { native: 'never' } }), false);
  assert.equal(await asks({ agent: { compaction: { native: 'never' } } }, { compaction: { native: 'auto' } }), true);
  // Who names a model wants its summaries, unless both are named.
  assert.equal(await asks({ agent: { compaction: { model: 'scripted/small' } } }), false);
  assert.equal(await asks({ agent: { compaction: { model: 'scripted/small', native: 'auto' } } }), true);
  const odd = { native: 'always' } as unknown as { native: 'never' };
  assert.throws(() => agent({ name: 'odd', model: 'scripted', compaction: odd }), ConfigError);
});

test('a compaction by a provider that a crash cut off is charged once, and asked of it again', async () => {
  let isUp = false;
  const world = await World.create({
    ...OPAQUE,
    agent: { limits: { session: { tokens: 200_000 } } },
    script: (call) => (call.compacts && !isUp ? { hold: never } : script({ native: ITEM })(call)),
  });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  isUp = true;
  const after = await world.crash();
  await after.system.settle();
  const events = await eventsOf(after, session);
  const charged = events.flatMap((event) =>
    event.kind === 'compaction.attempted' ? [event.data.charged?.tokens ?? 0] : [],
  );
  assert.equal(charged.length, 1);
  assert.equal(after.model.calls.at(-1)?.compacts, true);
  const { usage } = await after.call('sessions.get', { session });
  const account = world.disk.tenants.get('default')?.accounts.get(session);
  const sum = usage.input + usage.cachedInput + usage.cacheWrite + usage.output;
  assert.deepEqual([account?.spent.tokens, account?.reserved.tokens], [sum, 0]);
  assert.ok((charged[0] ?? 0) > 2_000);
});

test('where nobody is named a cheap model of the same provider summarises, and it is said who and why', async () => {
  const held = Promise.withResolvers<void>();
  const world = await World.create({
    scripted: { info: info(undefined, 'scripted/cheap') },
    script: (call) =>
      call.request.model === 'scripted/cheap' ? { text: 'Of the sea.', hold: held.promise } : { text: LONG },
  });
  const { session } = await world.open('tell me of the sea');
  await world.system.settle();
  await world.call('context.compact', { session });
  const { run } = await world.call('runs.start', { session, input: 'go on', mode: 'queue', priority: 0 });
  await world.system.settle();
  const { causes } = await world.call('explain.get', { session, run: run.id as `r${number}` });
  assert.match(causes[0]?.text ?? '', /summarised by scripted\/cheap, a cheap model of the same provider/);
  const summary = world.model.calls.at(-1);
  assert.deepEqual([summary?.request.model, summary?.items.length, summary?.request.tools], ['scripted/cheap', 1, []]);
  held.resolve();
  await world.system.settle();
  const { spans } = await world.call('trace.get', { session, limit: 100 });
  const span = spans.find(({ kind }) => kind === 'compaction');
  assert.deepEqual([span?.name, span?.by, span?.cost?.price], ['scripted/cheap', 'cheap', 'cheap']);
});

test('a cheap model is asked only where it is one: priced, and for less than the model itself', async () => {
  for (const price of [null, { ...CHEAP, input: 1_000_000 }]) {
    const dear = (id: string): Partial<ModelInfo> => ({
      summarizer: 'scripted/cheap',
      ...(id === 'scripted' ? {} : { price }),
    });
    const { world } = await compacted({ scripted: { info: dear } });
    assert.equal(world.model.calls.at(-1)?.request.model, 'scripted');
  }
});
