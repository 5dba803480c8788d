// What `npm run test:live` asks of real providers, asked of an emulated one: it takes a right search and no other.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { keysFound } from '@perdure/models';
import { CHAT_HOUSES, createChatEmulator, type ChatStep } from '@perdure/testkit';
import { LIVE_MODELS, search } from './live/search.ts';

const usage = { prompt: 400, completion: 40 };
const find: ChatStep = { calls: [{ name: 'find_key', arguments: { colour: 'blue' } }], usage };
const open: ChatStep = { calls: [{ name: 'open_box', arguments: { key: 'K1' } }], usage };
const answer: ChatStep = { text: '1,234', usage };

async function searchIn(script: readonly ChatStep[], capNanoUsd?: number) {
  const emulator = await createChatEmulator(script, { key: 'EXAMPLE', house: CHAT_HOUSES.groq });
  after(() => emulator.close());
  const env = { GROQ_API_KEY: 'EXAMPLE', GROQ_BASE_URL: emulator.url };
  const model = LIVE_MODELS['groq']?.model ?? assert.fail();
  const given = { model, env, key: 'K1', marbles: 1_234, ...(capNanoUsd === undefined ? {} : { capNanoUsd }) };
  return { emulator, result: search(given) };
}

describe('the live search', () => {
  test('has a model for every provider', () => {
    const providers = keysFound({}).map(({ provider }) => provider);
    assert.deepEqual(Object.keys(LIVE_MODELS).sort(), providers.sort());
  });

  test('is told by tools, answered and billed', async () => {
    const { emulator, result } = await searchIn([find, open, answer]);
    // 75 and 300 nano-USD a token.
    assert.deepEqual(await result, { nanoUsd: 3 * (400 * 75 + 40 * 300), tokens: 3 * 440 });
    emulator.verify();
  });

  test('fails where the answer is a guess, where it is wrong, and where the provider counts nothing', async () => {
    await assert.rejects((await searchIn([answer])).result, /AssertionError/);
    await assert.rejects((await searchIn([find, open, { text: '12', usage }])).result, /"text":"12"/);
    await assert.rejects((await searchIn([find, open, { text: '1234', usage: null }])).result, /"source":"bound"/);
  });

  test('says what the provider said when it refused', async () => {
    const error = { message: 'no such model', type: 'invalid_request_error' };
    await assert.rejects((await searchIn([{ status: 404, error }])).result, /no such model/);
  });

  test('sends nothing that could cost more than the cap', async () => {
    const { emulator, result } = await searchIn([], 60_000);
    await assert.rejects(result, /"reason":"money"/);
    assert.deepEqual(emulator.requests, []);
  });
});
