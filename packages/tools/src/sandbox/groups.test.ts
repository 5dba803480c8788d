import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, test } from 'node:test';
import { system } from '@perdure/runtime';
import type { SandboxLimits } from '@perdure/runtime/ports';
import { exited, LIMITS_HERE, makeSandbox, whyNoSandbox } from '../../test/sandbox.ts';
import { LIMITS } from '../limits.ts';
import { findGroups } from './groups.ts';
import type { Groups } from './groups.ts';
import { groupFor, togetherWall } from './together.ts';

const MIB = 1024 * 1024;
const here = findGroups();
const none = (groups: Groups): boolean => groups.base === null || groups.bounds.length < 2;
const skip =
  (await whyNoSandbox()) ||
  (none(here) && `NO CONTROL GROUPS HERE, so nothing of them is tested: ${togetherWall(here).detail}`);
const base = here.base ?? '';
const groupsOf = (pid: number | undefined): string[] =>
  readdirSync(base).filter((name) => name.startsWith('perdure-') && name.split('-')[2] === String(pid));
const wait = async (): Promise<void> => new Promise<void>((resolve) => void system.timers.set(20, resolve));
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await wait();
};

void describe('a command with all that it starts', { skip }, () => {
  void test('is in a group of its own while it runs, and the group is gone when it has ended', async () => {
    using place = makeSandbox();
    const limits: SandboxLimits = { ...LIMITS_HERE, totalMemoryBytes: 128 * MIB };
    const ran = place.run('touch begun; until [ -e seen ]; do sleep 0.02; done; (setsid sleep 60 & disown)', {
      limits,
    });
    await until(() => existsSync(join(place.workspace, 'begun')));
    const [own = '', ...others] = groupsOf(process.pid);
    assert.deepEqual(others, []);
    const told = (name: string): string => readFileSync(join(base, own, name), 'utf8').trim();
    assert.equal(told('pids.max'), String(LIMITS_HERE.processes + LIMITS.groupOwnTasks));
    assert.equal(told('memory.max'), String(128 * MIB));
    assert.ok(!existsSync(join(base, own, 'memory.swap.max')) || told('memory.swap.max') === '0');
    assert.ok(Number(told('pids.current')) >= 3, 'all of it is there: bubblewrap twice, and bash');
    writeFileSync(join(place.workspace, 'seen'), '');
    assert.deepEqual((await ran).end, exited(0));
    assert.deepEqual(groupsOf(process.pid), []);
  });

  void test('has no more memory together than it may, though each of it has less than its own bound', async () => {
    using place = makeSandbox();
    const hogs = `for n in {1..6}; do (head -c 16M /dev/zero | tail >/dev/null; echo "\${PIPESTATUS[1]}") & done; wait`;
    const codes = async (totalMemoryBytes: number): Promise<string[]> => {
      const { stdout } = await place.run(hogs, { limits: { ...LIMITS_HERE, totalMemoryBytes } });
      return stdout.trim().split('\n');
    };
    assert.ok((await codes(48 * MIB)).includes('137'), 'the kernel ended some of it');
    assert.deepEqual(new Set(await codes(256 * MIB)), new Set(['0']));
  });

  void test('is no more than it may be and is ended whole, however often it forks and leaves its session', async () => {
    using place = makeSandbox();
    const limits = { ...LIMITS_HERE, processes: 40, timeoutMs: 1_500 };
    const bomb = 'bomb() { (setsid bash -c "while :; do sleep 1; done" &) ; bomb | bomb & }; bomb; sleep 60';
    const ran = place.run(bomb, { limits });
    let most = 0;
    let over = false;
    void ran.then(() => (over = true));
    while (!over) {
      for (const name of groupsOf(process.pid))
        if (existsSync(join(base, name, 'pids.current')))
          most = Math.max(most, Number(readFileSync(join(base, name, 'pids.current'), 'utf8')));
      await wait();
    }
    assert.deepEqual((await ran).end, { type: 'killed', reason: 'timeout' });
    assert.ok(most > 10 && most <= 40 + LIMITS.groupOwnTasks, String(most));
    assert.deepEqual(groupsOf(process.pid), []);
  });

  void test('leaves a group behind where Perdure was killed, which the next one takes away, and none of one that lives', async () => {
    using place = makeSandbox();
    const program = `
      const { createBubblewrap } = await import(${JSON.stringify(import.meta.resolve('./bubblewrap.ts'))});
      const { system } = await import(${JSON.stringify(import.meta.resolve('@perdure/runtime'))});
      await createBubblewrap({ timers: system.timers }).run(['/bin/bash', '-c', 'touch begun; sleep 60'], {
        folders: [{ path: ${JSON.stringify(place.workspace)}, at: '/workspace', write: true }],
        cwd: '/workspace', env: {}, hosts: [], input: false, limits: ${JSON.stringify(LIMITS_HERE)},
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    await until(() => existsSync(join(place.workspace, 'begun')));
    findGroups();
    assert.equal(groupsOf(child.pid).length, 1);
    const [left = ''] = groupsOf(child.pid);
    assert.notEqual(readFileSync(join(base, left, 'cgroup.procs'), 'utf8'), '');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.deepEqual(groupsOf(child.pid), [left]);
    await until(() => {
      findGroups();
      return groupsOf(child.pid).length === 0;
    });
  });
});

void describe('where there is no control group', () => {
  const home = mkdtempSync(join(tmpdir(), 'perdure-groups-'));
  after(() => rmSync(home, { recursive: true }));
  const make = (path: string, files: { [name: string]: string }): void => {
    mkdirSync(join(home, path), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home, path, name), text);
  };
  const kernel = (own: string) => ({
    mounts: `20 1 0:5 / / rw - ext4 /dev/x rw\n30 20 0:26 / ${home} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n`,
    own: `1:name=old:/elsewhere\n0::${own}\n`,
  });
  const limits: SandboxLimits = LIMITS_HERE;

  void test('it is told why, and a bound of all memory that was asked for is refused', () => {
    const unmounted = findGroups({ mounts: '20 1 0:5 / / rw - ext4 /dev/x rw\n', own: '' });
    assert.deepEqual(unmounted, { base: null, why: 'cgroup v2 is not mounted' });
    const wall = togetherWall(unmounted);
    assert.equal(wall.holds, true);
    assert.match(wall.detail, /memory is not bounded.*\(cgroup v2 is not mounted\)$/);
    assert.equal(groupFor(unmounted, limits, system.timers), null);
    assert.throws(() => groupFor(unmounted, { ...limits, totalMemoryBytes: 1 }, system.timers), {
      code: 'sandbox_unavailable',
    });
    make('.', { 'cgroup.controllers': 'hugetlb\n', 'cgroup.procs': '', 'cgroup.subtree_control': '' });
    assert.match(findGroups(kernel('/')).base ?? 'none', /none/);
    assert.match(togetherWall(findGroups(kernel('/'))).detail, /those of cgroup v1/);
  });

  void test('the nearest group that hands both bounds on is taken, and of what is in it only what one left that is no more', () => {
    const files = { 'cgroup.procs': '', 'cgroup.controllers': 'cpu memory pids\n', 'cgroup.type': 'domain\n' };
    make('.', { ...files, 'cgroup.subtree_control': 'memory pids\n' });
    make('a', { ...files, 'cgroup.subtree_control': 'cpu memory pids\n' });
    make('a/b', { ...files, 'cgroup.subtree_control': '', 'cgroup.procs': '7\n' });
    make('a/b/c', { ...files, 'cgroup.subtree_control': 'pids\n', 'cgroup.procs': '7\n' });
    const space = readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
    const begun = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ')[19];
    const names = {
      kept: [
        `perdure-${space}-${process.pid}-${begun}-abcdef`,
        'perdure-1-1-1-abcdef',
        `perdure-${space}-${process.pid}-1`,
        `other-${space}-${process.pid}-1-abcdef`,
      ],
      gone: [`perdure-${space}-${process.pid}-1-abcdef`, `perdure-${space}-4194304-5-abcdef`],
    };
    for (const name of [...names.kept, ...names.gone]) mkdirSync(join(home, 'a', name));
    assert.deepEqual(findGroups(kernel('/a/b/c')), { base: join(home, 'a'), bounds: ['memory', 'pids'] });
    for (const name of names.kept) assert.equal(existsSync(join(home, 'a', name)), true, name);
    for (const name of names.gone) assert.equal(existsSync(join(home, 'a', name)), false, name);
    assert.equal(findGroups(kernel('/../outside')).base, home);
  });
});
