import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, ConfigError, createRuntime, defineConfig, handler, serve } from './index.ts';
import type { Config, RuntimeOptions } from './index.ts';
import { startRuntime } from './runtime.ts';

const demo = agent({ name: 'assistant', model: 'demo' });
const of = (extra: object) => ({ agents: [demo], ...extra }) as Config;

test('a configuration comes back as it is', () => {
  const config = { agents: [demo], limits: { turns: 3 }, data: 'x', models: { endpoints: [], prices: {} } };
  assert.equal(defineConfig(config), config);
});

test('a key that is misspelt is told, not the one that is missing for it', () => {
  assert.throws(() => defineConfig({ agnets: [demo] } as unknown as Config), {
    path: 'agnets',
    code: 'invalid_config',
  });
  assert.throws(() => agent({ name: 'x', modle: 'demo' } as unknown as Parameters<typeof agent>[0]), /modle/);
});

test('whatever is not known or not meant is refused with its path', () => {
  const wrong: [object, string][] = [
    [{ agnets: [] }, 'agnets'],
    [{ limits: { turn: 3 } }, 'limits.turn'],
    [{ limits: { turns: 0 } }, 'limits.turns'],
    [{ limits: { session: { dollars: 1 } } }, 'limits.session.dollars'],
    [{ policies: { mode: 'yolo' } }, 'policies.mode'],
    [
      {
        policies: {
          rules: [
            { decision: 'allow', tool: 'x' },
            { decision: 'never', tool: 'y' },
          ],
        },
      },
      'policies.rules.1.decision',
    ],
    [{ models: { endpoint: [] } }, 'models.endpoint'],
    [
      { models: { endpoints: [{ name: 'x', baseUrl: 'https://host.example/v1', quirk: {} }] } },
      'models.endpoints[0].quirk',
    ],
    [{ models: { endpoints: [{ name: 'x', baseUrl: 'nowhere' }] } }, 'models.endpoints[0].baseUrl'],
    [{ models: { prices: { 'x/y': { input: 1 } } } }, "models.prices['x/y'].output"],
    [{ agents: [] }, 'agents'],
    [{ agents: [{ name: 'x', model: 'demo' }] }, 'agents.0'],
    [{ agents: [demo, demo] }, 'agents.1'],
    [{ data: '' }, 'data'],
    [{ store: 'disk' }, 'store'],
    [{ store: 'mysql://h/d' }, 'store'],
    [{ store: 'memory', data: 'x' }, 'data'],
    [{ hooks: [{ name: 'x' }] }, 'hooks.0'],
    [{ secrets: { A: 'short' } }, 'secrets.A'],
  ];
  for (const [extra, path] of wrong)
    assert.throws(
      () => defineConfig(of(extra)),
      (error: Error & { path?: string; code?: string }) => {
        assert.equal(error.path, path);
        assert.match(error.message, new RegExp(`^${path.replace(/[.[\]']/g, '\\$&')}: `));
        assert.match(error.code ?? '', /^(invalid_config|duplicate_agent)$/);
        return true;
      },
      JSON.stringify(extra),
    );
});

test('options of a runtime, a handler and a server are held to the same', async () => {
  const path = (wanted: string) => (error: { path?: string }) => error.path === wanted;
  await assert.rejects(createRuntime({ agents: [demo], stor: 'memory' } as unknown as RuntimeOptions), path('stor'));
  const log = { level: 'loud' } as unknown as NonNullable<RuntimeOptions['log']>;
  await assert.rejects(createRuntime({ agents: [demo], store: 'memory', log }), path('log.level'));
  const runtime = await createRuntime({ agents: [demo], store: 'memory' });
  try {
    await assert.rejects(serve(runtime, { prot: 1 } as object), path('serve.prot'));
    assert.throws(() => handler(runtime, { tokn: 'x' } as object), path('handler.tokn'));
    assert.throws(() => handler(runtime, { token: 'x', allowedHosts: ['a'] }), path('handler.allowedHosts'));
  } finally {
    await runtime.close();
  }
});

test('an engine that cannot be meant is refused with its path', async () => {
  const refused = [
    ['temporal', 'engine'],
    [{ restate: { ingress: 'http://localhost:8080' } }, 'engine'],
    [{ restate: { ingress: 'localhost', admin: 'http://localhost:9070' } }, 'engine'],
    [{ restate: { name: 'a b' } }, 'engine'],
    [{ restate: { listen: { host: '0.0.0.0' } } }, 'engine'],
  ] as const;
  for (const [engine, path] of refused)
    assert.throws(
      () => defineConfig({ agents: [demo], engine: engine as 'restate' }),
      (error) => error instanceof ConfigError && error.path.startsWith(path),
      JSON.stringify(engine),
    );
  await assert.rejects(createRuntime({ agents: [demo], store: 'memory', engine: 'restate' }), {
    code: 'invalid_config',
  });
});

test('a process that does a part of the work shares the Restate of the others, which must be named', async () => {
  const options = { agents: [demo], store: 'memory', engine: 'restate', log: { level: 'silent' } } as const;
  await assert.rejects(startRuntime(options, {}, { work: false }), {
    code: 'invalid_config',
    message: /the Restate that all processes use/,
  });
});
