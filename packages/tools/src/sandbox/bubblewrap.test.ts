import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { before, describe, test } from 'node:test';
import { system } from '@perdure/runtime';
import { SandboxError } from '@perdure/runtime/ports';
import { exited, LIMITS_HERE, makeSandbox, NOBODY, textOf, whyNoSandbox } from '../../test/sandbox.ts';
import { createBubblewrap } from './bubblewrap.ts';
import { openExit } from './network/exit.ts';
import { hostRules } from '../network/hosts.ts';

const skip = await whyNoSandbox();
const asRoot = process.getuid?.() === 0;
const code = (expected: string) => (error: unknown) => error instanceof SandboxError && error.code === expected;

void describe('a sandbox of bubblewrap', { skip }, () => {
  before(() => {
    if (!asRoot) console.log('not as root here: what is of root alone is skipped');
  });

  void test('every wall that is probed holds', async () => {
    const { kind, version, walls } = await createBubblewrap({ timers: system.timers }).probe();
    assert.equal(kind, 'bubblewrap');
    assert.match(version ?? '', /^\d/);
    assert.deepEqual(
      walls.filter(({ holds }) => !holds),
      [],
    );
    assert.equal(walls.length, 11);
  });

  void test('a command gives its output and its code, and writes only what it may write', async () => {
    using place = makeSandbox();
    writeFileSync(join(place.workspace, 'given'), 'in');
    const ran = await place.run('cat given; echo words >&2; echo out > made; exit 7');
    assert.deepEqual(ran, { stdout: 'in', stderr: 'words\n', end: exited(7) });
    assert.equal(readFileSync(join(place.workspace, 'made'), 'utf8'), 'out\n');
    const folders = [{ path: place.workspace, at: '/workspace', write: false }];
    assert.notDeepEqual((await place.run('echo x > second', { folders })).end, exited(0));
    assert.equal(existsSync(join(place.workspace, 'second')), false);
  });

  void test('a command reads the input that it is given, to its end', async () => {
    using place = makeSandbox();
    const options = { folders: [], cwd: '/tmp', env: { NAME: 'a value' }, hosts: [], input: true, limits: LIMITS_HERE };
    const started = await place.sandbox.run(['/bin/bash', '-c', 'echo "$NAME"; cat'], options);
    assert.equal(await started.write(Buffer.from('said')), true);
    started.endInput();
    assert.equal(await textOf(started.stdout), 'a value\nsaid');
    assert.deepEqual(await started.ended, exited(0));
    assert.equal(await started.write(Buffer.from('late')), false);
  });

  void test('its time over, a command is ended with all that it started', async () => {
    using place = makeSandbox();
    const limits = { ...LIMITS_HERE, timeoutMs: 300 };
    const script = '(while :; do date +%s%N > beat; sleep 0.02; done) & sleep 60';
    assert.deepEqual((await place.run(script, { limits })).end, { type: 'killed', reason: 'timeout' });
    await stillness(join(place.workspace, 'beat'));
  });

  void test('what a command leaves behind ends with it', async () => {
    using place = makeSandbox();
    const script =
      '(setsid bash -c "while :; do date +%s%N > beat; sleep 0.02; done" >/dev/null 2>&1 &); until [ -e beat ]; do sleep 0.02; done';
    assert.deepEqual((await place.run(script)).end, exited(0));
    await stillness(join(place.workspace, 'beat'));
  });

  void test('a command has ended when nothing that it started writes any more, not a moment earlier', async () => {
    using place = makeSandbox();
    const writer = 'for i in {1..12}; do (exec >/dev/null 2>&1; while :; do echo -n . >> beat; done) & done;';
    const read = (): number => statSync(join(place.workspace, 'beat')).size;
    for (const [how, timeoutMs] of [
      ['until [ -s beat ]; do :; done', 20_000],
      ['sleep 0.1', 20_000],
      ['wait', 400],
    ] as const) {
      await place.run(`${writer} ${how}`, { limits: { ...LIMITS_HERE, timeoutMs } });
      const last = read();
      await stillness(join(place.workspace, 'beat'));
      assert.equal(read(), last);
    }
  });

  void test('closing the sandbox ends what runs in it', async () => {
    using place = makeSandbox();
    const ran = place.run('touch begun; sleep 60');
    await until(() => existsSync(join(place.workspace, 'begun')));
    await place.sandbox.close();
    assert.deepEqual((await ran).end, { type: 'killed', reason: 'stopped' });
  });

  void test('a process that is killed leaves nothing of its commands alive', async () => {
    using place = makeSandbox();
    const program = `
      const { createBubblewrap } = await import(${JSON.stringify(import.meta.resolve('./bubblewrap.ts'))});
      const { system } = await import(${JSON.stringify(import.meta.resolve('@perdure/runtime'))});
      const script = 'while :; do date +%s%N > beat; sleep 0.02; done';
      await createBubblewrap({ timers: system.timers }).run(['/bin/bash', '-c', script], {
        folders: [{ path: ${JSON.stringify(place.workspace)}, at: '/workspace', write: true }],
        cwd: '/workspace', env: {}, hosts: [], input: false, limits: ${JSON.stringify(LIMITS_HERE)},
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    await until(() => existsSync(join(place.workspace, 'beat')));
    child.kill('SIGKILL');
    await once(child, 'exit');
    await stillness(join(place.workspace, 'beat'));
  });

  void test('a command in a folder that is not there does not begin', async () => {
    using place = makeSandbox();
    await assert.rejects(place.run('true', { cwd: '/workspace/none' }), code('not_started'));
  });

  void test('no folder is shown below one that a command writes, whatever link was planted there', async () => {
    // The hole of bubblewrap before 0.12 (CVE-2026-87766): a mount point below a bind is made through its links.
    using place = makeSandbox();
    symlinkSync(`/oldroot${place.outside}`, join(place.workspace, 'l'));
    const other = join(place.base, 'other');
    mkdirSync(other);
    for (const at of ['/workspace/l/x', '/workspace/l', '/workspace/sub']) {
      const folders = [
        { path: place.workspace, at: '/workspace', write: true },
        { path: other, at, write: false },
      ];
      await assert.rejects(place.run('true', { folders }), code('invalid_folder'));
      await assert.rejects(place.run('true', { folders: folders.reverse() }), code('invalid_folder'));
    }
    const beside = [
      { path: place.workspace, at: '/workspace', write: true },
      { path: other, at: '/other', write: false },
    ];
    assert.deepEqual((await place.run('ls /other', { folders: beside })).end, exited(0));
    assert.deepEqual(readdirSync(place.outside), []);
  });

  void test('a folder is shown by what it is, not by its name', async () => {
    using place = makeSandbox();
    const link = join(place.base, 'link');
    symlinkSync(place.outside, link);
    const shown = async (path: string, at = '/workspace'): Promise<unknown> =>
      place.run('true', { folders: [{ path, at, write: false }] });
    await assert.rejects(shown(link), code('invalid_folder'));
    await assert.rejects(shown(join(place.base, 'none')), code('invalid_folder'));
    await assert.rejects(shown(join(link, 'x')), code('invalid_folder'));
    for (const path of ['/', '/proc', '/proc/self', '/sys', '/dev'])
      await assert.rejects(shown(path), code('invalid_folder'));
    for (const at of ['/', '/usr', '/usr/x', '/etc/x', '/proc', '/tmp', '/run/perdure', 'workspace', '/a/../b', '/a/'])
      await assert.rejects(shown(place.outside, at), code('invalid_folder'));
  });

  void test('a folder that is swapped for a link to the outside is not shown', async () => {
    using place = makeSandbox();
    const sub = join(place.workspace, 'sub');
    mkdirSync(sub);
    const folders = [{ path: sub, at: '/workspace', write: false }];
    assert.deepEqual((await place.run('true', { folders })).end, exited(0));
    renameSync(sub, join(place.workspace, 'moved'));
    symlinkSync(place.outside, sub);
    await assert.rejects(place.run('true', { folders }), code('invalid_folder'));
  });

  void test('folders that are kept apart are not shown, nor what holds them, nor what is in them', async () => {
    using place = makeSandbox();
    const sandbox = createBubblewrap({ timers: system.timers, apart: [join(place.base, 'workspace', 'data')] });
    for (const path of [place.base, place.workspace, join(place.workspace, 'data', 'x')])
      await assert.rejects(
        sandbox.run(['/bin/true'], {
          folders: [{ path, at: '/workspace', write: false }],
          cwd: '/',
          env: {},
          hosts: [],
          input: false,
          limits: LIMITS_HERE,
        }),
        code('invalid_folder'),
      );
  });

  void test(
    'root runs commands as the owner of what they write, and never as root',
    { skip: !asRoot && 'not root' },
    async () => {
      using place = makeSandbox();
      await place.run('touch made');
      assert.equal(statSync(join(place.workspace, 'made')).uid, NOBODY);
      const folders = [{ path: place.outside, at: '/workspace', write: true }];
      await assert.rejects(place.run('true', { folders }), code('invalid_folder'));
    },
  );

  void test('a command that is granted a host meets the proxy, which refuses every other one and this machine', async (t) => {
    using place = makeSandbox();
    const server = createServer((_, response) => response.end('answered'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const ask = (target: string): string =>
      `exec 9<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT ${target} HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n' >&9; cat <&9; exec 9>&-;`;
    const script = `echo $https_proxy; ${ask(`localhost:${port}`)} ${ask(`other.test:${port}`)} (: <>/dev/tcp/127.0.0.1/${port})`;
    const { stdout, stderr, end } = await place.run(script, { hosts: [`localhost:${port}`] });
    assert.match(
      stdout,
      /^http:\/\/127\.0\.0\.1:3128\nHTTP\/1\.1 403 .*leads to an address that is not public\nHTTP\/1\.1 403 .*not among/s,
    );
    assert.match(stderr, /Connection refused/);
    assert.deepEqual(end, exited(1));
  });

  void test('the way out is a folder of its own, and gone with the command', async () => {
    const exit = await openExit(hostRules(['example.com']), null);
    assert.equal(statSync(exit.socket).mode & 0o077, 0);
    exit.close();
    assert.equal(existsSync(exit.socket), false);
  });
});

void test('where bubblewrap is not installed, commands are refused with what to install', async () => {
  const sandbox = createBubblewrap({ timers: system.timers, program: '/nowhere/bwrap' });
  await assert.rejects(sandbox.probe(), (error) => code('sandbox_unavailable')(error) && /install/.test(String(error)));
});

void test('a program that cannot mount by descriptor is refused', { skip }, async () => {
  const sandbox = createBubblewrap({ timers: system.timers, program: '/bin/true' });
  await assert.rejects(
    sandbox.probe(),
    (error) => code('sandbox_unavailable')(error) && /--bind-fd/.test(String(error)),
  );
});

/** A file that nobody writes any more. */
async function stillness(path: string): Promise<void> {
  let seen = '';
  let quiet = 0;
  await until(() => {
    const now = readFileSync(path, 'utf8');
    quiet = now === seen ? quiet + 1 : 0;
    seen = now;
    return quiet >= 15;
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => void system.timers.set(20, resolve));
}
