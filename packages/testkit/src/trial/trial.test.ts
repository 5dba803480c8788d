import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { agent, tool, wait } from '@perdure/runtime';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { createScriptedModel } from '../scripted-model.ts';
import type { ScriptedCall, ScriptedReply } from '../scripted-model.ts';
import { invariant, searchTrials, simulation } from './index.ts';
import type { SearchOutcome, Simulation } from './index.ts';
import { sampleOf } from './sample.ts';

const createDisk = () => {
  const disk = createMemoryDisk();
  return { open: (clock: Parameters<typeof openMemoryStore>[0]['clock']) => openMemoryStore({ clock, disk }) };
};

/** Calls the tool that the message names, then says what came of it. */
const obey = ({ items }: ScriptedCall): ScriptedReply => {
  const last = items.at(-1);
  if (last?.kind === 'result') return { text: `it says: ${last.content}` };
  const [, name = '', args = '{}'] = /^call (\S+) (.*)$/.exec(textOf(items)) ?? [];
  return { calls: [{ name, arguments: args }] };
};
const textOf = (items: ScriptedCall['items']): string =>
  items
    .flatMap((item) => (item.kind === 'message' ? item.parts : []))
    .flatMap((part) => (part.type === 'text' ? part.text : []))
    .at(-1) ?? '';

async function search<W>(
  tools: readonly ToolDefinition[],
  given: Simulation<W> = {},
  seeds = 30,
): Promise<SearchOutcome> {
  return searchTrials({
    simulation: given as Simulation,
    agents: [agent({ name: 'clerk', model: 'scripted', tools })],
    createDisk,
    models: () => createScriptedModel(given.script ?? obey).source,
    seeds,
    from: 1,
  });
}

/** Stands for a bank that deduplicates on the key it is given. */
const payments = new Map<string, number>();
const charge = tool<{ cents: number }>({
  name: 'charge',
  description: 'Charges an amount.',
  input: { type: 'object', properties: { cents: { type: 'integer', minimum: 100 } }, required: ['cents'] },
  effect: 'keyed',
  run: ({ cents }, { key }) => {
    payments.set(key, cents);
    return `charged ${cents}`;
  },
});
/** Says that it is keyed, and gives the other side a key of its own making. */
const chargeTwice = { ...charge, run: async () => `charged ${payments.set(String(payments.size), 1).size}` };
const bank = simulation({
  messages: ['call charge {"cents": 500}'],
  world: () => {
    payments.clear();
    return payments;
  },
  invariants: [invariant<Map<string, number>>('charged once', (_log, world) => world.size === 1)],
});

test('a tool that keeps its class survives a death at every point, alone and several at once', async () => {
  const { found, trials } = await search([charge], bank);
  assert.equal(found, null, found?.failure?.stack);
  assert.ok(trials > 30 + 8);
});

test('a tool that charges twice is found, and told in at most ten steps', async () => {
  const { found } = await search([chargeTwice], {
    ...bank,
    messages: ['call charge {"cents": 7}', ...(bank.messages ?? [])],
  });
  assert.match(String(found?.failure), /'charged once' does not hold/);
  assert.ok((found?.steps.length ?? 99) <= 10, found?.steps.join('\n'));
  assert.equal(found?.plan.messages.length, 1);
  assert.match(found?.steps.join('\n') ?? '', /attempt 1.*\n.*outcome is lost\n.*started again\n.*attempt 2/);
});

test('unsafe calls that were lost are settled by who knows, and never repeated', async () => {
  const ship = { ...charge, name: 'ship', effect: 'unsafe' as const, approval: 'always' as const };
  const { found } = await search([ship], {
    ...bank,
    messages: ['call ship {"cents": 500}'],
    invariants: [invariant<Map<string, number>>('shipped at most once', (_log, world) => world.size <= 1)],
  });
  assert.equal(found, null, found?.steps.join('\n'));
});

test("questions, sleeps and messages of one's own making are gone through as well", async () => {
  const choose = tool({
    name: 'choose',
    description: 'Asks.',
    input: { type: 'object', properties: {} },
    effect: 'pure',
    run: () => wait({ kind: 'question', question: 'Which?', choices: ['a', 'b'] }),
  });
  const nap = { ...choose, name: 'nap', run: async () => wait({ kind: 'timer', afterMs: 6 * 60 * 60_000 }) };
  const { found, messages } = await search([choose, nap, charge], {
    invariants: [invariant('all are completed', ({ runs }) => runs.every(({ status }) => status === 'completed'))],
  });
  assert.deepEqual(messages, ['call choose {}', 'call nap {}', 'call charge {"cents":100}']);
  assert.equal(found, null, found?.steps.join('\n'));
});

test('an invariant sees the log, its runs and its conversation', async () => {
  const seen: string[] = [];
  const look = invariant('looks', ({ entries, messages, runs, message }) => {
    seen.push(`${message} ${entries.at(-1)?.kind} ${messages.length > 0} ${runs[0]?.status}`);
  });
  await search([charge], { ...bank, invariants: [look] }, 0);
  assert.equal(seen[0], 'call charge {"cents": 500} run.ended true completed');
});

test('what fails without any death is told at once', async () => {
  const { found, trials } = await search([charge], { ...bank, invariants: [invariant('never', () => false)] });
  assert.deepEqual([trials, found?.plan.faults, found?.seed], [1, [], null]);
});

test('arguments are made that fit the usual schemas', () => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'string', minLength: 6 },
      at: { type: 'string', format: 'date-time' },
      kind: { enum: ['x', 'y'] },
      count: { type: 'integer', exclusiveMinimum: 4 },
      tags: { type: 'array', items: { type: 'boolean' }, minItems: 1 },
      more: { type: 'string' },
    },
    required: ['id', 'at', 'kind', 'count', 'tags'],
  };
  assert.deepEqual(sampleOf(schema), { id: 'texttt', at: '2030-01-31T08:00:00Z', kind: 'x', count: 5, tags: [true] });
});
