import type { JobState, JobView, SessionJobs, ToolContext, ToolDefinition, ToolResult } from '@perdure/runtime/ports';
import { z } from 'zod';
import { defineTool } from '../define.ts';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from '../options.ts';
import type { LaidMounts } from './mounted.ts';
import { layMounts } from './mounted.ts';
import type { MountedShellOptions, ShellOptions } from './place.ts';
import { notBegun, placeOf, WORKSPACE } from './place.ts';
import { describePlace, endOf } from './shell.ts';

const job = z.string().regex(/^r\d{1,9}t\d{1,9}c\d{1,9}$/, 'a job such as r1t2c0, as job_start names it');

/**
 * `job_start`, `job_read`, `job_write` and `job_stop`: commands of bash that go on while the conversation does, in the same
 * place as `shell` has. A job is named by the call that started it. It outlives its run; it ends with its time, with its
 * session and with the process: then it is `lost`, and is told to be. One that ends by itself is told in the context.
 * Starting and writing ask first; a start that a crash hid is looked up.
 *
 * With `mounts` it works on a copy of what the session has mounted, as it was when the job started. What it changed there is
 * stored once, whole, when nothing of it lives any more and before anybody is told that it has ended; of a lost job nothing
 * is. It counts as a change by the call that started it.
 *
 * Failures are error results: those of `shell`, `too_many_jobs`, `not_found`, `not_running`. Throws ToolOptionsError
 * `invalid_options`, `invalid_root` or `invalid_host`.
 */
export function jobs(options: ShellOptions | MountedShellOptions): ToolDefinition[] {
  checkOptions('mounts' in options ? 'jobs on mounts' : 'jobs', options);
  return [startTool(options), readTool(), writeTool(), stopTool()];
}

function startTool(options: ShellOptions | MountedShellOptions): ToolDefinition {
  const place = placeOf(options);
  return defineTool(
    {
      name: 'job_start',
      names: { commands: ['command'], paths: ['cwd'] },
      description: `Starts a command of bash that goes on beside the conversation, such as a server, and gives its name. ${describePlace(options, MOUNTED)}`,
      input: z.strictObject({
        command: z.string().min(1).max(LIMITS.commandChars),
        cwd: z.string().min(1).max(LIMITS.pathChars).optional().describe('A folder of the workspace, relative to it.'),
        forMs: z
          .int()
          .min(LIMITS.commandMinMs)
          .max(LIMITS.jobMaxMs)
          .default(LIMITS.jobMs)
          .describe('Then it is killed.'),
      }),
      timeoutMs: LIMITS.sandboxStartMs + LIMITS.commandGraceMs,
      async run({ command, cwd, forMs }, context) {
        const laid = 'mounts' in options ? await layMounts(context.workspaces, context.signal) : null;
        try {
          const at = place(cwd, forMs, laid?.folders);
          await context.jobs.start(
            ['/bin/bash', '-c', command],
            at,
            laid === null ? undefined : async () => kept(laid),
          );
        } catch (error) {
          await laid?.remove();
          if (error instanceof Error && 'code' in error && error.code === 'too_many_jobs')
            throw new ToolFailure('too_many_jobs', error.message);
          throw notBegun(error);
        }
        const more = laid === null ? '' : `; ${AT_ITS_END}`;
        return { content: `job ${context.call} runs; read it with job_read${more}`, details: { job: context.call } };
      },
      verify: async (_key, _args, context) => verified(context),
    },
    { effect: 'unsafe', approval: 'always', acts: ['write', 'egress'] },
  );
}

const AT_ITS_END = 'what it changes in what is mounted is kept when it ends, and not before';
const MOUNTED = `a copy of what is mounted in the session below ${WORKSPACE} (what is mounted at /site is in ${WORKSPACE}/site) \
as it is when the job starts: later changes of others are not seen there, ${AT_ITS_END}, folders named .git and node_modules aside`;

/** The last words of a job whose end is not told yet. */
async function kept(laid: LaidMounts): Promise<string> {
  const notes = await laid.store();
  await laid.remove();
  return notes.map((note) => `\n${note}`).join('');
}

/** What became of a start that nobody saw the end of. */
async function verified({ jobs: all, call }: ToolContext): ReturnType<NonNullable<ToolDefinition['verify']>> {
  const state = await all.begun();
  if (state === null) return { outcome: 'failed', message: 'the job was not started' };
  return { outcome: 'done', content: `job ${call}: ${shown(state)}` };
}

function readTool(): ToolDefinition {
  return defineTool(
    {
      name: 'job_read',
      taint: 'tool',
      description:
        'Shows how a job stands and what it has said since an offset, both outputs as they came. With waitMs it waits for something new.',
      input: z.strictObject({
        job,
        after: z.int().min(0).default(0).describe('Where to go on, as the last reading told.'),
        waitMs: z.int().min(0).max(LIMITS.jobWaitMs).default(0),
      }),
      timeoutMs: LIMITS.jobWaitMs + LIMITS.readTimeoutMs,
      async run({ job: name, after, waitMs }, { jobs: all, signal }) {
        const view = await all.read(name, { after, waitMs, signal });
        if (view === null) throw unknownJob(name);
        return read(name, view, after);
      },
    },
    { effect: 'pure', approval: 'never' },
  );
}

function read(name: string, { state, text, from, next }: JobView, after: number): ToolResult {
  const cut = text.length > LIMITS.answerChars;
  const part = cut ? text.slice(0, LIMITS.answerChars) : text;
  const onward = cut ? from + part.length : next;
  const missed = from > after ? `[${from - after} characters before this are not kept]\n` : '';
  return {
    content: `job ${name}: ${shown(state)}; go on at offset ${onward}\n${missed}${part}`,
    details: { job: name, ...state, from, next: onward },
  };
}

function writeTool(): ToolDefinition {
  return defineTool(
    {
      name: 'job_write',
      names: { commands: ['text'] },
      description: 'Writes to the input of a job that runs; end closes its input.',
      input: z.strictObject({
        job,
        text: z.string().max(LIMITS.commandChars).describe('As it is: a line ends with a newline.'),
        end: z.boolean().default(false),
      }),
      timeoutMs: LIMITS.writeTimeoutMs,
      async run({ job: name, text, end }, { jobs: all }) {
        if (await all.write(name, text, end)) return { content: 'written' };
        throw await notRunning(all, name);
      },
    },
    { effect: 'unsafe', approval: 'always', acts: ['write', 'egress'] },
  );
}

function stopTool(): ToolDefinition {
  return defineTool(
    {
      name: 'job_stop',
      description: 'Kills a job with all that it has started.',
      input: z.strictObject({ job }),
      timeoutMs: LIMITS.writeTimeoutMs,
      async run({ job: name }, { jobs: all }) {
        const state = await all.stop(name);
        if (state === null) throw unknownJob(name);
        return { content: `job ${name}: ${shown(state)}`, details: { job: name, ...state } };
      },
    },
    { effect: 'keyed', approval: 'never', acts: ['write'] },
  );
}

const unknownJob = (name: string): ToolFailure => new ToolFailure('not_found', `This conversation has no job ${name}.`);

async function notRunning(all: SessionJobs, name: string): Promise<ToolFailure> {
  const state = await all.state(name);
  if (state === null) return unknownJob(name);
  return new ToolFailure('not_running', `The job ${name} takes no input: ${shown(state)}.`);
}

function shown(state: JobState): string {
  switch (state.type) {
    case 'running':
      return 'running';
    case 'lost':
      return 'lost: Perdure ended while it ran, and it ended with it';
    case 'away':
      return 'in another process, or lost with it';
    case 'exited':
      return endOf(state, 0);
    case 'killed':
      return state.reason === 'timeout' ? 'killed: its time was over' : 'killed: it was stopped';
  }
}
