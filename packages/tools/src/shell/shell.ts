import { constants } from 'node:os';
import type {
  SandboxEnd,
  SandboxFolder,
  SandboxProcess,
  ToolContext,
  ToolDefinition,
  ToolResult,
} from '@perdure/runtime/ports';
import { z } from 'zod';
import { defineActing } from '../define.ts';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from '../options.ts';
import { Output } from './output.ts';
import { layMounts } from './mounted.ts';
import type { MountedShellOptions, ShellOptions } from './place.ts';
import { notBegun, placeOf, WORKSPACE } from './place.ts';

/** What a model has to know of the place. */
export function describePlace(options: ShellOptions | MountedShellOptions, mounted = MOUNTED): string {
  const { hosts = [] } = options;
  const files = 'mounts' in options ? mounted : filesOf(options);
  const network = hosts.length === 0 ? 'no network' : `of the network ${hosts.join(', ')} by HTTP and HTTPS`;
  return `It sees the system's programs, ${files}, an empty /tmp of its own, and ${network}.`;
}

const MOUNTED = `what is mounted in the session below ${WORKSPACE} (what is mounted at /site is in ${WORKSPACE}/site), and \
what it changes there is kept when it ends, folders named .git and node_modules aside`;

function filesOf({ write = false }: ShellOptions): string {
  return write
    ? `the workspace in ${WORKSPACE}, where it begins`
    : `the workspace in ${WORKSPACE}, which it may read and not change`;
}

/**
 * The tool `shell`: runs a command by bash in the sandbox, to its end, and gives its exit code and what it said; the
 * beginning and the end of what is long. Unsafe, and asks first. Over its time, at a cancel and with this process it is
 * killed with all that it has started. With `mounts` it works on copies of what the session has mounted, and what it changed
 * is stored once it has ended, however that was; a call whose end nobody heard is known by it to have run.
 *
 * Failures before the command begins are error results: `sandbox_unavailable`, `invalid_folder`, `not_started`,
 * `outside_root`, and of mounts `not_found`, `too_large`. Throws ToolOptionsError `invalid_options`, `invalid_root`,
 * `invalid_host` or `invalid_secret`.
 */
export function shell(options: (ShellOptions | MountedShellOptions) & SecretNames): ToolDefinition {
  checkOptions('mounts' in options ? 'shell on mounts' : 'shell', options);
  const place = placeOf(options);
  const secrets = secretNames(options);
  return defineActing({
    name: 'shell',
    taint: 'tool',
    names: { commands: ['command'], paths: ['cwd'] },
    description: `Runs a command of bash to its end. ${describePlace(options)} Nothing that it starts outlives it. It reads no input.`,
    input: z.strictObject({
      command: z.string().min(1).max(LIMITS.commandChars),
      timeoutMs: z.int().min(LIMITS.commandMinMs).max(LIMITS.commandMaxMs).default(LIMITS.commandMs),
      cwd: z.string().min(1).max(LIMITS.pathChars).optional().describe('A folder of the workspace, relative to it.'),
    }),
    timeoutMs: LIMITS.commandMaxMs + LIMITS.sandboxStartMs + LIMITS.commandGraceMs,
    async run({ command, timeoutMs, cwd }, context) {
      const { sandbox, signal, workspaces } = context;
      const given = secretsFor(secrets, command, context);
      const runIn = async (mounted: readonly SandboxFolder[]): Promise<Ran> => {
        const at = place(cwd, timeoutMs, mounted);
        const started = await sandbox
          .run(['/bin/bash', '-c', command], { ...at, env: { ...at.env, ...given }, input: false })
          .catch((error: unknown) => {
            throw notBegun(error);
          });
        return stoppable(started, signal, timeoutMs);
      };
      if (!('mounts' in options)) return runIn([]);
      const laid = await layMounts(workspaces, signal);
      try {
        const result = await runIn(laid.folders);
        return { ...result, content: [result.content, ...(await laid.store())].join('\n') };
      } finally {
        await laid.remove();
      }
    },
    ...('mounts' in options ? { verify: hasRun } : {}),
  });
}

export type SecretNames = {
  /** Secrets that stand in the environment of a command under their names, where they are bound to it or to nothing. */
  secrets?: readonly string[];
};

function secretNames({ secrets = [] }: SecretNames): readonly string[] {
  const odd = secrets.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (odd !== undefined) throw new ToolOptionsError('invalid_secret', `${odd} can be no variable of an environment`);
  return secrets;
}

/** Those that this command may have: one that is bound elsewhere is not there. */
function secretsFor(names: readonly string[], command: string, context: ToolContext): { [name: string]: string } {
  const found = names.flatMap((name) => {
    try {
      const value = context.secret(name, { command });
      return value === undefined ? [] : [[name, value] as const];
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'secret_refused') return [];
      throw error;
    }
  });
  return Object.fromEntries(found);
}

type Ran = ToolResult & { content: string };

/** What is stored of a command is stored after its end. */
const hasRun: NonNullable<ToolDefinition['verify']> = async (_key, _args, { workspaces }) => {
  for (const mount of workspaces.mounts)
    if (mount.write && (await workspaces.earlier(mount).catch(() => null)) !== null)
      return { outcome: 'done', content: 'The command ran, and what it changed is kept. What it said is lost.' };
  return { outcome: 'unknown' };
};

async function stoppable(started: SandboxProcess, signal: AbortSignal, timeoutMs: number): Promise<Ran> {
  const stop = (): void => started.kill();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await ran(started, timeoutMs);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function ran(started: SandboxProcess, timeoutMs: number): Promise<Ran> {
  const [stdout, stderr] = [new Output(), new Output()];
  let flooded = false;
  const read = async (from: AsyncIterable<Uint8Array>, to: Output): Promise<void> => {
    for await (const piece of from) {
      to.add(piece);
      if (stdout.bytes + stderr.bytes <= LIMITS.outputBytes || flooded) continue;
      flooded = true;
      started.kill();
    }
  };
  await Promise.all([read(started.stdout, stdout), read(started.stderr, stderr)]);
  const end = await started.ended;
  const [out, words] = [stdout.kept(), stderr.kept()];
  const how = flooded ? `killed: it said more than ${LIMITS.outputBytes} bytes` : endOf(end, timeoutMs);
  const parts = [how, ...(out.bytes === 0 ? [] : [out.text]), ...(words.bytes === 0 ? [] : ['[stderr]', words.text])];
  return {
    content: parts.map((part) => part.replace(/\n$/, '')).join('\n'),
    details: { ...(flooded ? { type: 'killed', reason: 'output' } : end), stdout: out.bytes, stderr: words.bytes },
  };
}

/** How a command ended, in one line. */
export function endOf(end: SandboxEnd, timeoutMs: number): string {
  if (end.type === 'exited') {
    const signal = Object.entries(constants.signals).find(([, number]) => number === end.code - 128)?.[0];
    return `exit code ${end.code}${signal === undefined ? '' : ` (${signal})`}`;
  }
  if (end.reason === 'stopped') return 'killed: it was stopped before its end';
  return `killed: it did not end within ${timeoutMs} ms`;
}
