/**
 * For tests of agents, tools, stores and models that are built on Perdure: `perdure/testing`. Nothing in it talks to a
 * provider; time and chance are the test's own where the simulator runs.
 */
import type { ScriptedCall, ScriptedModel, ScriptedReply, ScriptStep } from '@perdure/testkit';
import { createScriptedModel } from '@perdure/testkit';
import type { Runtime, RuntimeOptions } from './runtime.ts';
import { startRuntime } from './runtime.ts';

export { createScriptedModel, storeSuite } from '@perdure/testkit';
export type {
  OpenedStore,
  ScriptedAnswer,
  ScriptedCall,
  ScriptedFailure,
  ScriptedModel,
  ScriptedOptions,
  ScriptedReply,
  ScriptStep,
  StoreSuiteOptions,
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
  const rt = await startRuntime(rest.data === undefined ? { ...rest, store: 'memory' } : rest, {}, model.source);
  return { rt, model };
}
