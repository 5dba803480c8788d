/** Crash-tests the agents of a configuration. */
import type { AgentDefinition } from '@perdure/runtime';
import { ConfigError } from '@perdure/runtime';
import type { Fault, Simulation } from '../../testing.ts';
import { simulate as search } from '../../testing.ts';
import { loadProject } from '../../config-file.ts';
import { LIMITS } from '../../limits.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { print, printJson, tell } from '../output.ts';

const DEFAULT_SEEDS = 100;

export const simulate: Run = async (context) => {
  const project = await loadProject(context.cwd, context.settings.config, context.env);
  if (project === null)
    throw new UsageError('there is no perdure.config.ts here, and no agent: name one with --config');
  const seeds = whole(context, 'seeds', DEFAULT_SEEDS);
  const from = whole(context, 'from', 1);
  const { config, simulation } = project;
  const given = checked(simulation, project.file ?? '');
  if (simulation === undefined) refuseRealEffects(context, config.agents);
  const isShown = process.stderr.isTTY && !isJson(context);
  const progress = (done: number, of: number): void => {
    if (isShown && (done % 10 === 0 || done === of)) tell(`\r${done} of ${of} runs`);
  };
  const { found, trials, messages } = await search({ agents: config.agents, simulation: given, seeds, from, progress });
  if (isShown) tell('\r\x1b[K');
  if (isJson(context)) {
    const failure =
      found === null
        ? null
        : { message: found.failure?.message, seed: found.seed, plan: found.plan, steps: found.steps };
    printJson({ runs: trials, messages, invariants: (given.invariants ?? []).map(({ name }) => name), failure });
  } else if (found === null) {
    const own = given.invariants?.length ?? 0;
    print(`${trials} runs, with a death at every append and after every tool call: every promise`);
    print(own === 0 ? ' held.\n' : ` and ${own === 1 ? 'your invariant' : `your ${own} invariants`} held.\n`);
  } else {
    print(found.steps.map((step, index) => `${String(index + 1).padStart(2)}. ${step}\n`).join(''));
    const where = found.seed === null ? 'before any seed' : `in seed ${found.seed}`;
    print(
      `\nFound in run ${trials}, ${where}; made small: ${found.plan.faults.map(faultText).join(', ') || 'no fault is needed'}.\n`,
    );
    if (found.failure?.cause instanceof Error) tell(`${found.failure.cause.stack ?? ''}\n`);
  }
  return found === null ? EXIT.ok : EXIT.failed;
};

/** Tools run as they are, again and again: without a simulation nobody has said that this is meant. */
function refuseRealEffects({ flags }: Context, agents: readonly AgentDefinition[]): void {
  const acting = agents.flatMap(({ tools }) => tools).filter(({ effect }) => effect !== 'pure');
  if (acting.length === 0 || flags['real-effects'] === true) return;
  const names = [...new Set(acting.map(({ name }) => name))].join(', ');
  throw new UsageError(
    `${names} would really run, many times: export a simulation whose world stands in for the real one (perdure docs testing), or say --real-effects`,
  );
}

function faultText(fault: Fault): string {
  if (fault.kind === 'again') return `message ${fault.message + 1} comes twice`;
  return fault.at === 'called' ? `a death after tool call ${fault.n}` : `a death ${fault.at} append ${fault.n}`;
}

const MEMBERS = ['agent', 'messages', 'world', 'script', 'answer', 'invariants'];

function checked(simulation: unknown, file: string): Simulation {
  if (simulation === undefined) return {};
  const wrong = (problem: string): ConfigError => new ConfigError('invalid_config', `${file}: simulation`, problem);
  if (typeof simulation !== 'object' || simulation === null) throw wrong('is not made by simulation({ ... })');
  const unknown = Object.keys(simulation).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) throw wrong(`unknown key ${unknown}`);
  return simulation;
}

function whole({ flags }: Context, name: string, initial: number): number {
  const given = flags[name];
  if (given === undefined) return initial;
  if (typeof given !== 'string' || !/^\d{1,9}$/.test(given) || Number(given) > LIMITS.seedsMax)
    throw new UsageError(`--${name}: '${String(given)}' is not a whole number up to ${LIMITS.seedsMax}`);
  return Number(given);
}
