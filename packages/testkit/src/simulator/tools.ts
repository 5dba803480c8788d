/** Tools of every class and kind, acting on the simulated world. */
import type { AgentDefinition } from '@perdure/runtime';
import { wait } from '@perdure/runtime';
import type { EffectClass, JsonSchema, ToolContext, ToolDefinition } from '@perdure/runtime/ports';
import { CRAFT } from './crafts.ts';
import type { FileArgs } from './heads.ts';
import { CHANGING } from './heads.ts';
import type { Deed, Outside, Request } from './outside.ts';
import type { Plan } from './plan.ts';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';

type Kind = 'act' | 'question' | 'timer' | 'callback' | 'start' | 'craft' | 'jobs';
type Spec = { name: string; effect: EffectClass; approval: 'always' | 'never'; verify: boolean; kind: Kind };

const spec = (name: string, effect: EffectClass, more: Partial<Spec> = {}): Spec => ({
  name,
  effect,
  approval: 'never',
  verify: false,
  kind: 'act',
  ...more,
});

/** `class` here is what the tool is; what it is declared as is the definition's. */
export const TOOLS: readonly Spec[] = [
  spec('look', 'pure'),
  spec('pay', 'keyed'),
  spec('fire', 'unsafe'),
  spec('wire', 'unsafe', { verify: true }),
  spec('wipe', 'unsafe', { approval: 'always' }),
  spec('post', 'keyed', { approval: 'always' }),
  spec('ask', 'pure', { kind: 'question' }),
  spec('nap', 'pure', { kind: 'timer' }),
  spec('job', 'keyed', { kind: 'callback' }),
  spec('begin', 'unsafe', { verify: true, kind: 'start' }),
  spec('peek', 'pure', { kind: 'jobs' }),
  spec('order', 'unsafe', { approval: 'always', kind: 'callback' }),
];

/** A job on what is mounted. */
const CRAFTING = spec(CRAFT, 'unsafe', { verify: true, kind: 'craft' });

/** Compiled once: schemas are known by identity. */
const INPUT: JsonSchema = {
  type: 'object',
  properties: { n: { type: 'integer' } },
  required: ['n'],
  additionalProperties: false,
};

export const TOOL_TIMEOUT_MS = 8_000;

export function toolsOf(sim: Sim, outside: Outside, process: Process, without: string | null): ToolDefinition[] {
  const files = sim.plan.workspaces === null ? [] : sim.files;
  const changing = files
    .filter(({ name }) => CHANGING.has(name))
    .map((tool) => changingOf(sim, outside, process, tool));
  return [...simulatedOf(sim, outside, process, without), ...changing];
}

/** A real tool that changes files, in what its session has mounted. */
function changingOf(sim: Sim, outside: Outside, process: Process, tool: ToolDefinition): ToolDefinition {
  const runReally: ToolDefinition['run'] = async (args, context) => {
    if (process.fault('crashBeforeEffect', context.session)) return process.gone();
    try {
      outside.dispatched(process, context.key, context.attempt, { tool: tool.name, value: args });
      sim.heads.asked(context.key, args as FileArgs);
    } catch (error) {
      sim.fail(error);
      return process.gone();
    }
    const result = await tool.run(args, context);
    return process.fault('crashBeforeOutcome', context.session) ? process.gone() : result;
  };
  return { ...tool, timeoutMs: TOOL_TIMEOUT_MS, run: runReally };
}

function simulatedOf(sim: Sim, outside: Outside, process: Process, without: string | null): ToolDefinition[] {
  const crafts = sim.plan.workspaces === null || sim.keep === null ? [] : [CRAFTING];
  return [...TOOLS.filter(({ name }) => name !== without), ...crafts].map((of) => {
    const definition: ToolDefinition = {
      name: of.name,
      description: `the simulated ${of.name}`,
      input: INPUT,
      effect: sim.bug === 'unsafe-repeated' && of.effect === 'unsafe' ? 'keyed' : of.effect,
      approval: of.approval,
      timeoutMs: TOOL_TIMEOUT_MS,
      run: async (args, context) => run(sim, outside, process, of, args, context),
    };
    if (of.verify) definition.verify = async (key, _args, context) => verify(sim, outside, process, of, key, context);
    return definition;
  });
}

export function agentOf(
  tools: readonly ToolDefinition[],
  { approvalTtlMs, structured, background, route, budgets }: Plan,
): Omit<AgentDefinition, 'limits'> & { limits: object } {
  return {
    name: 'worker',
    model: route,
    instructions: 'Work.',
    description: 'a simulated agent',
    tools,
    policies: approvalTtlMs === null ? {} : { approvalTtlMs },
    limits: {},
    ...(budgets === null || budgets.agent === null ? {} : { budgets: budgets.agent }),
    background,
    output: structured ? { type: 'string' } : null,
    queue: 'default',
  };
}

type Returned = Awaited<ReturnType<ToolDefinition['run']>>;

async function run(
  sim: Sim,
  outside: Outside,
  process: Process,
  of: Spec,
  args: unknown,
  context: ToolContext,
): Promise<Returned> {
  if (process.fault('crashBeforeEffect', context.session)) return process.gone();
  let deed: Deed;
  try {
    deed = outside.dispatched(process, context.key, context.attempt, { tool: of.name, value: args });
  } catch (error) {
    sim.fail(error);
    return process.gone();
  }
  const draw = outside.draw(context.key, context.attempt);
  if (of.kind === 'question') {
    const expiry = draw.chance(0.3) ? { expiresInMs: draw.between(500, 30_000) } : {};
    return wait({ kind: 'question', question: 'Which one?', choices: ['a', 'b'], ...expiry });
  }
  if (of.kind === 'timer') return wait({ kind: 'timer', afterMs: draw.between(0, 20_000) });
  if (sim.befalls('toolThrows', draw, context.session)) {
    await process.wait(`${of.name} throws`, draw.between(0, 2_000));
    throw new Error('the tool could not begin');
  }
  if (of.kind === 'craft') return outside.crafts.start(process, context, PLACE);
  if (of.kind === 'start' || of.kind === 'jobs') return onJobs(outside, process, of.kind, context);
  const hangs = sim.befalls('toolHangs', draw, context.session);
  const result = await act(sim, outside, process, of, context, deed, {
    beforeMs: hangs && draw.chance(0.5) ? TOOL_TIMEOUT_MS * 3 : draw.between(0, 1_500),
    afterMs: hangs ? TOOL_TIMEOUT_MS * 3 : draw.between(0, 1_500),
    deaf: sim.befalls('deafToAbort', draw, context.session),
    silent: sim.befalls('answerLost', draw, context.session),
  });
  if (process.fault('crashBeforeOutcome', context.session)) return process.gone();
  if (of.kind !== 'callback') return result;
  outside.jobs.set(context.key, { token: context.callback().token, payload: { done: context.call } });
  return wait({
    kind: 'callback',
    note: 'a job runs elsewhere',
    ...(draw.chance(0.2) ? { expiresInMs: draw.between(500, 20_000) } : {}),
  });
}

/** Starts a job as the tools of the shell do, or says how those of the session stand. */
async function onJobs(
  outside: Outside,
  process: Process,
  kind: 'start' | 'jobs',
  context: ToolContext,
): Promise<string> {
  if (kind === 'start') {
    await context.jobs.start(['work', context.key], PLACE);
    if (process.fault('crashBeforeOutcome', context.session)) return process.gone();
    return `job ${context.call} runs`;
  }
  return outside.look(process, context.session, async (job) => context.jobs.state(job));
}

/** A job is looked up as it stands: nothing in it is shown to a command of this simulation. */
const PLACE = {
  folders: [],
  cwd: '/',
  env: {},
  hosts: [],
  limits: {
    processes: 1,
    memoryBytes: 1,
    fileBytes: 1,
    scratchBytes: 1,
    cpuSeconds: 1,
    openFiles: 1,
    timeoutMs: 60_000,
  },
};

type Course = { beforeMs: number; afterMs: number; deaf: boolean; silent: boolean };

/** A request goes out, happens there, and is answered; any of it may be the last thing this process sees. */
async function act(
  sim: Sim,
  outside: Outside,
  process: Process,
  of: Spec,
  context: ToolContext,
  deed: Deed,
  course: Course,
): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const request: Request = { process, deed, happen: () => outside.happen(deed, of.name, of.effect) };
    deed.underWay.add(request);
    const stop = (): void => {
      // What has not left can be taken back; a deaf tool, or one that is under way, goes on.
      if (course.deaf || !deed.underWay.delete(request)) return;
      going.cancel();
      reject(new Error('stopped before it happened'));
    };
    const going = sim.scheduler.add(process.name, `${of.name} happens`, course.beforeMs, () => {
      deed.underWay.delete(request);
      try {
        request.happen();
      } catch (error) {
        sim.fail(error);
      }
      if (process.fault('crashAfterEffect', context.session)) return;
      if (course.silent) return;
      sim.scheduler.add(process.name, `${of.name} answers`, course.afterMs, () => {
        context.signal.removeEventListener('abort', stop);
        resolve(`${of.name} was done`);
      });
    });
    if (context.signal.aborted) stop();
    else context.signal.addEventListener('abort', stop, { once: true });
  });
}

/** Asks the world. It says `failed` only of what neither happened nor can happen any more. */
async function verify(
  sim: Sim,
  outside: Outside,
  process: Process,
  of: Spec,
  key: string,
  { session, jobs }: ToolContext,
): Promise<Awaited<ReturnType<NonNullable<ToolDefinition['verify']>>>> {
  const draw = outside.draw(key, -1);
  await process.wait('verify', draw.between(0, 1_000));
  if (process.fault('crashBeforeOutcome', session)) return process.gone();
  if (of.kind === 'start' || of.kind === 'craft') {
    const state = await jobs.begun();
    return state === null ? { outcome: 'failed', message: 'not started' } : { outcome: 'done', content: state.type };
  }
  if (sim.befalls('toolThrows', draw, session)) throw new Error('the server cannot be reached');
  const deed = outside.deeds.get(key);
  if (deed !== undefined && deed.happened > 0) return { outcome: 'done', content: 'it had happened' };
  if (deed !== undefined && deed.underWay.size > 0) return { outcome: 'unknown' };
  return draw.chance(0.2) ? { outcome: 'unknown' } : { outcome: 'failed', message: 'it had not happened' };
}
