/**
 * Commands under bubblewrap (https://github.com/containers/bubblewrap): namespaces of their own for processes, network,
 * mounts, users, IPC and names; a filter of system calls; limits. See `folders.ts` (M), `covers.ts` (K), `identity.ts` (U), `layout.ts`
 * (L), `seccomp.ts` (F) and `network/proxy.ts` (N) for the rules it keeps.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import type { Sandbox, SandboxOptions, SandboxProcess, SandboxReport, Timers } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { processOf } from './child.ts';
import type { Covers } from './covers.ts';
import { AROUND, covering, findCovers, writtenOut } from './covers.ts';
import { BEGUN_FD, entranceTo } from './entrance.ts';
import { openEtc } from './etc.ts';
import { endOfFirst, firstIn } from './first.ts';
import type { OpenFolder, Owner } from './folders.ts';
import { openFolders } from './folders.ts';
import type { Group, Groups } from './groups.ts';
import { groupFor, lookedUp, togetherWall } from './together.ts';
import { identityFor } from './identity.ts';
import { argumentsOf, GROUP, HOSTS, PASSWD } from './layout.ts';
import { LIMITS } from '../limits.ts';
import type { Exit } from './network/exit.ts';
import { openExit } from './network/exit.ts';
import { hostRules } from '../network/hosts.ts';
import { deniedWall, probeWalls } from './probe.ts';
import { cannotBegin, suitable } from './program.ts';
import { seccompProgram } from './seccomp.ts';
import { MACHINES } from './syscalls.ts';

export type BubblewrapOptions = {
  timers: Timers;
  /** Folders that no command may see, such as the one that holds the sessions. */
  apart?: readonly string[];
  /** Where it is installed; by default where systems have it. */
  program?: string;
};

/** A sandbox of bubblewrap. Made on any machine; where it cannot work, `run` and `probe` throw `sandbox_unavailable`. */
export function createBubblewrap({ timers, apart = [], program }: BubblewrapOptions): Sandbox {
  const running = new Set<SandboxProcess>();
  const found = suitable(program);
  const groups = lookedUp();
  const run: Sandbox['run'] = async (command, options) => {
    const { path } = await found();
    const started = await start(path, command, options, { timers, apart, groups: groups() });
    running.add(started);
    void started.ended.then(() => running.delete(started));
    return started;
  };
  return {
    kind: 'bubblewrap',
    run,
    async probe(): Promise<SandboxReport> {
      const { version } = await found();
      return {
        kind: 'bubblewrap',
        version,
        walls: [...(await probeWalls(run)), await deniedWall(run), togetherWall(groups())],
      };
    },
    async close() {
      const all = [...running];
      for (const each of all) each.kill();
      await Promise.all(all.map(async ({ ended }) => ended));
    },
  };
}

async function start(
  program: string,
  command: readonly [string, ...string[]],
  options: SandboxOptions,
  { timers, apart, groups }: { timers: Timers; apart: readonly string[]; groups: Groups },
): Promise<SandboxProcess> {
  const rules = hostRules(options.hosts);
  const folders = openFolders(options.folders, apart);
  let exit: Exit | null = null;
  let group: Group | null = null;
  try {
    const identity = identityFor(folders);
    exit = rules.length === 0 ? null : await openExit(rules, identity);
    group = groupFor(groups, options.limits, timers);
    const covers = options.denies === undefined ? null : await findCovers(folders, options.denies);
    const child = launch(program, command, { options, folders, identity, proxy: exit?.socket ?? null, group, covers });
    child.once('exit', () => exit?.close());
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw cannotBegin('');
    const end = (): void => {
      group?.kill();
      child.kill('SIGKILL');
    };
    const timer = timers.set(LIMITS.sandboxStartMs, end);
    const first = await begun(child, stderr).finally(() => timer.cancel());
    const gone = async (): Promise<void> => {
      if (group !== null) await group.gone();
      else if (first !== null) await endOfFirst(first, timers);
    };
    return processOf({ child, stdout, stderr, stdin: child.stdin, end, gone }, timers, options.limits.timeoutMs);
  } catch (error) {
    exit?.close();
    await group?.gone();
    throw error;
  } finally {
    for (const folder of folders) folder[Symbol.dispose]();
  }
}

type Launch = {
  options: SandboxOptions;
  folders: readonly OpenFolder[];
  identity: Owner | null;
  proxy: string | null;
  group: Group | null;
  covers: Covers | null;
};

/**
 * Its descriptors by number: 0 to 2 the command's, 3 tells that it begins, 4 who is first in it, then what bubblewrap reads,
 * then folders and files, and at last what is to be covered.
 */
const INFO_FD = BEGUN_FD + 1;
const READ_FROM = INFO_FD + 1;

function launch(
  program: string,
  command: readonly string[],
  { options, folders, identity, proxy, group, covers }: Launch,
): ChildProcess {
  const machine = MACHINES[process.arch];
  if (machine === undefined)
    throw new SandboxError('sandbox_unavailable', `there is no filter of system calls for ${process.arch}`);
  using etc = openEtc();
  const files: number[] = [];
  const numbered = (fd: number): number => READ_FROM + 4 + folders.length + files.push(fd);
  const handed = {
    seccomp: READ_FROM + 1,
    passwd: READ_FROM + 2,
    group: READ_FROM + 3,
    hosts: READ_FROM + 4,
    folders: folders.map(({ at, write }, index) => ({ fd: READ_FROM + 5 + index, at, write })),
    etc: etc.parts.map((part) => (part.kind === 'file' ? { ...part, fd: numbered(part.fd) } : part)),
  };
  const given = { node: nodeFor(identity), proxy };
  const args = argumentsOf(options, handed, given);
  const inputs = [argumentsText(args), seccompProgram(machine), PASSWD, GROUP, HOSTS];
  const last = READ_FROM + inputs.length + folders.length + files.length;
  const child = spawn(
    program,
    [
      ...(covers === null ? [] : covering(program, { around: last, list: last + 1 })),
      '--info-fd',
      String(INFO_FD),
      '--args',
      String(READ_FROM),
      '--',
      ...entranceTo(command, options.limits, proxy !== null),
    ],
    {
      env: {},
      cwd: '/',
      stdio: [
        options.input ? 'pipe' : 'ignore',
        ...(['pipe', 'pipe', 'pipe', 'pipe'] as const),
        ...inputs.map(() => 'pipe' as const),
        ...folders.map(({ fd }) => fd),
        ...files,
        ...(covers === null ? [] : (['pipe', 'pipe'] as const)),
      ],
      ...identity,
    },
  );
  child.on('error', () => {});
  // It starts nothing before it has read its arguments (G1).
  if (child.pid !== undefined) addOrEnd(group, child, child.pid);
  const told: [number, string | Uint8Array][] = inputs.map((content, index) => [READ_FROM + index, content]);
  if (covers !== null) told.push([last, argumentsText(AROUND)], [last + 1, writtenOut(covers)]);
  for (const [fd, content] of told) {
    const input = child.stdio[fd] as Writable | null | undefined;
    // Where bubblewrap has given up, its own words tell why.
    input?.on('error', () => {});
    input?.end(content);
  }
  return child;
}

const argumentsText = (args: readonly string[]): string => args.map((each) => `${each}\0`).join('');

function addOrEnd(group: Group | null, child: ChildProcess, pid: number): void {
  try {
    group?.add(pid);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** This process's own interpreter; null where whoever runs the command cannot reach it. */
function nodeFor(identity: Owner | null): string | null {
  const path = process.execPath;
  if (identity === null) return path;
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder))
    if ((statSync(folder).mode & 0o001) === 0) return null;
  return path;
}

/** Resolves when the command takes over, with who is first in the sandbox; else throws with the words of whoever could not. */
async function begun(child: ChildProcess, stderr: Readable): Promise<number | null> {
  const [told, info] = [BEGUN_FD, INFO_FD].map((fd) => child.stdio[fd] as Readable | null | undefined);
  if (child.pid === undefined || told === null || told === undefined || info === null || info === undefined)
    throw new SandboxError('not_started', 'the sandbox could not be started: the system refused another process');
  const first = firstIn(info);
  for await (const _ of told) return first;
  let words = '';
  for await (const piece of stderr) if (words.length < LIMITS.sandboxWordsChars) words += String(piece);
  throw cannotBegin(words);
}
