/**
 * For tests of agents, tools, stores and models that are built on Perdure: `perdure/testing`. Nothing in it talks to a
 * provider; time and chance are the test's own where the simulator runs.
 */
import type { ScriptedCall, ScriptedModel, ScriptedReply, ScriptStep } from '@perdure/testkit';
import { createScriptedModel } from '@perdure/testkit';
import type { Runtime, RuntimeOptions } from './runtime.ts';
import { createModelSource } from '@perdure/models';
import type { AgentDefinition } from '@perdure/runtime';
import type { ModelSource, System } from '@perdure/runtime/ports';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type { SearchOutcome, Simulation } from '@perdure/testkit/trial';
import { searchTrials } from '@perdure/testkit/trial';
import { startRuntime } from './runtime.ts';

export { invariant, simulation } from '@perdure/testkit/trial';
export type {
  Fault,
  Invariant,
  SearchOutcome,
  Simulation,
  TrialLog,
  TrialOutcome,
  TrialPlan,
} from '@perdure/testkit/trial';

export { spec, steps } from '@perdure/testkit/spec';
export type { Pattern as SpecPattern, Spec, Step as SpecStep, World as SpecWorld } from '@perdure/testkit/spec';

export { createScriptedModel, modelSuite, storeSuite, toolSuite } from '@perdure/testkit';
export type {
  ModelSuiteOptions,
  OpenedStore,
  ScriptedAnswer,
  ScriptedCall,
  ScriptedFailure,
  ScriptedModel,
  ScriptedOptions,
  ScriptedReply,
  ScriptStep,
  StoreSuiteOptions,
  ToolSuiteOptions,
} from '@perdure/testkit';

export type TestRuntime = {
  rt: Runtime;
  /** What was asked of the model; `verify()` throws where the script and the calls did not match. */
  model: ScriptedModel;
};

/**
 * A runtime whose every model answers from `script`: steps, each used once and in order, or one function for every call.
 * In memory, unless `data` names a folder (for tests that close it and open it again). Your agents keep the model names
 * that they have; no key is read and no request leaves the process. Throws as `createRuntime` does.
 */
export async function createTestRuntime(
  options: Omit<RuntimeOptions, 'models' | 'store'> & {
    script: readonly ScriptStep[] | ((call: ScriptedCall) => ScriptedReply | Promise<ScriptedReply>);
  },
): Promise<TestRuntime> {
  const { script, ...rest } = options;
  const models = rest.agents.flatMap(({ model }) => model);
  const model = createScriptedModel(script, { models });
  const rt = await startRuntime(
    rest.data === undefined ? { ...rest, store: 'memory' } : rest,
    {},
    { models: model.source },
  );
  return { rt, model };
}

/**
 * Crash-tests agents and tools as they are, on the real engine in memory, under a clock of its own: first a death of the
 * process at every append and after every tool call, each alone, then `seeds` runs with several faults. Each run goes on
 * until everything is at rest; then the promises and the simulation's own invariants must hold. Stops at the first that
 * does not, and makes it small. The same seeds do the same, as far as the tools draw nothing from the real world.
 */
export async function simulate(options: {
  agents: readonly AgentDefinition[];
  simulation?: Simulation;
  /** Default 100. */
  seeds?: number;
  /** The first seed, default 1. */
  from?: number;
  progress?: (done: number, of: number) => void;
}): Promise<SearchOutcome> {
  const { agents, simulation = {}, seeds = 100, from = 1, progress } = options;
  const { script } = simulation;
  const ids = agents.flatMap(({ model }) => model);
  return searchTrials({
    agents,
    simulation,
    createDisk: () => {
      const disk = createMemoryDisk();
      return { open: (clock) => openMemoryStore({ clock, disk }) };
    },
    models: (system) =>
      script === undefined ? demoForAll(system) : createScriptedModel(script, { models: ids }).source,
    seeds,
    from,
    ...(progress === undefined ? {} : { progress }),
  });
}

/** The demo model under every name. */
function demoForAll(system: System): ModelSource {
  const source = createModelSource({ env: {}, system });
  return {
    ...source,
    resolve: (id) => {
      const demo = source.resolve('demo');
      return demo.ok ? { ...demo, info: { ...demo.info, id } } : demo;
    },
  };
}
