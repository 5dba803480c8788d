// Conversations that the providers compact themselves, over the wire, by the real runtime: each of them is sent what it takes
// (the emulators refuse anything else), also after the session has gone to another one.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createMessagesEmulator, createResponsesEmulator } from '@perdure/testkit';
import { agent } from '../src/index.ts';
import { startRuntime } from '../src/runtime.ts';

const GPT = 'openai/gpt-5';
const CLAUDE = 'anthropic/claude-opus-5-5';
const LONG = 'A long story of the sea. '.repeat(80).trim();
const log = { level: 'silent' } as const;

type Emulators = {
  responses: Awaited<ReturnType<typeof createResponsesEmulator>>;
  messages: Awaited<ReturnType<typeof createMessagesEmulator>>;
};

async function started({ responses, messages }: Emulators, limits = {}) {
  after(() => Promise.all([responses.close(), messages.close()].map(async (each) => each.catch(() => undefined))));
  const env = {
    OPENAI_API_KEY: 'key',
    OPENAI_BASE_URL: responses.url,
    ANTHROPIC_API_KEY: 'key',
    ANTHROPIC_BASE_URL: messages.url,
  };
  const teller = agent({ name: 'teller', model: GPT, instructions: 'Tell stories.', limits });
  const rt = await startRuntime({ store: 'memory', agents: [teller], log }, env);
  after(() => rt.close());
  const session = await rt.open('teller');
  const run = async (message: string, model?: string): Promise<string> => {
    if (model !== undefined) await session.configure((await session.view()).config.revision, { model });
    const end = await (await session.send(message)).result();
    assert.equal(end.status, 'completed', JSON.stringify(end));
    return end.text ?? '';
  };
  const caller = { tenant: rt.host.parts.tenant, actor: { kind: 'user', id: 'u' }, requestId: 'q' } as const;
  const spans = async () => {
    const { result } = await rt.host.call(caller, 'trace.get', { session: session.id, limit: 100 });
    return result.spans
      .filter(({ kind }) => kind === 'compaction')
      .map(({ name, by, status, code }) => [name, by, status, code]);
  };
  return { session, run, spans };
}

const itemsOf = (requests: readonly { body: unknown }[], n: number, member: 'input' | 'messages') =>
  ((requests[n]?.body as { [name: string]: { [key: string]: unknown }[] } | undefined) ?? assert.fail(`request ${n}`))[
    member
  ] ?? [];

test('a session is compacted by each provider it is with, and the next one reads what the one before had sealed', async () => {
  const responses = await createResponsesEmulator([
    { output: [{ text: LONG }] },
    { compacted: 'sealed by the one', usage: { input: 700, output: 90 } },
    { output: [{ text: 'Of the hills.' }] },
    { output: [{ text: 'Back again.' }] },
  ]);
  const messages = await createMessagesEmulator([
    { text: `Well. ${LONG}` },
    { compaction: 'They spoke of the sea and of the hills.', usage: { input: 900, output: 80 } },
    { text: 'On it goes.' },
  ]);
  const { session, run, spans } = await started({ responses, messages });
  await run('Tell me of the sea.');
  await session.compact();
  assert.equal(await run('And of the hills.'), 'Of the hills.');
  const behind = itemsOf(responses.requests, 2, 'input');
  assert.deepEqual(
    behind.map(({ type, role }) => role ?? type),
    ['user', 'compaction', 'user'],
  );
  assert.ok(!JSON.stringify(behind).includes(LONG));

  // The other one cannot read it, and is sent what it stood for.
  await run('Who are you?', CLAUDE);
  const told = JSON.stringify(itemsOf(messages.requests, 0, 'messages'));
  assert.ok(told.includes(LONG) && told.includes('Of the hills.') && !told.includes('compaction'));
  await session.compact();
  assert.equal(await run('Go on.'), 'On it goes.');
  const [block] = itemsOf(messages.requests, 2, 'messages');
  assert.match(JSON.stringify(block), /"type":"compaction","content":"They spoke of the sea and of the hills\."/);

  // What that one wrote can be read by anybody.
  assert.equal(await run('And you?', GPT), 'Back again.');
  const [summary] = itemsOf(responses.requests, 3, 'input');
  assert.match(String(summary?.['content']), /^This is a summary[\s\S]*They spoke of the sea and of the hills\.$/);
  assert.deepEqual(await spans(), [
    [GPT, 'native', 'done', undefined],
    [CLAUDE, 'native', 'done', undefined],
  ]);
  responses.verify();
  messages.verify();
});

test('where a provider does not compact, a cheap model of it summarises, and after that the model itself', async () => {
  const none = {
    status: 404,
    error: { message: 'Invalid URL (POST /v1/responses/compact)', type: 'invalid_request_error' },
  };
  const unknown = { message: 'no such model', type: 'invalid_request_error', code: 'model_not_found' };
  const responses = await createResponsesEmulator([
    { output: [{ text: LONG }] },
    none,
    { status: 404, error: unknown },
    { output: [{ text: 'They spoke of the sea.' }] },
    { output: [{ text: 'Of the hills.' }] },
  ]);
  const messages = await createMessagesEmulator([]);
  const { session, run, spans } = await started({ responses, messages }, { nanoUsd: 900_000_000_000 });
  await run('Tell me of the sea.');
  await session.compact();
  assert.equal(await run('And of the hills.'), 'Of the hills.');
  assert.deepEqual(await spans(), [
    [GPT, 'native', 'failed', 'unsupported'],
    ['openai/gpt-6-luna', 'cheap', 'failed', 'model_not_found'],
    [GPT, undefined, 'done', undefined],
  ]);
  assert.match(JSON.stringify(itemsOf(responses.requests, 4, 'input')[0]), /They spoke of the sea/);
  responses.verify();
});
