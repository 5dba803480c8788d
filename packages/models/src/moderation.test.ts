import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createModerationEmulator, createVirtualSystem } from '@perdure/testkit';
import { system } from '@perdure/runtime';
import { LIMITS } from './limits.ts';
import { openAiModeration } from './moderation.ts';

const { timers } = system;

test('a text is flagged as the provider says, and one that is not is no failure', async () => {
  const emulator = await createModerationEmulator({ key: 'k' });
  const moderator = openAiModeration({ apiKey: 'k', baseUrl: emulator.url, timers });
  assert.deepEqual(await moderator.flagged('a story of violence and hate'), ['hate', 'violence']);
  assert.deepEqual(await moderator.flagged('a story of tea'), []);
  await moderator.close();
  await emulator.close();
});

test('what is no judgement is thrown: another key, a failure, an answer that does not come', async () => {
  for (const fails of [undefined, 429, 500] as const) {
    const emulator = await createModerationEmulator({ key: 'k', ...(fails === undefined ? {} : { fails }) });
    const moderator = openAiModeration({ apiKey: 'other', baseUrl: emulator.url, timers });
    await assert.rejects(moderator.flagged('tea'), new RegExp(`status ${fails ?? 401}`));
    assert.equal(emulator.requests(), 1);
    await moderator.close();
    await emulator.close();
  }
  const virtual = createVirtualSystem();
  const emulator = await createModerationEmulator({ key: 'k', fails: 'hang' });
  const moderator = openAiModeration({ apiKey: 'k', baseUrl: emulator.url, timers: virtual.timers });
  const asked = assert.rejects(moderator.flagged('tea'), /no answer in time/);
  await virtual.advance(LIMITS.moderationMs);
  await asked;
  await moderator.close();
  await emulator.close();
  assert.throws(() => openAiModeration({ apiKey: '', timers }), { code: 'invalid_config' });
  assert.throws(() => openAiModeration({ apiKey: 'k', baseUrl: 'ftp://x', timers }), { code: 'invalid_config' });
});
