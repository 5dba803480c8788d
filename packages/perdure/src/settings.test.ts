import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keysFound } from '@perdure/models';
import { commandHelp } from './cli/commands/help.ts';
import { COMMANDS } from './cli/table.ts';
import { configShape } from './config.ts';
import { merged, readDotenv } from './environment.ts';
import type { Engine } from './engine.ts';
import { engineOf } from './engine.ts';
import { SettingError } from './errors.ts';
import { envExample, readSettings, SETTINGS } from './settings.ts';
import type { SettingName, Sources } from './settings.ts';

const read = (sources: Partial<Sources>) => readSettings({ flags: {}, env: {}, dotenv: {}, ...sources });

test('a flag goes before the environment, that before .env, that before the configuration, that before the default', () => {
  const config = { file: 'perdure.config.ts', values: { data: 'e' } };
  const all = { flags: { data: 'a' }, env: { PERDURE_DATA: 'b' }, dotenv: { PERDURE_DATA: 'c' }, config };
  const steps = [
    ['a', '--data', all],
    ['b', 'PERDURE_DATA', { ...all, flags: {} }],
    ['c', '.env PERDURE_DATA', { ...all, flags: {}, env: {} }],
    ['e', 'perdure.config.ts', { ...all, flags: {}, env: {}, dotenv: {} }],
    ['.perdure', 'default', {}],
  ] as const;
  for (const [value, origin, sources] of steps) {
    const { settings, origins } = read(sources);
    assert.deepEqual([settings.data, origins.data], [value, origin]);
  }
});

test('an empty variable is not set, and does not hide what .env says', () => {
  assert.equal(read({ env: { PERDURE_PORT: '' }, dotenv: { PERDURE_PORT: '1234' } }).settings.port, 1234);
  assert.deepEqual(merged({ A: ' ', B: 'own' }, { A: 'a', B: 'b', C: '' }), { A: 'a', B: 'own' });
});

test('a value that cannot be meant is refused, and the refusal names where it stands', () => {
  const refused = [
    [{ flags: { port: '70000' } }, '--port'],
    [{ env: { PERDURE_PORT: '-1' } }, 'PERDURE_PORT'],
    [{ dotenv: { PERDURE_PORT: '1e3' } }, '.env PERDURE_PORT'],
    [{ env: { PERDURE_LOG_LEVEL: 'loud' } }, 'PERDURE_LOG_LEVEL'],
    [{ env: { PERDURE_LOG_FORMAT: 'xml' } }, 'PERDURE_LOG_FORMAT'],
    [{ flags: { restate: 'http://restate:8080' } }, '--restate'],
    [{ env: { PERDURE_RESTATE: 'restate:8080,restate:9070' } }, 'PERDURE_RESTATE'],
    [{ env: { PERDURE_RESTATE_LISTEN: 'host:port' } }, 'PERDURE_RESTATE_LISTEN'],
  ] as const;
  for (const [sources, source] of refused)
    assert.throws(
      () => read(sources),
      (error) => error instanceof SettingError && error.source === source && error.code === 'invalid_setting',
    );
});

test('a store is named by its kind or by the address of a Postgres; what is refused is not repeated with its password', () => {
  const store = (value: string) => read({ env: { PERDURE_STORE: value } }).settings.store;
  assert.equal(read({}).settings.store, 'sqlite');
  assert.equal(store(' memory '), 'memory');
  assert.equal(store('postgres://u:EXAMPLE@h/d'), 'postgres://u:EXAMPLE@h/d');
  assert.equal(store('postgresql://h'), 'postgresql://h');
  for (const refused of ['redis', 'postgres:', 'postgres://', 'mysql://u:EXAMPLE@h/d'])
    assert.throws(
      () => store(refused),
      (error) => error instanceof SettingError && !error.message.includes('EXAMPLE'),
    );
});

test('the Restate that all processes share is named by a flag or a variable, and goes before what the configuration says', () => {
  const config = { file: 'perdure.config.ts', values: {} };
  const engine = (sources: Partial<Sources>, configured?: Engine) => {
    const values = configured === undefined ? {} : { engine: configured };
    const { settings, origins } = read({ ...sources, config: { ...config, values } });
    return engineOf(settings, origins, configured);
  };
  const given = { ingress: 'http://a:8080', admin: 'http://a:9070' };
  const flags = { restate: 'http://a:8080, http://a:9070' };
  assert.deepEqual(engine({ flags }), { restate: given });
  assert.deepEqual(engine({ flags: { ...flags, engine: 'restate' } }), { restate: given });
  const described = { restate: { ingress: 'http://b:1', admin: 'http://b:2', name: 'mine' } };
  assert.deepEqual(engine({ flags: { engine: 'restate' } }, described), described);
  const env = { PERDURE_RESTATE_LISTEN: '0.0.0.0:9080', PERDURE_RESTATE_URL: 'http://lb', PERDURE_RESTATE_TOKEN: 't' };
  assert.deepEqual(engine({ flags, env }, described), {
    restate: { ...given, name: 'mine', listen: { host: '0.0.0.0', port: 9080 }, url: 'http://lb', token: 't' },
  });
  assert.deepEqual(engine({ env: { PERDURE_RESTATE_LISTEN: '9080' } }, described), {
    restate: { ...described.restate, listen: { port: 9080 } },
  });
  for (const sources of [{ flags: { ...flags, engine: 'local' } }, { env }])
    assert.throws(() => engine(sources), SettingError);
});

test('.env.example has each variable of the table, and nothing else (write it anew from envExample() when this fails)', () => {
  const path = join(import.meta.dirname, '../../../.env.example');
  assert.equal(readFileSync(path, 'utf8'), envExample(keysFound({})));
  assert.deepEqual(readSettings({ flags: {}, env: {}, dotenv: readDotenv(join(path, '..')) }).origins.data, 'default');
});

test('a setting that the configuration may hold is a key that defineConfig knows', () => {
  for (const [name, { config }] of Object.entries(SETTINGS)) if (config) assert.ok(name in configShape, name);
});

test('each flag of a command is in its help, with its variable and its default', () => {
  for (const [name, command] of Object.entries(COMMANDS)) {
    const text = commandHelp(name);
    for (const flag of [...Object.keys(command.flags), ...command.settings])
      assert.ok(text.includes(`--${flag}`), flag);
  }
  assert.match(commandHelp('up'), /--port PORT .*\(PERDURE_PORT, default 7420\)/);
});

test('only settings that have a flag are offered as flags', () => {
  const offered = new Set(Object.values(COMMANDS).flatMap(({ settings }) => settings));
  for (const name of Object.keys(SETTINGS) as SettingName[])
    assert.equal(offered.has(name), SETTINGS[name].flag !== null, name);
});

test('.env is read with quotes and comments; none is no error; one that cannot be read is', () => {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-env-'));
  try {
    assert.deepEqual(readDotenv(directory), {});
    writeFileSync(join(directory, '.env'), '# a comment\nA="x y"\nB=z # rest\n');
    assert.deepEqual({ ...readDotenv(directory) }, { A: 'x y', B: 'z' });
    assert.throws(() => readDotenv(join(directory, '.env')), SettingError);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
