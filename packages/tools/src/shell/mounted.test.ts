import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { system } from '@perdure/runtime';
import type { Sandbox } from '@perdure/runtime/ports';
import type { Content, Mounted } from '../../test/mounted.ts';
import { makeMounted } from '../../test/mounted.ts';
import { makeSandbox, whyNoSandbox } from '../../test/sandbox.ts';
import { files } from '../files/index.ts';
import { createBare } from '../sandbox/index.ts';
import { ownMark } from '../sandbox/marks.ts';
import { jobs } from './jobs.ts';
import { shell } from './shell.ts';

const skip = await whyNoSandbox();
const tools = [shell({ mounts: true }), ...files({ mounts: true, write: true })];
const FILES: { [path: string]: Content } = {
  'a.txt': 'one\n',
  'src/b.txt': 'two\n',
  link: { link: 'a.txt' },
  out: { link: '/etc/hostname' },
  up: { link: '../../../etc' },
  'node_modules/x': 'kept\n',
};

const run = async (world: Mounted, sandbox: Sandbox, command: string, more: object = {}): Promise<string> =>
  (await world.call(tools, 'shell', { command }, { sandbox, ...more })).content;

function leftovers(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(ownMark('perdure-mounted')));
}

void describe('shell on what is mounted', { skip }, () => {
  void test('what rules deny of it is kept from commands, and stays as it is', async () => {
    using place = makeSandbox();
    const world = await makeMounted({ ...FILES, 'secrets/a': 'kept\n' });
    const denied: string[] = [];
    // As a runtime hands it on.
    const sandbox: Sandbox = {
      ...place.sandbox,
      run: async (command, options) =>
        place.sandbox.run(command, {
          ...options,
          denies: ({ below }) => below === 'site/secrets' && denied.push(below) > 0,
        }),
    };
    const mounts = [{ path: '/site', workspace: 'site' }];
    const said = await run(world, sandbox, 'grep -rh kept secrets; rm -rf secrets; mv src s; echo x > y', { mounts });
    assert.doesNotMatch(said, /^kept/m);
    assert.deepEqual(denied, ['site/secrets']);
    const after = await world.texts();
    assert.deepEqual([after['secrets/a'], after['s/b.txt'], after['y']], ['kept\n', 'two\n', 'x\n']);
  });

  void test('it sees the files, and what it changes is kept as one move: made, changed, taken away, links, programs', async () => {
    using place = makeSandbox();
    const world = await makeMounted(FILES);
    const before = new Set(leftovers());
    const said = await run(
      world,
      place.sandbox,
      'pwd; cat a.txt src/b.txt link; echo ONE > a.txt; rm -r src; mkdir -p new/deep; echo x > new/deep/run; chmod +x new/deep/run; ln -s new n; ln -sf /etc/passwd out',
    );
    assert.equal(said, 'exit code 0\n/workspace\none\ntwo\none');
    assert.deepEqual(await world.texts(), {
      'a.txt': 'ONE\n',
      link: '-> a.txt',
      n: '-> new',
      'new/deep/run': 'x\n',
      'node_modules/x': 'kept\n',
      out: '-> /etc/passwd',
      up: '-> ../../../etc',
    });
    const node = (await world.treeOf()).get('new/deep/run');
    assert.ok(node !== undefined && 'digest' in node && node.executable === true);
    assert.equal((await world.workspaces.head('site'))?.moves.length, 2);
    assert.deepEqual(new Set(leftovers()), before, 'nothing is left on the machine');
    assert.equal(
      await run(world, place.sandbox, 'cat n/deep/run && ./n/deep/run || true'),
      'exit code 0\nx\n[stderr]\n./n/deep/run: line 1: x: command not found',
    );
    assert.equal((await world.workspaces.head('site'))?.moves.length, 2, 'what changes nothing moves nothing');
  });

  void test('read-only it changes nothing, and several are side by side', async () => {
    using place = makeSandbox();
    const world = await makeMounted(FILES);
    await world.push('docs', { 'guide.md': 'read\n' });
    const mounts = [
      { path: '/site', workspace: 'site' },
      { path: '/docs', workspace: 'docs', mode: 'read-only' as const },
    ];
    const said = await run(world, place.sandbox, 'cat docs/guide.md; echo x > docs/x; echo y > site/y', { mounts });
    assert.match(said, /^exit code 0\nread\n\[stderr\]\n.*docs\/x: Read-only file system$/);
    assert.deepEqual(Object.keys(await world.texts('docs')), ['guide.md']);
    assert.equal((await world.texts())['y'], 'y\n');
  });

  void test('what no workspace holds is told, and neither read nor kept', async () => {
    using place = makeSandbox();
    const world = await makeMounted({ a: 'a', b: 'b' });
    const said = await run(
      world,
      place.sandbox,
      'mkfifo pipe; ln a hard; touch "x:y"; rm b; mkdir b; ln -s /etc/shadow b/s; mkdir .git; echo x > .git/config',
    );
    assert.match(said, /\[not kept: "pipe" is neither/);
    assert.match(said, /\[not kept: "a" has a second name/);
    assert.match(said, /\[not kept: "x:y" has a character/);
    assert.deepEqual(await world.texts(), { a: 'a', 'b/s': '-> /etc/shadow' });
  });

  void test('what others changed meanwhile stays; what both changed is not kept, and told', async () => {
    using place = makeSandbox();
    const world = await makeMounted({ a: 'a', b: 'b', c: 'c' });
    const slow: Sandbox = {
      ...place.sandbox,
      async run(command, options) {
        const started = await place.sandbox.run(command, options);
        await world.push('site', { a: 'theirs', b: 'b', c: 'theirs' });
        return started;
      },
    };
    const said = await run(world, slow, 'echo -n mine > a; echo -n mine > b');
    assert.match(said, /\[not kept: "a" was changed by somebody else meanwhile\]/);
    assert.deepEqual(await world.texts(), { a: 'theirs', b: 'mine', c: 'theirs' });
  });

  void test('a command that is killed has changed what it had changed; one that floods as well', async () => {
    using place = makeSandbox();
    const world = await makeMounted({ a: 'a' });
    const late = await world.call(
      tools,
      'shell',
      { command: 'echo x > x; sleep 60', timeoutMs: 500 },
      { sandbox: place.sandbox },
    );
    assert.match(late.content, /^killed: it did not end/);
    assert.equal((await world.texts())['x'], 'x\n');
  });

  void test('a command that a person let run again says that what it changed is not kept, where it was kept before', async () => {
    using place = makeSandbox();
    const world = await makeMounted({ a: 'a' });
    await run(world, place.sandbox, 'echo first > x', { key: 'k' });
    const again = await run(world, place.sandbox, 'echo second > x', { key: 'k', attempt: 2 });
    assert.match(again, /\[what the command changed in \/ is not kept: an earlier attempt of this call has changed it/);
    assert.equal((await world.texts())['x'], 'first\n');
  });

  void test('a call whose end nobody heard is known to have run by what it has stored', async () => {
    using place = makeSandbox();
    const world = await makeMounted({ a: 'a' });
    const [tool] = tools;
    const ask = async (key: string) => tool?.verify?.(key, {}, world.context({ key, attempt: 2 }));
    assert.deepEqual(await ask('k'), { outcome: 'unknown' });
    await run(world, place.sandbox, 'echo x > x', { key: 'k' });
    assert.equal((await ask('k'))?.outcome, 'done');
    assert.deepEqual(await ask('other'), { outcome: 'unknown' });
  });
});

void describe('jobs on what is mounted', { skip }, () => {
  const all = [...tools, ...jobs({ mounts: true })];
  const job = 'r1t1c0';
  const open = async (files: { [path: string]: Content }) => {
    const place = makeSandbox();
    const world = await makeMounted(files);
    const told: string[] = [];
    const own = world.jobsIn(place.sandbox, told);
    const call = async (name: string, args: object, key = 'other'): Promise<string> =>
      (await world.call(all, name, args, { sandbox: place.sandbox, jobs: own, key })).content;
    const said = async (text: RegExp): Promise<string> => {
      let read = '';
      while (!text.test(read)) {
        read = await call('job_read', { job });
        await new Promise<void>((go) => void system.timers.set(10, go));
      }
      return read;
    };
    const close = async (): Promise<void> => {
      await own.close();
      place[Symbol.dispose]();
    };
    return { world, told, own, call, said, [Symbol.asyncDispose]: close };
  };

  void test('what a job changes is kept once, whole, when it ends, before anybody hears that it did, and not before', async () => {
    await using at = await open({ a: 'a', b: 'b' });
    const before = new Set(leftovers());
    const command = 'pwd; echo -n half > a; echo wrote; read x; echo -n mine > a; rm b; echo -n new > c; exit 3';
    const began = await at.call('job_start', { command }, 'start');
    assert.equal(
      began,
      `job ${job} runs; read it with job_read; what it changes in what is mounted is kept when it ends, and not before`,
    );
    assert.match(await at.said(/wrote/), /running; .*\n\/workspace\nwrote\n$/s);
    assert.deepEqual(await at.world.texts(), { a: 'a', b: 'b' });
    const texts: unknown[] = [];
    Object.assign(at.told, { push: (text: string) => texts.push(text, at.world.texts()) });
    assert.equal(await at.call('job_write', { job, text: 'go\n' }), 'written');
    await at.said(/exit code 3/);
    const kept = { a: 'mine', c: 'new' };
    assert.deepEqual(await at.world.texts(), kept);
    while (texts.length === 0) await new Promise<void>((go) => void system.timers.set(5, go));
    assert.deepEqual(await texts[1], kept);
    const moves = (await at.world.workspaces.head('site'))?.moves ?? [];
    assert.deepEqual(
      moves.map(({ key }) => key),
      ['push-1', 'start'],
      'one move, by the call that started it',
    );
    assert.deepEqual(new Set(leftovers()), before, 'nothing is left on the machine');
  });

  void test('others go on meanwhile: what they changed stays, what both changed is told', async () => {
    await using at = await open({ a: 'a', b: 'b' });
    await at.call('job_start', { command: 'echo -n mine > a; echo -n mine > c; read x' });
    await at.world.push('site', { a: 'theirs', b: 'theirs' });
    await at.call('job_write', { job, text: '', end: true });
    assert.match(await at.said(/exit code 1/), /\n\[not kept: "a" was changed by somebody else meanwhile\]$/);
    assert.deepEqual(await at.world.texts(), { a: 'theirs', b: 'theirs', c: 'mine' });
  });

  void test('one that is stopped, by a call or with its session, has changed what it had changed, however it goes on writing', async () => {
    for (const end of ['stop', 'session'] as const) {
      await using at = await open({ a: 'a' });
      const command =
        'exec 2>/dev/null; (echo -n whole > x; echo begun; exec >/dev/null; while :; do mv x y; echo -n whole > x; done) & wait';
      await at.call('job_start', { command });
      await at.said(/begun/);
      if (end === 'stop') assert.match(await at.call('job_stop', { job }), /^job r1t1c0: killed: it was stopped/);
      else await at.own.end('ses_1');
      const { a, y = 'whole', x = 'whole', ...others } = await at.world.texts();
      assert.deepEqual({ a, y, others }, { a: 'a', y: 'whole', others: {} });
      assert.ok('whole'.startsWith(x), x);
      assert.equal((await at.world.workspaces.head('site'))?.moves.length, 2);
    }
  });

  void test('of a job that is lost with its process nothing is kept, and what it left on the machine the next one takes away', async () => {
    await using at = await open({ a: 'a' });
    const left = join(tmpdir(), `${ownMark('perdure-mounted').replace(/\d+$/, '1')}-abcdef`);
    mkdirSync(left);
    writeFileSync(join(left, 'a'), 'half');
    const program = `
      import { removeLeftBehind } from ${JSON.stringify(import.meta.resolve('./mounted.ts'))};
      await removeLeftBehind();`;
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    assert.equal(ran.stderr.replaceAll(/.*Warning.*\n|\(Use.*\n/g, ''), '');
    assert.equal(existsSync(left), false);
    const lost = at.world.jobsIn(makeSandbox().sandbox, [], 'p2');
    await at.call('job_start', { command: 'echo -n half > a; echo wrote; read x' });
    await at.said(/wrote/);
    assert.deepEqual(await lost.of('ses_1', 'x').state(job), { type: 'lost' });
    assert.deepEqual(await at.world.texts(), { a: 'a' });
  });
});

void test('with nothing mounted, or too much, no command begins', async () => {
  const sandbox = createBare({ timers: system.timers });
  const world = await makeMounted({ a: 'a' });
  assert.match(await run(world, sandbox, 'true', { mounts: [] }), /^not_found: No workspace is mounted/);
  assert.match(
    await run(world, sandbox, 'true', { mounts: [{ path: '/x', workspace: 'gone' }] }),
    /^not_found: the workspace gone/,
  );
  assert.equal(await run(world, sandbox, 'cat a; echo b > b'), 'exit code 0\na');
  assert.deepEqual(await world.texts(), { a: 'a', b: 'b\n' });
});
