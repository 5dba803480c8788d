/** The tarball as a user gets it: made by `npm pack` in a copy of the clone, and used in an empty folder. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createPlace } from './process.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');
const modules = join(root, 'node_modules');
const folder = mkdtempSync(join(tmpdir(), 'perdure-pack-'));
const clone = join(folder, 'clone');
const user = join(folder, 'user');
const installed = join(user, 'node_modules/perdure');
type Manifest = { [key: string]: unknown; dependencies: { [name: string]: string } };
const manifestOf = (path: string): Manifest => JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;

/** The clone's own sources with its installed libraries: packing rewrites a manifest, which is not done under others' feet. */
function copyClone(): void {
  const wanted = (path: string): boolean =>
    !/^(node_modules|dist|test)$/.test(basename(path)) && !path.endsWith('.test.ts');
  mkdirSync(join(clone, 'node_modules/@perdure'), { recursive: true });
  cpSync(join(root, 'packages'), join(clone, 'packages'), { recursive: true, filter: wanted });
  for (const name of ['package.json', 'tsconfig.json', 'LICENSE', 'docs/guides'])
    cpSync(join(root, name), join(clone, name), { recursive: true });
  for (const name of readdirSync(modules)) {
    if (name !== '@perdure' && name !== 'perdure') symlinkSync(join(modules, name), join(clone, 'node_modules', name));
  }
  for (const name of readdirSync(join(clone, 'packages')))
    symlinkSync(join(clone, 'packages', name), join(clone, 'node_modules/@perdure', name));
}

/** Runs this Node's program with nothing of the clone in its environment. */
async function node(args: readonly string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: user };
  return (await run(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], { cwd: user, env })).stdout;
}

before(async () => {
  copyClone();
  const cwd = join(clone, 'packages/perdure');
  const source = manifestOf(cwd);
  const path = [join(modules, '.bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  await run('npm', ['pack', '--offline', '--pack-destination', folder], { cwd, env: { ...process.env, PATH: path } });
  assert.deepEqual(manifestOf(cwd), source, 'the manifest of the clone is back');
  assert.ok(!existsSync(join(cwd, 'LICENSE')));
  mkdirSync(installed, { recursive: true });
  await run('tar', [
    '-xzf',
    join(folder, `perdure-${String(source['version'])}.tgz`),
    '--strip-components=1',
    '-C',
    installed,
  ]);
  // Its libraries as an install would place them; nothing else of the clone can be found from here.
  const { dependencies } = manifestOf(installed);
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(user, 'node_modules', name)), { recursive: true });
    symlinkSync(join(modules, name), join(user, 'node_modules', name));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('the package names exact libraries and the Node binaries, and nothing of the workspace', () => {
  const manifest = manifestOf(installed);
  for (const [name, version] of Object.entries(manifest.dependencies)) {
    assert.ok(!name.startsWith('@perdure/'), name);
    assert.match(version, /^\d+\.\d+\.\d+$/);
  }
  const { optionalDependencies } = manifestOf(root);
  assert.deepEqual(manifest['optionalDependencies'], optionalDependencies);
  assert.deepEqual([manifest['scripts'], manifest['devDependencies']], [undefined, undefined]);
  for (const name of [
    'LICENSE',
    'README.md',
    'bin/perdure.js',
    'dist/cli.js',
    'dist/index.js',
    'dist/committer.js',
    'dist/verifier.js',
    'dist/searcher.js',
    'dist/converter.js',
  ])
    assert.ok(existsSync(join(installed, name)), name);
  assert.ok(!existsSync(join(installed, 'src')) && !existsSync(join(installed, 'dist/source-manifest.json')));
});

test('the command runs from it, on SQLite with its threads, with a configuration that imports it', async () => {
  const command = join(installed, 'bin/perdure.js');
  assert.equal(await node([command, '--version']), `${String(manifestOf(installed)['version'])}\n`);
  assert.equal(await node([command, 'run', 'What is 2 + 3?', '--quiet']), '2 + 3 = 5\n');
  assert.match(await node([command, 'docs']), /^recovery +Recovery$/m);
  assert.match(await node([command, 'docs', 'testing']), /^# Testing agents/);
  writeFileSync(
    join(user, 'perdure.config.mjs'),
    `import { agent, defineConfig, tool } from 'perdure';
     const hello = tool({ name: 'hello', description: 'Greets.', input: { type: 'object', properties: {} }, run: () => 'hello' });
     export default defineConfig({ agents: [agent({ name: 'greeter', model: 'demo', tools: [hello] })] });`,
  );
  assert.equal(await node([command, 'run', 'call hello {}', '--quiet']), 'hello: hello\n');
});

test('a page of the web becomes Markdown in a thread of the package', async (t) => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<h1>A page</h1><p>of <b>words</b>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const script = `
    import { webFetch } from 'perdure';
    const tool = webFetch({ origins: ['${origin}'] });
    console.log((await tool.run({ url: '${origin}/' }, { signal: new AbortController().signal })).content);`;
  const shown = await node(['--input-type=module', '--eval', script]);
  assert.equal(shown, `${origin}/\n\n# A page\n\nof **words**\n`);
});

test('what else it exports is imported by its name, and the client by a browser, too', async () => {
  const script = `
    import { createTestRuntime } from 'perdure/testing';
    import { createClient } from 'perdure/client';
    import { StoreDamage } from 'perdure/ports';
    import { agent } from 'perdure';
    const { rt, model } = await createTestRuntime({ agents: [agent({ name: 'a', model: 'x/y' })], script: [{ text: 'hi' }] });
    const end = await (await (await rt.open('a')).send('go')).result();
    model.verify();
    await rt.close();
    console.log(end.text, typeof createClient, typeof StoreDamage);`;
  assert.equal(await node(['--input-type=module', '--eval', script]), 'hi function function\n');
  const seen = new Set<string>();
  const importsOf = (path: string): string[] => {
    if (seen.has(path)) return [];
    seen.add(path);
    const found = [...readFileSync(path, 'utf8').matchAll(/(?:from|import) "([^"]+)";/g)].map(([, name = '']) => name);
    return found.flatMap((name) => (name.startsWith('.') ? importsOf(join(dirname(path), name)) : [name]));
  };
  assert.deepEqual([...new Set(importsOf(join(installed, 'dist/client.js')))], ['zod']);
});

test('a project that it writes answers, passes its own test, and its types hold', async () => {
  const command = join(installed, 'bin/perdure.js');
  const { next } = JSON.parse(await node([command, 'init', 'shop', '--json'])) as { next: string[] };
  assert.deepEqual(next, ['cd shop', 'npm install', 'npm test', 'npm run dev']);
  const cwd = join(user, 'shop');
  const inside = async (...args: string[]): Promise<string> => {
    const env = { PATH: process.env['PATH'], HOME: user };
    return (await run(process.execPath, args, { cwd, env })).stdout;
  };
  const wanted = (manifestOf(cwd) as { dependencies: object }).dependencies;
  assert.deepEqual(wanted, {
    perdure: manifestOf(installed)['version'],
    zod: manifestOf(installed).dependencies['zod'],
  });
  assert.match(await inside('--test'), /pass 1\n/);
  assert.match(await inside(command, 'run', 'call find_order {"order": 8}', '--quiet'), /kettle/);
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const types = ['--typeRoots', join(modules, '@types')];
  await inside(join(typescript, 'bin/tsc'), '--noEmit', ...types).catch((error: { stdout: string }) =>
    assert.fail(error.stdout),
  );
});

test('it serves a project while that is written, and ends when it is asked to', async () => {
  const place = createPlace([join(installed, 'bin/perdure.js')], join(user, 'shop'));
  try {
    const dev = place.start(['dev', '--port', '0']);
    await dev.printed(/runs at [^]*support \(demo\)[^]*Ctrl-C stops it/);
    writeFileSync(join(user, 'shop/agents/support/instructions.md'), 'You are brief.');
    await dev.printed(/restarted in [\d.]+ s: agents\/support\/instructions\.md changed/);
    const found = await place.run(['search', 'kettle', '--json']);
    assert.equal((JSON.parse(found.stdout) as { hits: unknown[] }).hits.length > 0, true, found.stderr);
    dev.kill('SIGTERM');
    assert.equal((await dev.ended).code, 0);
  } finally {
    await place.leave();
  }
});

test('the library is imported by its name, and its types hold what a program does with them', async () => {
  writeFileSync(join(user, 'package.json'), '{"type": "module"}');
  writeFileSync(
    join(user, 'program.ts'),
    `import { agent, createRuntime, tool, type Session } from 'perdure';
     import { z } from 'zod';
     const add = tool({ name: 'add', description: 'Adds.', input: z.object({ a: z.number() }), run: ({ a }) => a.toFixed(1) });
     const rt = await createRuntime({ store: 'memory', agents: [agent({ name: 'adder', model: 'demo', tools: [add] })] });
     const session: Session = await rt.open('adder');
     const run = await session.send('call add {"a": 2}');
     for await (const event of run.events()) if (event.kind === 'turn.settled') event.data.outcome satisfies string;
     const end = await run.result();
     for (const wait of end.waits ?? []) await session.resolve(wait.id, { decision: 'approve', digest: wait.digest ?? '' });
     // @ts-expect-error an option that is not there
     createRuntime({ agents: [agent({ name: 'b', model: 'demo' })], stor: 'memory' }).catch((error: { path: string }) => console.log(end.text, error.path));
     await rt.close();`,
  );
  const guide = readFileSync(join(clone, 'docs/guides/testing.md'), 'utf8');
  const laws = [...guide.matchAll(/```ts\n([^]*?)```/g)].find(([, code]) => code?.includes('{ spec, steps }'))?.[1];
  writeFileSync(join(user, 'laws.ts'), laws ?? assert.fail('the guide shows no laws of the engine'));
  const types = { module: 'nodenext', target: 'esnext', strict: true, noEmit: true, exactOptionalPropertyTypes: true };
  const tsconfig = {
    compilerOptions: { ...types, types: ['node'], typeRoots: [join(modules, '@types')] },
    files: ['program.ts', 'laws.ts'],
  };
  writeFileSync(join(user, 'tsconfig.json'), JSON.stringify(tsconfig));
  const require = createRequire(import.meta.url);
  const typescript = dirname(require.resolve('typescript/package.json'));
  await node([join(typescript, 'bin/tsc'), '-p', user]).catch((error: { stdout: string }) => assert.fail(error.stdout));
  assert.equal(await node(['program.ts']), 'add: 2.0 stor\n');
});
