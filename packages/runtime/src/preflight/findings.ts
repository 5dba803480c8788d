/** What one unfinished session would meet under other agents, tools, policies and models: nothing is called. */
import type { Call, Pin, Run, State, Wait } from '@perdure/engine';
import { lacksPrice, membersOf, runConfig } from '@perdure/engine';
import type { Agents, Manifest, Registered } from '../definitions/agents.ts';
import { isFiled } from '../policy/documents.ts';
import { joinPolicies, judged, ruleOn, standingNow } from '../policy/policy.ts';
import { misfitOf } from '../definitions/schema.ts';
import { versionOf } from '../definitions/version.ts';
import { canonicalJson } from '../log/digest.ts';
import type { ModelSource, ToolDefinition } from '../ports.ts';
import { changesOf } from './changes.ts';

export type FindingCode =
  /** The log cannot be folded, or leads elsewhere than it did: P3. */
  | 'fold_failed'
  | 'fold_differs'
  | 'agent_gone'
  /** Only this one is no cause for worry: a run that has started keeps what it was pinned to. */
  | 'pin_changed'
  | 'tool_gone'
  | 'tool_class'
  | 'tool_schema'
  | 'approval_differs'
  | 'model_unavailable'
  | 'model_unpriced'
  | 'config_unfit';

export type Finding = {
  code: FindingCode;
  /** What it means, and what it is about. */
  text: string;
  seq?: number;
  run?: string;
  call?: string;
  wait?: string;
  tool?: string;
  /** Of `pin_changed`: what is another now. */
  changes?: string[];
};

export type Looking = {
  /** Wall ms. */
  now: number;
  agents: Agents;
  models: ModelSource;
  /** The manifest that a run was pinned to; null where it was lost. */
  manifest(digest: string): Promise<Manifest | null>;
  /** What a call runs with; undefined where that was erased or lost. */
  argumentsOf(call: Call): Promise<unknown>;
};

/** Of a state that was folded whole. */
export async function findingsOf(state: State, looking: Looking): Promise<Finding[]> {
  const registered = looking.agents.get(state.agent);
  if (registered === undefined) {
    const text = `agent ${state.agent} is not defined: no run of it can start, and its tools are gone`;
    return [{ code: 'agent_gone', text }];
  }
  const run = state.active === null ? undefined : state.runs.get(state.active);
  const active = run === undefined ? [] : await activeFindings(state, run, registered, looking);
  return state.phase === 'open' ? [...active, ...startFindings(state, looking)] : active;
}

async function activeFindings(state: State, run: Run, registered: Registered, looking: Looking): Promise<Finding[]> {
  const before = run.pin === null ? null : await looking.manifest(run.pin.manifest);
  const found = [...pinFindings(run, before, registered), ...routeFindings(run, looking)];
  for (const call of run.asked) {
    if (call.phase.at === 'settled') continue;
    const of = { run: run.id, call: call.id, tool: call.name };
    const tool = registered.tools.get(call.name);
    if (tool === undefined) {
      const text = `${call.id} needs tool ${call.name}, which is not there: it waits until the tool is back, or a person says it is gone`;
      found.push({ code: 'tool_gone', text, ...of });
      continue;
    }
    found.push(...(await toolFindings(call, tool, before, looking)).map((finding) => ({ ...finding, ...of })));
    const approval = await approvalFinding(state, run, call, tool, registered, looking);
    if (approval !== null) found.push({ ...approval, ...of });
  }
  return found;
}

function pinFindings(run: Run, before: Manifest | null, registered: Registered): Finding[] {
  const { pin } = run;
  if (pin === null || versionOf(registered.hash, run.config) === pin.hash) return [];
  const changes = before === null ? ['its manifest was lost'] : changesOf(before, registered.manifest);
  const text = `${run.id} is pinned to another version of ${pin.agent}: ${changes.join('; ') || 'its configuration'}`;
  return [{ code: 'pin_changed', text, run: run.id, changes }];
}

/** The models that a run goes on with are those of its pin. */
function routeFindings(run: Run, { models }: Looking): Finding[] {
  if (run.pin === null) return [];
  return membersOf(run.pin).flatMap(({ model }): Finding[] => {
    const resolved = models.resolve(model);
    if (resolved.ok) return [];
    return [{ code: 'model_unavailable', text: `${run.id} goes on with ${model}: ${resolved.message}`, run: run.id }];
  });
}

async function toolFindings(
  call: Call,
  tool: ToolDefinition,
  before: Manifest | null,
  looking: Looking,
): Promise<Finding[]> {
  const found: Finding[] = [];
  if (tool.effect !== call.class)
    found.push({
      code: 'tool_class',
      text: `${call.id} was asked for as ${call.class}, and ${call.name} is ${tool.effect} now`,
    });
  const declared = before?.tools.find(({ name }) => name === call.name);
  if (declared === undefined || canonicalJson(declared.input) === canonicalJson(tool.input)) return found;
  const args = await looking.argumentsOf(call);
  const misfit = args === undefined ? 'its arguments are not at hand' : misfitOf(tool.input, args);
  const fits = misfit === null ? 'its arguments fit the new one' : `its arguments do not fit: ${misfit}`;
  return [
    ...found,
    { code: 'tool_schema', text: `the schema of ${call.name} is another than ${call.id} was asked with; ${fits}` },
  ];
}

/** What the policies of now would say of a call that was ruled on before. */
async function approvalFinding(
  state: State,
  run: Run,
  call: Call,
  tool: ToolDefinition,
  { manifest }: Registered,
  looking: Looking,
): Promise<Finding | null> {
  const policies = joinPolicies(manifest.policies, run.config.policies);
  const binding = { policies, filed: [], standing: standingNow(state, run, looking.now) };
  const ruling = ruleOn(judged(call.name, tool, await looking.argumentsOf(call)), binding);
  const wait = waitOf(state, call);
  // Documents are not the configuration's: what they asked for or granted stands, unless it denies.
  if (ruling.verdict !== 'deny' && isFiled(call.rule)) return null;
  if (wait?.kind === 'approval') {
    if (ruling.verdict === 'ask') return null;
    const would = ruling.verdict === 'allow' ? 'run without one' : 'be denied';
    return {
      code: 'approval_differs',
      text: `${call.id} waits for an approval, and would now ${would}: ${ruling.rule}`,
      wait: wait.id,
    };
  }
  // Whoever was asked and allowed it is asked no more.
  const approved = [...state.resolved.values()].some((resolved) => resolved.call === call.id);
  if (ruling.verdict === 'allow' || (ruling.verdict === 'ask' && approved)) return null;
  const would = ruling.verdict === 'ask' ? 'ask for an approval' : 'be denied';
  return {
    code: 'approval_differs',
    text: `${call.id} was allowed (${call.rule}), and would now ${would}: ${ruling.rule}`,
  };
}

const waitOf = (state: State, call: Call): Wait | undefined =>
  call.phase.at === 'parked' ? state.waits.get(call.phase.wait) : undefined;

/** Whether the runs that wait, and the next one that comes, could start. */
function startFindings(state: State, { agents }: Looking): Finding[] {
  const found: Finding[] = [];
  const queued = state.queue.flatMap((id) => state.runs.get(id) ?? []);
  for (const run of queued) {
    const finding = startFinding(state, agents.pin(state.agent, runConfig(state.config, run.config)));
    if (finding !== null) found.push({ ...finding, run: run.id, text: `${run.id} cannot start: ${finding.text}` });
  }
  const next = queued.length > 0 ? null : startFinding(state, agents.pin(state.agent, state.config));
  if (next !== null) found.push({ ...next, text: `no run can start: ${next.text}` });
  return found;
}

function startFinding(state: State, pin: ReturnType<Agents['pin']>): Finding | null {
  if (pin === null) return { code: 'model_unavailable', text: `a model of agent ${state.agent} is not to be had here` };
  if ('unfit' in pin) return { code: 'config_unfit', text: pin.unfit };
  const unpriced = lacksPrice(state, pin satisfies Pin, {});
  if (unpriced === null) return null;
  return {
    code: 'model_unpriced',
    text: `model ${unpriced.model} has no known price, and a cap of money binds the run`,
  };
}
