/**
 * The control groups (cgroup v2: the kernel's `admin-guide/cgroup-v2`) that bound a command with all that it starts, as
 * limits of single processes cannot: how many they are together, and how much memory they have together.
 *
 * G1 A command is in its group before it can start anything, and nothing that it starts leaves it: it sees no groups.
 * G2 Its group lies in the nearest one at or above this process's own that may be written and bounds processes or memory. Of what is
 *    there nothing is changed, but that a bound which is there to be used is.
 * G3 A group bears the name of its process and is gone with its command; those of processes that are no more are taken away
 *    at the first command of another one. No other group is touched.
 * G4 What was found to be bounded is bounded, or the command does not begin.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import type { Timers } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { isWithin } from './folders.ts';
import { leftBehind, ownMark } from './marks.ts';

const BOUNDS = ['memory', 'pids'] as const;
export type Bound = (typeof BOUNDS)[number];

/** Where groups can be made, and what they bound; or why none can. */
export type Groups = { base: string; bounds: readonly Bound[] } | { base: null; why: string };

export type Group = {
  /** Whoever it is has started nothing yet (G1). */
  add(pid: number): void;
  /** Ends all that is in it, at once. */
  kill(): void;
  /** Resolves when nothing of it is left. Never rejects: what does not end is swept later (G3). */
  gone(): Promise<void>;
};

/** What the kernel says of this process; another one's in tests. */
export type Kernel = { mounts: string; own: string };

const NAME = 'perdure';

/** Looks where groups can be made here, and takes away what was left behind there. */
export function findGroups(kernel: Kernel = thisKernel()): Groups {
  const mount = mountOf(kernel.mounts);
  if (mount === null) return { base: null, why: 'cgroup v2 is not mounted' };
  const found: Groups[] = [];
  for (const folder of upwards(ownIn(mount, kernel.own), mount.at)) {
    const bounds = boundsIn(folder);
    if (bounds.length > 0) found.push({ base: folder, bounds });
    if (bounds.length === BOUNDS.length) break;
  }
  const best = found.toSorted((one, other) => width(other) - width(one))[0];
  if (best?.base !== undefined && best.base !== null) {
    sweep(best.base);
    return best;
  }
  const offered = wordsIn(join(mount.at, 'cgroup.controllers'));
  const why = BOUNDS.some((bound) => offered.includes(bound))
    ? `no group of ${mount.at} above this process may be written: start Perdure in one that is delegated to it`
    : `the groups of ${mount.at} bound neither processes nor memory: they are those of cgroup v1 here`;
  return { base: null, why };
}

const width = (groups: Groups): number => (groups.base === null ? 0 : groups.bounds.length);

function thisKernel(): Kernel {
  if (process.platform !== 'linux') return { mounts: '', own: '' };
  return { mounts: textIn('/proc/self/mountinfo'), own: textIn('/proc/self/cgroup') };
}

type Mounted = { root: string; at: string };

/** proc_pid_mountinfo(5): the fourth and fifth word, and the type behind the dash. */
function mountOf(text: string): Mounted | null {
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, at] = before.split(' ');
    if (after.startsWith('cgroup2 ') && root !== undefined && at !== undefined) return { root, at };
  }
  return null;
}

/** Where this process's group is in the mount; where it lies outside of what is mounted, the mount itself. */
function ownIn({ root, at }: Mounted, text: string): string {
  const own = /^0::(\/.*)$/m.exec(text)?.[1];
  if (own === undefined || !isWithin(root, own) || own.includes('/..')) return at;
  const folder = join(at, relative(root, own));
  return existsSync(folder) ? folder : at;
}

function* upwards(from: string, to: string): Generator<string> {
  for (let folder = from; ; folder = dirname(folder)) {
    yield folder;
    if (folder === to || folder === '/') return;
  }
}

/** What groups in this one are bounded by, or are from now on. */
function boundsIn(folder: string): Bound[] {
  const kind = textIn(join(folder, 'cgroup.type')).trim();
  if (kind !== '' && kind !== 'domain') return [];
  try {
    for (const name of ['', 'cgroup.procs']) accessSync(join(folder, name), constants.W_OK);
  } catch {
    return [];
  }
  const handedOn = (): Bound[] => {
    const words = wordsIn(join(folder, 'cgroup.subtree_control'));
    return BOUNDS.filter((bound) => words.includes(bound));
  };
  const offered = wordsIn(join(folder, 'cgroup.controllers'));
  const missing = BOUNDS.filter((bound) => offered.includes(bound) && !handedOn().includes(bound));
  // But for the uppermost, a group hands on bounds or has processes itself; trying it would make it one of threads.
  const alone = kind === '' || textIn(join(folder, 'cgroup.procs')).trim() === '';
  if (missing.length > 0 && alone)
    tried(() => write(join(folder, 'cgroup.subtree_control'), missing.map((each) => `+${each}`).join(' ')));
  return handedOn();
}

/** Throws SandboxError `not_started`. `processes`, `memoryBytes`: of all together. */
export function openGroup(
  { base, bounds }: Extract<Groups, { base: string }>,
  { processes, memoryBytes }: { processes: number; memoryBytes: number },
  timers: Timers,
): Group {
  let folder: string | null = null;
  const put = (name: string, value: string | number): void => write(join(folder ?? '', name), String(value));
  const group: Group = {
    add: (pid) => sure('a command could not be put into its control group', () => put('cgroup.procs', pid)),
    kill: () => tried(() => put('cgroup.kill', 1)),
    gone: async () => {
      for (let looks = 0; folder !== null && looks < LIMITS.endLooks; looks += 1) {
        if (removed(folder)) return;
        group.kill();
        await new Promise<void>((resolve) => void timers.set(LIMITS.endLookMs, resolve));
      }
    },
  };
  sure('no control group could be made for a command', () => {
    folder = mkdtempSync(join(base, `${ownMark(NAME)}-`));
    try {
      if (bounds.includes('pids')) put('pids.max', processes);
      if (bounds.includes('memory')) put('memory.max', memoryBytes);
      // Where the kernel counts no swap there is no such file.
      if (existsSync(join(folder, 'memory.swap.max'))) put('memory.swap.max', 0);
    } catch (error) {
      removed(folder);
      throw error;
    }
  });
  return group;
}

/** G3. */
function sweep(base: string): void {
  for (const name of leftBehind(NAME, readdirSync(base))) {
    const left = join(base, name);
    tried(() => write(join(left, 'cgroup.kill'), '1'));
    removed(left);
  }
}

function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}

function sure(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new SandboxError('not_started', `${what} (${error instanceof Error ? error.message : String(error)})`);
  }
}

function tried(work: () => void): void {
  try {
    work();
  } catch {
    // It is looked at afterwards.
  }
}

/** Makes no file: those of a group are the kernel's. */
function write(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY);
  try {
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const wordsIn = (path: string): string[] => textIn(path).trim().split(/\s+/);
