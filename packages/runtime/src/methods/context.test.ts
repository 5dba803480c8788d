import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../test/world.ts';
import { openSession } from '../handles.ts';

const set = (session: string, key: string, content: string, ifRevision?: number) =>
  ({ session, key, content, ...(ifRevision === undefined ? {} : { ifRevision }) }) as const;

test('a slot is in every request from the next turn on, under its key, until it is taken away', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('context.set', set(session, 'notes', 'Likes tea.'));
  await world.call('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  await world.system.settle();
  await world.call('context.delete', { session, key: 'notes' });
  await world.call('runs.start', { session, input: 'three', mode: 'queue', priority: 0 });
  await world.system.settle();
  const instructions = world.model.calls.map(({ request }) => request.instructions);
  assert.deepEqual(instructions, ['', '\n\n# notes\nLikes tea.', '']);
});

test('a slot that is set while a turn is under way is read by the next one: a request is what was sealed', async () => {
  const gate = Promise.withResolvers<void>();
  const world = await World.create({ script: () => ({ fail: 'overloaded', retry: 'now', hold: gate.promise }) });
  const { session } = await world.open();
  await world.model.called(0);
  await world.call('context.set', set(session, 'notes', 'new'));
  gate.resolve();
  await world.system.advance(1_000);
  const [first, second] = world.model.calls;
  assert.equal(second?.request.attempt, 2);
  assert.equal(second?.request.instructions, first?.request.instructions);
  assert.deepEqual(
    world.lines.filter(({ message }) => message.includes('differs')),
    [],
  );
});

test('a change names the revision it saw; another one is a conflict that says the current', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open();
  const first = await world.call('context.set', set(session, 'notes', 'one', 0));
  assert.deepEqual([first.key, first.content, first.revision], ['notes', 'one', 1]);
  assert.deepEqual(first.origin, { kind: 'user', name: 'u', trust: 'trusted' });
  const refused = await world.refused('context.set', set(session, 'notes', 'two', 0));
  assert.deepEqual([refused.code, refused.status, refused.details], ['revision_conflict', 409, { revision: 1 }]);
  const second = await world.call('context.set', set(session, 'notes', 'two', first.revision));
  assert.equal(second.revision, 2);
  assert.equal(await world.code('context.delete', { session, key: 'notes', ifRevision: 1 }), 'revision_conflict');
  await world.call('context.delete', { session, key: 'notes', ifRevision: 2 });
  assert.equal(await world.code('context.delete', { session, key: 'notes' }), 'not_found');
  const again = await world.call('context.set', set(session, 'notes', 'one', 0));
  assert.equal(again.revision, 3, 'no revision comes twice');
});

test('the same content again writes nothing, so that a request may be repeated', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open();
  const first = await world.call('context.set', set(session, 'notes', 'one', 0));
  assert.deepEqual(await world.call('context.set', set(session, 'notes', 'one', 0)), first);
  assert.equal((await world.kinds(session)).filter((kind) => kind === 'context.set').length, 1);
});

test('slots are listed in their order and read by key, without secrets, by whoever knows the session', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }), secrets: { KEY: 'sesame-open-up' } });
  const { session } = await world.open();
  await world.call('context.set', set(session, 'b', 'say sesame-open-up'));
  await world.call('context.set', set(session, 'a', 'two'));
  const page = await world.call('context.list', { session, limit: 1 });
  assert.deepEqual(
    page.slots.map(({ key, content }) => [key, content]),
    [['b', 'say {{secret:KEY}}']],
  );
  const rest = await world.call('context.list', { session, limit: 1, cursor: page.next ?? '' });
  assert.deepEqual([rest.slots[0]?.key, rest.next], ['a', undefined]);
  assert.equal((await world.call('context.get', { session, key: 'a' })).content, 'two');
  assert.equal(await world.code('context.get', { session, key: 'c' }), 'not_found');
  assert.equal(await world.code('context.list', { session: 'ses_none', limit: 1 }), 'not_found');
  assert.equal(await world.code('context.set', set('ses_none', 'a', 'b')), 'not_found');
});

test('a program sets the slots of a session before its first message', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const session = openSession(world.host, 'assistant');
  assert.deepEqual([await session.context.list(), await session.context.get('notes')], [[], null]);
  const slot = await session.context.set('notes', 'one');
  const run = await session.send('go');
  await run.result();
  assert.match(world.model.calls[0]?.request.instructions ?? '', /# notes\none$/);
  assert.deepEqual(await session.context.get('notes'), slot);
  assert.deepEqual(
    (await session.context.list()).map(({ key }) => key),
    ['notes'],
  );
  await assert.rejects(session.context.delete('notes', { ifRevision: 9 }), { code: 'revision_conflict' });
  assert.deepEqual([await session.context.delete('notes'), await session.context.delete('notes')], [true, false]);
});
