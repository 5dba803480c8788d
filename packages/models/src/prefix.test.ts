// A provider finds in its cache what was sent before only where the next request begins with it, byte for byte.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { GenerateRequest, NeutralItem, System } from '@perdure/runtime/ports';
import fc from 'fast-check';
import { PRESETS } from './presets.ts';
import { createModelSource } from './source.ts';

const system: System = {
  clock: { now: () => 0, monotonicMs: () => 0 },
  timers: { set: () => assert.fail('no timers are needed') },
  random: { bytes: () => assert.fail('no randomness is needed') },
};
const env = Object.fromEntries(
  ['OPENAI_API_KEY', ...Object.values(PRESETS).flatMap(({ keyEnv }) => keyEnv)].map((name) => [name, 'k']),
);
const source = createModelSource({ env, system });
after(async () => source.close());

const turn = (calls: readonly string[], model: string): NeutralItem => ({
  kind: 'turn',
  model,
  text: 'I say "so"',
  calls: calls.map((id) => ({ id, name: 'look', arguments: '{}' })),
  native: null,
});
/** What a conversation grows by: a message, or a turn with the answers of its calls. */
const growth = fc.oneof(
  fc.string().map((text): NeutralItem[] => [{ kind: 'message', parts: [{ type: 'text', text }] }]),
  fc
    .record({ ids: fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 2 }), content: fc.string() })
    .map(({ ids, content }): NeutralItem[] => [
      turn(ids, 'another/model'),
      ...ids.map((id): NeutralItem => ({ kind: 'result', providerId: id, name: 'look', outcome: 'done', content })),
    ]),
);

describe('what was sent before is a prefix of what is sent next: tools, instructions, items', () => {
  for (const provider of ['openai', 'openai-chat', ...Object.keys(PRESETS)]) {
    it(`to ${provider}`, () => {
      const model = `${provider}/m`;
      const found = source.resolve(model);
      if (!found.ok) assert.fail(found.message);
      const { adapter } = found;
      const bodyOf = (items: readonly NeutralItem[], params: GenerateRequest['params']): string =>
        adapter.body({
          model,
          instructions: 'Be brief.',
          tools: [{ name: 'look', description: 'Looks.', input: { type: 'object' } }],
          rendered: items
            .map((item) => adapter.render(item, model))
            .filter((text) => text !== '')
            .join(','),
          params,
          key: 'k',
          attempt: 1,
        });
      fc.assert(
        fc.property(fc.array(growth, { minLength: 1, maxLength: 6 }), growth, (before, more) => {
          const sent = bodyOf(before.flat(), { maxOutputTokens: 100 });
          const next = bodyOf([...before, more].flat(), { maxOutputTokens: 90 });
          // Parameters stand before what is cached; behind it only brackets are closed.
          const from = (body: string): string => body.slice(body.indexOf('"tools":'));
          assert.ok(from(next).startsWith(from(sent).replace(/\]\}$/, '')), `${sent}\n${next}`);
        }),
        { numRuns: 50 },
      );
    });
  }
});

describe('OpenAI routes by the key of a session', () => {
  for (const model of ['openai/m', 'openai-chat/m']) {
    it(`and who stands in its place for ${model} is not asked to`, async () => {
      const bodyOf = (env: { [name: string]: string }): unknown => {
        const opened = createModelSource({ env: { OPENAI_API_KEY: 'k', ...env }, system });
        after(async () => opened.close());
        const found = opened.resolve(model);
        if (!found.ok) assert.fail(found.message);
        const params = { maxOutputTokens: 100 };
        const request = { model, instructions: 'Hi', tools: [], rendered: '', params, key: 'k', attempt: 1 };
        const body = JSON.parse(found.adapter.body({ ...request, cacheKey: 'session' })) as { [name: string]: unknown };
        return body['prompt_cache_key'];
      };
      assert.equal(bodyOf({}), 'session');
      assert.equal(bodyOf({ OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' }), undefined);
    });
  }
});
