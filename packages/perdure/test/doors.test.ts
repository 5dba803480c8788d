/** What else the package exports: for tests, for clients, for parts of one's own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { agent, createRuntime, serve, tool } from 'perdure';
import { createClient } from 'perdure/client';
import { StoreDamage } from 'perdure/ports';
import type { Store } from 'perdure/ports';
import { createScriptedModel, createTestRuntime, storeSuite } from 'perdure/testing';
import { openMemoryStore } from '@perdure/stores/memory';
import { system } from '@perdure/runtime';

const folder = mkdtempSync(join(tmpdir(), 'perdure-doors-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const add = tool<{ a: number; b: number }>({
  name: 'add',
  description: 'Adds two numbers.',
  input: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] },
  effect: 'pure',
  run: ({ a, b }) => String(a + b),
});
const adder = agent({ name: 'adder', model: 'openai-chat/anything', tools: [add] });

test('an agent runs under test as it is, its model scripted, without a key', async () => {
  const script = [{ calls: [{ name: 'add', arguments: { a: 2, b: 3 } }] }, { text: '5' }];
  const { rt, model } = await createTestRuntime({ agents: [adder], script });
  const end = await (await (await rt.open('adder')).send('2 + 3?')).result();
  assert.deepEqual([end.status, end.text], ['completed', '5']);
  assert.equal(model.calls[1]?.items.at(-1)?.kind, 'result');
  model.verify();
  await rt.close();
});

test('a script that does not match what happened fails the test', async () => {
  const { rt, model } = await createTestRuntime({ agents: [adder], script: [{ text: 'a' }, { text: 'b' }] });
  await (await (await rt.open('adder')).send('go')).result();
  assert.throws(() => model.verify(), /1 steps were not used/);
  await rt.close();
});

test('under test, what was durable is there when the folder is opened again', async () => {
  const data = join(folder, 'again');
  const first = await createTestRuntime({ agents: [adder], data, script: [{ text: 'noted' }] });
  const session = await first.rt.open('adder', { key: 'k' });
  await (await session.send('go')).result();
  await first.rt.close();
  const second = await createTestRuntime({ agents: [adder], data, script: [] });
  assert.equal((await (await second.rt.session(session.id)).run('r1')).id, 'r1');
  await second.rt.close();
});

test("a provider and a store of one's own take the place of the built-in ones, and are closed with the runtime", async () => {
  const closed: string[] = [];
  const own = createScriptedModel(() => ({ text: 'mine' }), { models: ['own/one'] }).source;
  const memory = openMemoryStore({ clock: system.clock });
  const store: Store = { ...memory, epoch: memory.epoch, close: async () => void closed.push('store') };
  const providers = { own: { ...own, close: async () => void closed.push('models') } };
  const rt = await createRuntime({ agents: [agent({ name: 'a', model: 'own/one' })], models: { providers }, store });
  assert.equal((await (await (await rt.open('a')).send('go')).result()).text, 'mine');
  const { result } = await rt.host.call(
    { tenant: 'default', actor: { kind: 'user', id: 'test' }, requestId: 'r' },
    'models.list',
    { limit: 1_000 },
  );
  assert.ok(result.models.some(({ id }) => id === 'own/one'));
  await rt.close();
  assert.deepEqual(closed.toSorted(), ['models', 'store']);
});

test('what is no provider and no store is refused with its path', async () => {
  const agents = [adder];
  await assert.rejects(createRuntime({ agents, store: {} as Store }), { code: 'invalid_config', path: 'store' });
  const models = { providers: { own: {} as never } };
  await assert.rejects(createRuntime({ agents, models, store: 'memory' }), { code: 'invalid_config' });
});

test('the client talks to a served runtime', async () => {
  const { rt } = await createTestRuntime({ agents: [adder], script: () => ({ text: 'hello' }) });
  const server = await serve(rt, { port: 0 });
  const client = createClient({ url: server.url });
  const { run } = await client.call('runs.create', { agent: 'adder', input: 'go', wait: true });
  assert.deepEqual([run.status, run.text], ['completed', 'hello']);
  await server.close();
  await rt.close();
});

test('suites and errors of the ports are there', () => {
  assert.equal(typeof storeSuite, 'function');
  assert.equal(new StoreDamage({ session: 's', code: 'gap', seq: 1, detail: 'd' }).code, 'damaged');
});
