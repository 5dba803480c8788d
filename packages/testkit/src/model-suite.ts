/** The laws that every model adapter keeps: for a provider of one's own, against its emulator or against itself. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type {
  Delta,
  GenerateContext,
  GenerateOutcome,
  GenerateRequest,
  ModelSource,
  NeutralItem,
  ResolvedModel,
  ToolDeclaration,
} from '@perdure/runtime/ports';

export type ModelSuiteOptions = {
  name: string;
  /** Fresh each time. `text` gets an answer in words, `call` one that calls the tool `add` with `{"a":2,"b":3}`. */
  open: () => Promise<{
    source: ModelSource;
    /** As an agent names it. */
    model: string;
    prompts: { text: string; call: string };
    close?: () => Promise<void>;
  }>;
};

const ADD: ToolDeclaration = {
  name: 'add',
  description: 'Adds two numbers.',
  input: {
    type: 'object',
    properties: { a: { type: 'number' }, b: { type: 'number' } },
    required: ['a', 'b'],
    additionalProperties: false,
  },
};

type World = ResolvedModel & {
  model: string;
  prompts: { text: string; call: string };
  source: ModelSource;
  request: (items: readonly NeutralItem[]) => GenerateRequest;
  ask: (request: GenerateRequest, signal?: AbortSignal) => Promise<{ outcome: GenerateOutcome; deltas: Delta[] }>;
};
type Law = { name: string; run: (world: World) => Promise<void> };
type Done = Extract<GenerateOutcome, { type: 'done' }>;

const said = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });

/** Registers the laws that every model keeps, as tests of node:test. */
export function modelSuite({ name, open }: ModelSuiteOptions): void {
  void describe(`model suite: ${name}`, () => {
    for (const law of LAWS)
      void test(law.name, async () => {
        const { source, model, prompts, close } = await open();
        try {
          const resolved = source.resolve(model);
          if (!resolved.ok) assert.fail(`${model} resolves: ${resolved.message}`);
          await law.run({ ...resolved, ...worldOf(resolved, model), source, model, prompts });
        } finally {
          await source.close();
          await close?.();
        }
      });
  });
}

function worldOf({ info, adapter }: ResolvedModel, model: string): Pick<World, 'request' | 'ask'> {
  return {
    request: (items) => ({
      model,
      instructions: 'You add numbers with the tool add.',
      tools: [ADD],
      rendered: items
        .map((item) => adapter.render(item, model))
        .filter((text) => text !== '')
        .join(','),
      params: { maxOutputTokens: Math.min(1_024, info.maxOutputTokens) },
      key: 'aaaabbbbccccddddeeeeffffgggghhhhiiiijjjjkkkkllllmmmm',
      attempt: 1,
    }),
    async ask(request, signal = new AbortController().signal) {
      const deltas: Delta[] = [];
      let isOver = false;
      const delta: GenerateContext['delta'] = (piece) => {
        assert.ok(!isOver, 'no delta comes after the outcome');
        deltas.push(piece);
      };
      const outcome = await adapter.generate(request, { signal, delta });
      isOver = true;
      await new Promise((resolve) => setImmediate(resolve));
      return { outcome, deltas };
    },
  };
}

function done(outcome: GenerateOutcome): Done {
  if (outcome.type === 'failed') assert.fail(`${outcome.code}: ${outcome.detail}`);
  return outcome;
}

const textIn = (deltas: readonly Delta[]): string =>
  deltas.map((delta) => (delta.part === 'text' ? delta.text : '')).join('');

function checkUsage({ usage }: Done): void {
  for (const [name, count] of Object.entries(usage))
    if (name !== 'source') assert.ok(Number.isSafeInteger(count) && Number(count) >= 0, `${name} is a count`);
  assert.ok(usage.reasoning <= usage.output, 'reasoning is part of the output');
}

const LAWS: readonly Law[] = [
  {
    name: 'a model says what it takes, what it costs in integers, and what is wrong with one that is not there',
    async run({ info, source, model }) {
      assert.equal(info.id, model);
      assert.ok(Number.isSafeInteger(info.maxOutputTokens) && info.maxOutputTokens > 0);
      for (const rate of ['input', 'cachedInput', 'cacheWrite', 'output'] as const)
        if (info.price !== null) assert.ok(Number.isSafeInteger(info.price[rate]), `price.${rate}`);
      for (const listed of source.list()) assert.ok(source.resolve(listed.id).ok || listed.id !== model, listed.id);
      const missing = source.resolve('nobody/has-this-model');
      if (!missing.ok) assert.notEqual(missing.message, '');
    },
  },
  {
    name: 'rendering is pure, and gives JSON that can be joined',
    async run({ adapter, model, request }) {
      const items: NeutralItem[] = [
        said('one "two"\n\u2028'),
        { kind: 'turn', model, text: '', calls: [{ id: 'c1', name: 'add', arguments: '{"a":1,"b":2}' }], native: null },
        { kind: 'result', providerId: 'c1', name: 'add', outcome: 'failed', content: 'no' },
        { kind: 'turn', model: 'somebody/else', text: 'well', calls: [], native: { strange: true } },
      ];
      for (const item of items) assert.equal(adapter.render(item, model), adapter.render(structuredClone(item), model));
      assert.ok(Array.isArray(JSON.parse(`[${request(items).rendered}]`)));
    },
  },
  {
    name: 'what is sent is the same for the same request, and holds what was rendered',
    async run({ adapter, prompts, request }) {
      const one = request([said(prompts.text)]);
      assert.equal(adapter.body(one), adapter.body(structuredClone(one)));
      assert.ok(adapter.body(one).includes(one.rendered));
    },
  },
  {
    name: 'an answer is the text that was streamed, with what it took',
    async run({ ask, prompts, request }) {
      const { outcome, deltas } = await ask(request([said(prompts.text)]));
      const answer = done(outcome);
      assert.equal(answer.stop, 'end');
      assert.notEqual(answer.text, '');
      assert.equal(textIn(deltas), answer.text);
      checkUsage(answer);
    },
  },
  {
    name: 'a call has a name, arguments as they were streamed, and an id of its own',
    async run({ ask, prompts, request }) {
      const { outcome, deltas } = await ask(request([said(prompts.call)]));
      const answer = done(outcome);
      assert.equal(answer.stop, 'calls');
      assert.deepEqual(
        answer.calls.map((call) => [call.name, JSON.parse(call.arguments)]),
        [['add', { a: 2, b: 3 }]],
      );
      assert.notEqual(answer.calls[0]?.id, '');
      const streamed = deltas.map((delta) => (delta.part === 'arguments' ? delta.text : '')).join('');
      assert.ok(
        streamed === '' || streamed === answer.calls[0]?.arguments,
        'arguments are streamed whole or not at all',
      );
    },
  },
  {
    name: 'an answer goes back as it came, and the conversation goes on behind it',
    async run({ ask, model, prompts, request }) {
      const first = done((await ask(request([said(prompts.call)]))).outcome);
      const items: NeutralItem[] = [
        said(prompts.call),
        { kind: 'turn', model, text: first.text, calls: first.calls, native: structuredClone(first.native) },
        ...first.calls.map((call): NeutralItem => ({
          kind: 'result',
          providerId: call.id,
          name: call.name,
          outcome: 'done',
          content: '5',
        })),
      ];
      assert.notEqual(done((await ask(request(items))).outcome).text, '');
    },
  },
  {
    name: 'what is aborted before it begins costs nothing, and what is aborted later still has an outcome',
    async run({ adapter, ask, prompts, request }) {
      const before = await ask(request([said(prompts.text)]), AbortSignal.abort());
      assert.ok(before.outcome.type === 'failed' && before.outcome.code === 'aborted');
      assert.deepEqual([before.outcome.spent, before.deltas], [{ kind: 'none' }, []]);
      const controller = new AbortController();
      const outcome = await adapter.generate(request([said(prompts.text)]), {
        signal: controller.signal,
        delta: () => controller.abort(),
      });
      assert.ok(outcome.type === 'done' || outcome.code === 'aborted', 'it is given up, or was over already');
    },
  },
];
