import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Place } from './process.ts';
import { createPlace } from './process.ts';

const CONFIG = `
import { agent, defineConfig, tool } from 'perdure';
const call = tool({
  name: 'call',
  description: 'Calls an address.',
  input: { type: 'object', properties: { url: { type: 'string' }, key: { type: 'string' } } },
  run: ({ url, key }, ctx) => 'sent ' + (key ?? ctx.secret('TOKEN', { url })) + ' ' + Object.values(process.env).join(' '),
});
export default defineConfig({ agents: [agent({ name: 'caller', model: 'demo', tools: [call] })] });
`;
const VALUE = 'open-sesame-12';
const KEY = ['sk', 'proj', '0123456789abcdef0123'].join('-');

type Json = { [name: string]: unknown };
async function json(place: Place, args: readonly string[], input?: string, env = {}): Promise<Json> {
  const { code, stdout, stderr } = await place.run([...args, '--json'], env, input);
  assert.equal(code, 0, stderr);
  assert.ok(![VALUE, KEY].some((secret) => (stdout + stderr).includes(secret)));
  return JSON.parse(stdout) as Json;
}

/** All bytes of all files below a folder. */
function bytesIn(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('\n');
}

describe('secrets', () => {
  const place = createPlace();
  after(async () => place.leave());

  test('are set by standard input with nothing running, and stand in no file and no list', async () => {
    writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
    const set = await json(place, ['secrets', 'set', 'TOKEN', '--host', 'api.example.com'], `${VALUE}\n`);
    assert.deepEqual([set['name'], set['version'], set['hosts']], ['TOKEN', 1, ['api.example.com']]);
    const data = join(place.directory, '.perdure');
    assert.equal(statSync(join(data, 'secrets.key')).mode & 0o777, 0o600);
    const { secrets } = await json(place, ['secrets', 'list']);
    assert.deepEqual(secrets, [set]);
    for (const form of [VALUE, Buffer.from(VALUE).toString('base64').slice(0, 16)])
      assert.ok(!bytesIn(place.directory).includes(form));
  });

  test('are not bound to hosts or commands that are none', async () => {
    for (const flag of ['--host', '--command']) {
      const { code, stderr } = await place.run(['secrets', 'set', 'OTHER', flag, ''], {}, `${VALUE}\n`);
      assert.deepEqual([code, stderr.includes(`${flag} names none`)], [5, true], stderr);
    }
  });

  test('go to the tool that sends them where they are bound to, by name or by placeholder, and nowhere else', async () => {
    const said = async (args: object): Promise<string> => {
      const { code, stdout, stderr } = await place.run(['run', `call call ${JSON.stringify(args)}`, '--json'], {
        HOUSE: 'no secret',
      });
      assert.equal(code, 0, stderr);
      assert.ok(!(stdout + stderr).includes(VALUE));
      return stdout;
    };
    assert.match(await said({ url: 'https://api.example.com/x' }), /sent \{\{secret:TOKEN\}\}/);
    assert.match(await said({ url: 'https://evil.example/x' }), /bound to host api\.example\.com.*not given to evil/);
    assert.match(
      await said({ url: 'https://evil.example/?a', key: '{{secret:TOKEN}}' }),
      /Not run: secret TOKEN is bound to host api\.example\.com/,
    );
    assert.match(await said({ url: 'https://api.example.com', key: '{{secret:TOKEN}}' }), /sent \{\{secret:TOKEN\}\}/);
    assert.ok(!bytesIn(join(place.directory, '.perdure')).includes(VALUE));
  });

  test('are sealed anew and deleted; a value is taken from no argument, and none that is too short', async () => {
    const before = readFileSync(join(place.directory, '.perdure/secrets.key'), 'utf8');
    const { resealed } = await json(place, ['secrets', 'rotate']);
    assert.equal(resealed, 1);
    const keys = readFileSync(join(place.directory, '.perdure/secrets.key'), 'utf8');
    assert.notEqual(keys, before);
    // As a change leaves it that was killed: whatever is asked next goes on with it.
    const begun = `${randomBytes(32).toString('base64')}\n${keys}`;
    writeFileSync(join(place.directory, '.perdure/secrets.key'), begun);
    const [{ key: sealedWith } = {}] = ((await json(place, ['secrets', 'list'])) as { secrets: Json[] }).secrets;
    const after = readFileSync(join(place.directory, '.perdure/secrets.key'), 'utf8');
    assert.equal(after, begun.split('\n', 1)[0] + '\n');
    assert.match(String(sealedWith), /./);
    assert.deepEqual(await json(place, ['secrets', 'delete', 'TOKEN']), { shredded: true });
    assert.equal((await place.run(['secrets', 'delete', 'TOKEN'])).code, 1);
    assert.equal((await place.run(['secrets', 'set', 'TOKEN', VALUE])).code, 5);
    assert.notEqual((await place.run(['secrets', 'set', 'TOKEN'], {}, 'short')).code, 0);
    assert.deepEqual((await json(place, ['secrets', 'list']))['secrets'], []);
  });
});

describe('keys of providers', () => {
  const place = createPlace();
  after(async () => place.leave());
  const openai = async (env = {}): Promise<Json> => {
    const { providers } = (await json(place, ['auth', 'status'], undefined, env)) as { providers: Json[] };
    return providers.find(({ provider }) => provider === 'openai') ?? {};
  };
  const ready = async (model: string): Promise<unknown> => {
    const { models } = (await json(place, ['models', 'list'])) as { models: Json[] };
    return models.find(({ id }) => id === model)?.['ready'];
  };

  test('a key that is missing is asked for in both ways', async () => {
    const { code, stderr, stdout } = await place.run(['run', 'hello', '--model', 'openai/gpt-5-mini']);
    assert.notEqual(code, 0);
    assert.match(stderr + stdout, /set OPENAI_API_KEY, or keep one here by perdure auth login openai/);
  });

  test('one that is kept is used by every command, by a server at once, and goes to no tool', async () => {
    assert.equal(await ready('openai/gpt-5-mini'), false);
    const kept = await json(place, ['auth', 'login', 'openai'], `${KEY}\n`);
    assert.deepEqual(kept, { provider: 'openai', secret: 'OPENAI_API_KEY', from: 'secret', used: 'OPENAI_API_KEY' });
    assert.equal(await ready('openai/gpt-5-mini'), true);
    assert.equal(await ready('anthropic/claude-sonnet-5-5'), false);
    assert.deepEqual(
      ((await json(place, ['secrets', 'list'])) as { secrets: Json[] }).secrets.map(({ hosts, tools }) => [
        hosts,
        tools,
      ]),
      [[['api.openai.com'], []]],
    );
    assert.ok(!bytesIn(place.directory).includes(KEY));
    const server = place.start(['up', '--port', '0']);
    const text = await server.printed(/Ctrl-C stops it/);
    assert.match(text, /assistant \(openai-chat\/gpt-5-mini\)/);
    // Beside the server that has the data.
    const [seen, flight] = await Promise.all([json(place, ['doctor']), json(place, ['preflight'])]);
    const checks = new Map((seen['checks'] as Json[]).map(({ name, text: told }) => [name, String(told)]));
    assert.match(checks.get('provider keys') ?? '', /^found: openai \(OPENAI_API_KEY, stored\), .*; missing: /);
    assert.equal(checks.get('model of assistant'), 'openai-chat/gpt-5-mini');
    assert.deepEqual((flight['keys'] as Json[])[0], { provider: 'openai', from: 'secret', used: 'OPENAI_API_KEY' });
    assert.equal((await openai())['from'], 'secret');
    await json(place, ['auth', 'logout', 'openai']);
    assert.equal((await openai())['from'], null);
    assert.equal(await ready('openai/gpt-5-mini'), false);
    await json(place, ['auth', 'login', 'openai'], KEY);
    assert.equal(await ready('openai/gpt-5-mini'), true);
    server.kill('SIGTERM');
    assert.equal((await server.ended).code, 0);
  });

  test('a key of the environment goes before it, and one that is kept goes to no other address', async () => {
    const other = ['sk', 'proj', 'fedcba9876543210fedc'].join('-');
    assert.deepEqual((await openai({ OPENAI_API_KEY: other }))['from'], 'environment');
    const elsewhere = await openai({ OPENAI_BASE_URL: 'https://evil.example/v1' });
    assert.equal(elsewhere['from'], null);
    assert.match(String(elsewhere['problem']), /bound to host api\.openai\.com/);
    const both = await place.run(['doctor'], { OPENAI_API_KEY: other, GROQ_API_KEY: 'gsk-EXAMPLE-0123456789' });
    assert.match(both.stdout, /found: openai \(OPENAI_API_KEY, environment\), .*groq \(GROQ_API_KEY, environment\)/);
    const unfit = await place.run(['doctor'], { OPENAI_BASE_URL: 'https://evil.example/v1' });
    assert.match(
      unfit.stdout,
      /warn +provider keys +stored, and not used: openai \(OPENAI_API_KEY: .*api\.openai\.com/,
    );
  });

  test('what is no key of that provider is not kept', async () => {
    for (const [provider, value] of [
      ['openai', 'short'],
      ['openai', 'two words of a key, which is none'],
      ['openai', ['sk', 'ant', '0123456789abcdef0123'].join('-')],
      ['anthropic', KEY],
      ['nobody', KEY],
    ] as const)
      assert.notEqual((await place.run(['auth', 'login', provider], {}, value)).code, 0, `${provider} ${value}`);
    assert.equal((await openai())['from'], 'secret');
    await json(place, ['auth', 'logout', 'openai']);
    assert.equal((await place.run(['auth', 'logout', 'openai'])).code, 1);
    assert.ok(existsSync(join(place.directory, '.perdure')));
  });
});
