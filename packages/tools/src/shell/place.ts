/** Where the commands of an agent run: a workspace, what else they see, and their bounds. */
import { realpathSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path/posix';
import { parse, resolve } from 'node:path';
import type { SandboxFolder, SandboxLimits, SandboxOptions } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { ToolFailure, ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { isWithin } from '../sandbox/folders.ts';
import { hostRules } from '../network/hosts.ts';

export type CommandOptions = {
  /** Further folders that they may read, each where it is here, such as that of an interpreter. */
  read?: readonly string[];
  /** What they reach of the network: `example.com`, `*.example.com`, with `:PORT` where it is neither 80 nor 443. Default: nothing. */
  hosts?: readonly string[];
  /** Their environment, besides PATH, HOME and the language. A secret in it is seen by every command. */
  env?: { readonly [name: string]: string };
  limits?: Partial<Omit<SandboxLimits, 'timeoutMs'>>;
};

export type ShellOptions = CommandOptions & {
  /** The workspace: a folder that commands see as `/workspace` and begin in. Read when the tool is made, and fixed from then on. */
  root: string;
  /** Whether they may change it. Default: no. */
  write?: boolean;
};
/** Commands see what the session has mounted, below `/workspace`, and no folder of this machine beside `read`. */
export type MountedShellOptions = CommandOptions & { mounts: true };

export const WORKSPACE = '/workspace';

/** Options for a command, but for where it begins and its time. Throws ToolOptionsError `invalid_root`, `invalid_host`. */
export function placeOf(options: ShellOptions | MountedShellOptions) {
  const { read = [], hosts = [], env = {}, limits } = options;
  hostRules(hosts);
  const own = 'root' in options ? [{ path: folderOf(options.root), at: WORKSPACE, write: options.write ?? false }] : [];
  // Programs are there in any case.
  const shared = read
    .map(folderOf)
    .filter((path) => !isWithin('/usr', path))
    .map((path) => ({ path, at: path, write: false }));
  const bounds = { ...LIMITS.shell, ...limits };
  return (
    cwd: string | undefined,
    timeoutMs: number,
    mounted: readonly SandboxFolder[] = [],
  ): Omit<SandboxOptions, 'input'> => ({
    folders: [...own, ...mounted, ...shared],
    cwd: within(cwd ?? onlyOf(mounted)?.at),
    env,
    hosts,
    limits: { ...bounds, timeoutMs },
  });
}

/** Where there is but one, commands begin in it. */
const onlyOf = ([first, ...others]: readonly SandboxFolder[]): SandboxFolder | undefined =>
  others.length === 0 ? first : undefined;

export type ShellPlace = ReturnType<typeof placeOf>;

function folderOf(given: string): string {
  const path = resolve(given);
  let real: string | null = null;
  try {
    real = realpathSync.native(path);
  } catch {
    // Said below.
  }
  if (real === null || !statSync(real).isDirectory())
    throw new ToolOptionsError('invalid_root', `${path} is no folder: name one that is there`);
  if (real === parse(real).root)
    throw new ToolOptionsError('invalid_root', 'the whole machine is no folder for commands');
  return real;
}

/** Lexically: what lies behind a link is the sandbox's matter. */
function within(cwd = '.'): string {
  const at = cwd.startsWith('/') ? normalize(cwd) : join(WORKSPACE, cwd);
  if (cwd.includes('\0') || (at !== WORKSPACE && !at.startsWith(`${WORKSPACE}/`)))
    throw new ToolFailure('outside_root', 'cwd is a folder of the workspace: write it relative to that.');
  return at.replace(/\/$/, '');
}

/** A command that could not begin, in the words of a tool. */
export function notBegun(error: unknown): unknown {
  if (!(error instanceof SandboxError)) return error;
  return new ToolFailure(error.code, `${error.message}. The command has not begun.`);
}
