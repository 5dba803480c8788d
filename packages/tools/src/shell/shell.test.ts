import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { system } from '@perdure/runtime';
import type { ToolContext } from '@perdure/runtime/ports';
import { call, contextOf, makePlace } from '../../test/context.ts';
import { makeSandbox, whyNoSandbox } from '../../test/sandbox.ts';
import { createBare } from '../sandbox/index.ts';
import { Output } from './output.ts';
import { shell } from './shell.ts';

const skip = await whyNoSandbox();

void test('shell asks before each command, and happens at most once', () => {
  using place = makePlace();
  const tool = shell({ root: place.base });
  assert.deepEqual([tool.name, tool.effect, tool.approval, tool.edits], ['shell', 'unsafe', 'always', undefined]);
});

void test('what cannot be obeyed is refused when the tool is made', () => {
  using place = makePlace();
  for (const root of [join(place.base, 'none'), '/']) assert.throws(() => shell({ root }), { code: 'invalid_root' });
  assert.throws(() => shell({ root: place.base, read: ['/none'] }), { code: 'invalid_root' });
  assert.throws(() => shell({ root: place.base, hosts: ['10.0.0.1'] }), { code: 'invalid_host' });
});

void test('a secret is in the environment of the command that may have it, under its name, and of no other', async () => {
  using place = makePlace();
  const sandbox = createBare({ timers: system.timers });
  const tool = shell({ root: place.base, secrets: ['TOKEN', 'NONE'] });
  const secret: ToolContext['secret'] = (name, to) => {
    if (name !== 'TOKEN') return undefined;
    if (to?.command === 'printenv TOKEN') return 'open-sesame-1';
    throw Object.assign(new Error('bound elsewhere'), { code: 'secret_refused' });
  };
  const said = async (command: string): Promise<string> => {
    const result = await tool.run({ command, timeoutMs: 10_000 }, { ...contextOf(undefined, sandbox), secret });
    return JSON.stringify(result);
  };
  try {
    assert.match(await said('printenv TOKEN'), /exit code 0.*open-sesame-1/);
    assert.match(await said('printenv TOKEN; true'), /exit code 0/);
    assert.ok(!(await said('env')).includes('open-sesame-1'));
  } finally {
    await sandbox.close();
  }
  assert.throws(() => shell({ root: place.base, secrets: ['a-b'] }), { code: 'invalid_secret' });
});

void test('long output keeps its beginning and its end, and says what is left out', () => {
  const output = new Output();
  const piece = Buffer.alloc(100_000, 'x');
  output.add(Buffer.from('begin'));
  for (let index = 0; index < 100; index++) output.add(piece);
  output.add(Buffer.from('end'));
  const { text, bytes, left } = output.kept();
  assert.equal(bytes, 10_000_008);
  assert.ok(text.startsWith('begin') && text.endsWith('end') && text.length < 400_000);
  assert.match(text, new RegExp(`\\[${left} bytes are left out here\\]`));
  const short = new Output();
  for (const part of ['Zw', 'ö', 'lf']) short.add(Buffer.from(part));
  assert.deepEqual(short.kept(), { text: 'Zwölf', bytes: 6, left: 0 });
});

void describe('shell in the sandbox', { skip }, () => {
  void test('it gives the exit code and what was said, and obeys read-only and read-write', async () => {
    using place = makeSandbox();
    writeFileSync(join(place.workspace, 'a'), 'one\n');
    const run = async (args: unknown, write = false) =>
      call([shell({ root: place.workspace, write })], 'shell', args, undefined, place.sandbox);
    assert.equal((await run({ command: 'cat a; echo bad >&2; exit 3' })).content, 'exit code 3\none\n[stderr]\nbad');
    assert.equal((await run({ command: 'true' })).content, 'exit code 0');
    assert.match((await run({ command: 'kill -9 $$' })).content, /^exit code 137 \(SIGKILL\)/);
    assert.match((await run({ command: 'echo x > b' })).content, /Read-only file system/);
    assert.equal(existsSync(join(place.workspace, 'b')), false);
    assert.equal((await run({ command: 'echo x > b; pwd' }, true)).content, 'exit code 0\n/workspace');
    assert.equal(readFileSync(join(place.workspace, 'b'), 'utf8'), 'x\n');
  });

  void test('it begins in a folder of the workspace, and in no other', async () => {
    using place = makeSandbox();
    mkdirSync(join(place.workspace, 'sub'));
    symlinkSync('/etc', join(place.workspace, 'out'));
    const tools = [shell({ root: place.workspace })];
    const run = async (cwd: string) => call(tools, 'shell', { command: 'pwd -P', cwd }, undefined, place.sandbox);
    for (const cwd of ['sub', './sub/', '/workspace/sub', 'sub/../sub'])
      assert.match((await run(cwd)).content, /\/workspace\/sub$/);
    for (const cwd of ['..', '/', '/etc', '../workspace2', 'sub/../../etc'])
      assert.match((await run(cwd)).content, /^outside_root: /, cwd);
    assert.match((await run('none')).content, /^not_started: .*No such file/);
    // A link is followed there, where /etc is the sandbox's.
    assert.match((await run('out')).content, /\n\/etc$/);
  });

  void test('over its time it is killed with all that it started, and what it said stays', async () => {
    using place = makeSandbox();
    const tools = [shell({ root: place.workspace, write: true })];
    const args = { command: 'echo said; (sleep 2; touch late) & sleep 60', timeoutMs: 1_000 };
    const result = await call(tools, 'shell', args, undefined, place.sandbox);
    assert.equal(result.content, 'killed: it did not end within 1000 ms\nsaid');
    assert.deepEqual(result.details, { type: 'killed', reason: 'timeout', stdout: 5, stderr: 0 });
  });

  void test('a cancel kills it', async () => {
    using place = makeSandbox();
    const tools = [shell({ root: place.workspace, write: true })];
    const controller = new AbortController();
    const running = call(tools, 'shell', { command: 'touch begun; sleep 60' }, controller.signal, place.sandbox);
    while (!existsSync(join(place.workspace, 'begun'))) await new Promise<void>((go) => void system.timers.set(20, go));
    controller.abort();
    assert.match((await running).content, /^killed: it was stopped/);
  });

  void test('a flood of output ends the command, not the process', async () => {
    using place = makeSandbox();
    const result = await call(
      [shell({ root: place.workspace })],
      'shell',
      { command: 'yes' },
      undefined,
      place.sandbox,
    );
    assert.match(result.content, /^killed: it said more than/);
    assert.ok(result.content.length < 500_000);
  });

  void test('further folders are read where they are, and env is what was given', async () => {
    using place = makeSandbox();
    writeFileSync(join(place.outside, 'tool'), 'here');
    const tools = [shell({ root: place.workspace, read: [place.outside], env: { GIVEN: 'yes' } })];
    const command = `cat ${place.outside}/tool; echo " $GIVEN"; echo x > ${place.outside}/x`;
    const { content } = await call(tools, 'shell', { command }, undefined, place.sandbox);
    assert.match(content, /^exit code 1\nhere yes\n\[stderr\]\n.*Read-only/);
  });
});

void test('with no sandbox, because the operator wants none, a command runs in its folder with all rights', async () => {
  using place = makePlace();
  const sandbox = createBare({ timers: system.timers });
  mkdirSync(join(place.base, 'sub'));
  const tools = [shell({ root: place.base, env: { GIVEN: 'yes' } })];
  const result = await call(tools, 'shell', { command: 'pwd -P; echo $GIVEN; exit 4', cwd: 'sub' }, undefined, sandbox);
  assert.equal(result.content, `exit code 4\n${place.base}/sub\nyes`);
  const late = await call(tools, 'shell', { command: 'sleep 60 & sleep 60', timeoutMs: 200 }, undefined, sandbox);
  assert.match(late.content, /^killed: it did not end/);
});

void test('where there is no sandbox the command is refused, and told what to do', async () => {
  using place = makePlace();
  const { createBubblewrap } = await import('../sandbox/index.ts');
  const sandbox = createBubblewrap({ timers: system.timers, program: '/nowhere' });
  const result = await call([shell({ root: place.base })], 'shell', { command: 'true' }, undefined, sandbox);
  assert.equal(result.isError, true);
  assert.match(result.content, /^sandbox_unavailable: bubblewrap is not installed: install it/);
});
