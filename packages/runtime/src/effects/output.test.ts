import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { World } from '../../test/world.ts';
import { judgeOutput } from './output.ts';

const output = z.strictObject({ city: z.string(), people: z.int() });
const paris = { city: 'Paris', people: 2_100_000 };
const asked = { input: 'A city, please.', wait: true } as const;

test('an answer is read as JSON, also out of a fence, and nothing else around it', () => {
  const schema = { type: 'object', required: ['a'] };
  const fence = '```';
  for (const text of ['{"a":1}', ' {"a":1}\n', `${fence}json\n{"a":1}\n${fence}`, `${fence}\n{"a":1}${fence}\n`])
    assert.deepEqual(judgeOutput(schema, text), { ok: true, value: { a: 1 } }, text);
  for (const text of ['Here: {"a":1}', `${fence}{"a":1}${fence}`, '{"a":', '[]', `${'['.repeat(99)}${']'.repeat(99)}`])
    assert.equal(judgeOutput(schema, text).ok, false, text);
});

test('a run gives its answer as data, where the provider is told the schema', async () => {
  const world = await World.create({ agent: { output }, script: [{ text: JSON.stringify(paris) }] });
  const { run } = await world.call('runs.create', asked);
  assert.deepEqual([run.status, run.output], ['completed', paris]);
  const [call] = world.model.calls;
  assert.deepEqual(call?.request.output?.['required'], ['city', 'people']);
  assert.doesNotMatch(call?.request.instructions ?? '', /JSON/);
});

test('where the provider cannot be told, the instructions say it, and the run is bound to that', async () => {
  const world = await World.create({
    agent: { output, instructions: 'Be brief.' },
    scripted: { structured: false },
    script: [{ text: '```json\n{"city": "Rome", "people": 3}\n```' }],
  });
  const { session, run } = await world.call('runs.create', asked);
  assert.deepEqual([run.status, run.output], ['completed', { city: 'Rome', people: 3 }]);
  const { request } = await world.model.called(0);
  assert.equal(request.output, undefined);
  assert.match(request.instructions, /^Be brief\.\n\nYour final answer is JSON alone.*\n\{.*"city"/s);
  const rebuilt = await world.call('turns.request', { session: session.id, run: 'r1', n: 1 });
  assert.equal(rebuilt.exact, true);
  assert.equal((rebuilt.request as { instructions: string }).instructions, request.instructions);
});

test('an answer that does not fit is repaired by one turn, which is told what did not fit', async () => {
  const world = await World.create({
    agent: { output },
    script: [{ text: '{"city": "Paris"}' }, { text: JSON.stringify(paris) }],
  });
  const { session, run } = await world.call('runs.create', asked);
  assert.deepEqual([run.status, run.output], ['completed', paris]);
  const told = world.model.calls[1]?.items.at(-1);
  assert.ok(told?.kind === 'message' && told.parts[0]?.type === 'text');
  assert.match(told.parts[0].text, /does not fit .*required property 'people'/);
  const { events } = await world.call('events.list', { session: session.id, after: 0, limit: 100, waitMs: 0 });
  const settled = events.find(({ kind }) => kind === 'turn.settled')?.data;
  assert.partialDeepStrictEqual(settled, { misfit: { body: { parts: [{ text: told.parts[0].text }] } } });
  const { messages } = await world.call('messages.list', { session: session.id, limit: 10 });
  assert.deepEqual(
    messages.map(({ role, misfit }) => [role, misfit]),
    [
      ['user', undefined],
      ['assistant', told.parts[0].text],
      ['assistant', undefined],
    ],
  );
  for (const n of [1, 2]) {
    const rebuilt = await world.call('turns.request', { session: session.id, run: 'r1', n });
    assert.equal(rebuilt.exact, true, `turn ${n}`);
  }
});

test('an answer that does not fit twice is a failure without an output', async () => {
  const world = await World.create({ agent: { output }, script: [{ text: 'Paris.' }, { text: '{"city": 5}' }] });
  const { run } = await world.call('runs.create', asked);
  assert.deepEqual(
    [run.status, run.reason, run.text, run.output],
    ['failed', 'invalid_output', '{"city": 5}', undefined],
  );
});

test('a person sees why a second turn is under way', async () => {
  const world = await World.create({
    agent: { output },
    script: [{ text: 'Paris.' }, { hold: new Promise(() => {}) }],
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const { causes } = await world.call('explain.get', { session, run });
  assert.match(causes[0]?.text ?? '', /turn r1t2; the answer before it did not fit the schema/);
});
