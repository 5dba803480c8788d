/** What a model asked for, on its way to a ruling: parsed, validated, bound by digest, with what rules have to know of it. */
import type { Mount } from '@perdure/engine';
import type { Agents, Manifest } from '../definitions/agents.ts';
import { TOOL_SEARCH } from '../definitions/deferred.ts';
import { misfitOf } from '../definitions/schema.ts';
import { LIMITS } from '../limits.ts';
import { argumentsDigest } from '../log/digest.ts';
import type { AskedCall, Timers } from '../ports.ts';
import type { InForce, PolicyDocuments } from '../policy/documents.ts';
import type { Reach } from '../policy/facts.ts';
import type { Binding, Ruled } from '../policy/policy.ts';
import { behind, denialText, judged, ruleOn } from '../policy/policy.ts';
import { namePaths } from '../policy/rules.ts';
import type { PreparedCall } from '../policy/turn.ts';
import type { TurnBody } from './assemble.ts';
import type { Bodies } from './bodies.ts';
import { parseArguments } from './calls.ts';
import { clipped } from './clip.ts';
import { patiently } from './patience.ts';
import { declaredBy } from './request.ts';
import type { Toolbus } from './toolbus.ts';

export type PrepareOptions = {
  agents: Agents;
  toolbus: Pick<Toolbus, 'reach'>;
  policies: Pick<PolicyDocuments, 'inForce'>;
  timers: Timers;
};
export type PrepareOn = {
  manifest: Manifest;
  session: string;
  binding: Binding;
  found: readonly string[];
  mounts: readonly Mount[];
  /** Calls that a guard denies, by their place, with the guard. */
  denied: ReadonlyMap<number, string>;
};

/** Of a turn that asks for none. */
export const noCalls = (): InForce & { calls: PreparedCall[] } => ({ filed: [], text: null, calls: [] });

/** The calls of a turn in their order, and the documents that they are ruled by. */
export async function prepareCalls(
  { agents, toolbus, policies, timers }: PrepareOptions,
  { manifest, session, binding, found, mounts, denied }: PrepareOn,
  asked: readonly AskedCall[],
  bodies: Bodies,
  signal: AbortSignal,
): Promise<InForce & { calls: PreparedCall[] }> {
  const inForce = await patiently(timers, signal, () => policies.inForce(manifest.agent, session));
  const tools = agents.get(manifest.agent)?.tools;
  const calls: PreparedCall[] = [];
  for (const [index, each] of asked.entries()) {
    const earlier = calls.map(({ digest }) => digest);
    const tool = tools?.get(each.name);
    const call = await prepareCall(
      manifest,
      each,
      bodies,
      behind({ ...binding, filed: inForce.filed }, earlier),
      found,
      async (args) => (tool === undefined ? null : toolbus.reach({ session, mounts }, tool, args)),
    );
    const guard = denied.get(index);
    calls.push(guard === undefined ? call : barred(call, guard, bodies));
  }
  return { ...inForce, calls };
}

/** Parses and validates what the model asked for, against the declaration the run is pinned to. `binding`: what it is ruled by, as things stand; `found`: deferred tools that the session has searched for; `reach`: where its paths lead. */
export async function prepareCall(
  manifest: Manifest,
  asked: TurnBody['calls'][number],
  bodies: Bodies,
  binding: Binding,
  found: readonly string[] = [],
  reach: (args: unknown) => Promise<Reach> = async () => null,
): Promise<PreparedCall> {
  const declared = manifest.tools.find(({ name }) => name === asked.name);
  const facts = {
    name: asked.name,
    providerId: asked.id,
    digest: '',
    effect: declared?.effect ?? 'unsafe',
    taint: declared?.taint === undefined ? [] : [declared.taint],
    timeoutMs: declared?.timeoutMs ?? LIMITS.toolMs,
    verify: declared?.verify ?? false,
  } as const;
  const invalid = (code: string, message: string): PreparedCall => ({
    ...facts,
    judged: null,
    invalid: { code, result: bodies.add({ content: clipped(message, LIMITS.messageChars) }) },
  });
  if (declared === undefined) {
    const offered = declaredBy(manifest).map(({ name }) => name);
    return invalid('unknown_tool', `There is no tool ${asked.name}. Tools: ${offered.join(', ') || 'none'}.`);
  }
  if (declared.defer === true && !found.includes(asked.name))
    return invalid('not_found_yet', `${asked.name} was not found yet: search for it with ${TOOL_SEARCH} first.`);
  if (Buffer.byteLength(asked.arguments) > LIMITS.argumentBytes)
    return invalid('too_large', `The arguments have more than ${LIMITS.argumentBytes} bytes.`);
  const parsed = parseArguments(asked.arguments);
  if (!parsed.ok) return invalid('invalid_json', `The arguments are not valid JSON: ${parsed.message}`);
  let digest: string;
  try {
    // First, because it bounds the depth of what is validated.
    digest = argumentsDigest(asked.name, parsed.value);
  } catch (error) {
    return invalid('invalid_arguments', error instanceof Error ? error.message : 'the arguments cannot be bound');
  }
  const misfit = misfitOf(declared.input, parsed.value);
  if (misfit !== null) return invalid('invalid_arguments', `The arguments do not fit the tool's schema: ${misfit}`);
  const rules = [...(binding.policies.rules ?? []), ...binding.filed.map(({ rule }) => rule)];
  const reached = namePaths(rules) ? await reach(parsed.value) : null;
  const ruled = judged(asked.name, declared, parsed.value, digest, reached);
  const kept = Array.isArray(reached) ? { reached } : {};
  const call: PreparedCall & { judged: Ruled } = { ...facts, digest, invalid: null, judged: ruled, ...kept };
  const { verdict, rule } = ruleOn(call.judged, binding);
  if (verdict !== 'deny') return call;
  const denial = bodies.add({ content: clipped(denialText(rule), LIMITS.messageChars) });
  return { ...call, denial };
}

/** A call that a guard denies: answered at once. One that could not run anyhow stays what it is. */
export function barred(call: PreparedCall, guard: string, bodies: Bodies): PreparedCall {
  if (call.invalid !== null) return call;
  const result = bodies.add({ content: `Not run: the guard ${guard} denies this call. Do not repeat it.` });
  return { ...call, barred: { rule: `guard ${guard}`, result } };
}
