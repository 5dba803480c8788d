/** What one unfinished session would meet under other agents, tools, policies and models: nothing is called. */
import type { Call, Pin, Run, State, Wait } from '@perdure/engine';
import { lacksPrice, membersOf, runConfig } from '@perdure/engine';
import type { AskedWith } from '../effects/calls.ts';
import type { Agents, Manifest, Registered } from '../definitions/agents.ts';
import type { FiledRule, Ruling } from '../policy/policy.ts';
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
  /** What stands in documents of rules for the session. */
  filed: readonly FiledRule[];
  /** What stood there, by the blob that an entry names; null where it was lost. */
  filedThen(digest: string): Promise<readonly FiledRule[] | null>;
  /** The manifest that a run was pinned to; null where it was lost. */
  manifest(digest: string): Promise<Manifest | null>;
  /** What a call was asked with; undefined where that was erased or lost. */
  askedWith(call: Call): Promise<AskedWith | undefined>;
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
    const again = await ruledAgain(state, run, call, tool, before, registered, looking);
    const approval = approvalFinding(state, call, again);
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
  const args = (await looking.askedWith(call))?.args;
  const misfit = args === undefined ? 'its arguments are not at hand' : misfitOf(tool.input, args);
  const fits = misfit === null ? 'its arguments fit the new one' : `its arguments do not fit: ${misfit}`;
  return [
    ...found,
    { code: 'tool_schema', text: `the schema of ${call.name} is another than ${call.id} was asked with; ${fits}` },
  ];
}

type Again = {
  /** By the configuration and the documents of now: what would be said if it were asked for now. */
  now: Ruling;
  /** By the same configuration and the documents that it was ruled by. */
  configured: Ruling;
  /** By what its run is pinned to and those documents; null where that was lost. */
  pinned: Ruling | null;
};

/** A call that was ruled on before, ruled on again. */
async function ruledAgain(
  state: State,
  run: Run,
  call: Call,
  tool: ToolDefinition,
  before: Manifest | null,
  { manifest }: Registered,
  looking: Looking,
): Promise<Again> {
  const { args, reached } = (await looking.askedWith(call)) ?? { args: undefined, reached: null };
  const standing = standingNow(state, run, looking.now);
  const then = call.policy === undefined ? [] : ((await looking.filedThen(call.policy)) ?? looking.filed);
  const by = (of: Manifest, declared: Parameters<typeof judged>[1], filed: readonly FiledRule[]): Ruling => {
    const policies = joinPolicies(of.policies, run.config.policies);
    return ruleOn(judged(call.name, declared, args, '', reached), { policies, filed, standing });
  };
  const declared = before?.tools.find(({ name }) => name === call.name);
  return {
    now: by(manifest, tool, looking.filed),
    configured: by(manifest, tool, then),
    pinned: before === null || declared === undefined ? null : by(before, declared, then),
  };
}

/** Documents that changed meanwhile are no matter of this configuration: they are told where they deny, because that wins. */
function approvalFinding(state: State, call: Call, { now, configured, pinned }: Again): Finding | null {
  const wait = waitOf(state, call);
  const decided = wait?.kind === 'approval' ? 'ask' : 'allow';
  const same = [decided, pinned?.verdict].includes(now.verdict);
  if (same || (now.verdict !== 'deny' && configured.verdict === decided)) return null;
  if (wait?.kind === 'approval') {
    const would = now.verdict === 'allow' ? 'run without one' : 'be denied';
    const text = `${call.id} waits for an approval, and would now ${would}: ${now.rule}`;
    return { code: 'approval_differs', text, wait: wait.id };
  }
  // Whoever was asked and allowed it is asked no more.
  const approved = [...state.resolved.values()].some((resolved) => resolved.call === call.id);
  if (now.verdict === 'ask' && approved) return null;
  const would = now.verdict === 'ask' ? 'ask for an approval' : 'be denied';
  return {
    code: 'approval_differs',
    text: `${call.id} was allowed (${call.rule}), and would now ${would}: ${now.rule}`,
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
