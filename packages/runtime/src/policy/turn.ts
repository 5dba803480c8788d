/** What a turn asked for, on its way into the log: prepared by `perform`, ruled on by the step. */
import type {
  BodyRef,
  Command,
  Digest,
  EffectId,
  GuardRuling,
  Outcome,
  Policies,
  RuledCall,
  State,
  Taint,
  Usage,
} from '@perdure/engine';
import type { EffectClass, Reached } from '../ports.ts';
import type { StepCommand } from '../log/step.ts';
import type { Binding, FiledRule, Ruled } from './policy.ts';
import { behind, decisionOf, joinPolicies, ruleOn, standingNow } from './policy.ts';

/** A call as `perform` prepared it: parsed, validated, with the facts of its declaration; the step rules on it. */
export type PreparedCall = {
  name: string;
  providerId: string;
  digest: string;
  effect: EffectClass;
  /** Labels that its results carry. */
  taint: readonly Taint[];
  timeoutMs: number;
  verify: boolean;
  /** What the policies rule on; or why there is nothing to rule on. */
  judged: Ruled | null;
  invalid: { code: string; result: BodyRef } | null;
  /** Where its paths lead, where a rule looks at that; it is kept with the turn. */
  reached?: readonly Reached[];
  /** What the model is told where the policies deny the call. */
  denial?: BodyRef;
  /** A guard denies it, whatever the policies say. */
  barred?: { rule: string; result: BodyRef };
};
export type PreparedTurn = {
  type: 'prepared-turn';
  stop: 'end' | 'calls' | 'length' | 'filtered' | 'empty' | 'invalid_output';
  body: BodyRef;
  usage: Usage;
  calls: PreparedCall[];
  misfit?: BodyRef;
  /** Of the pinned manifest. */
  policies: Policies;
  /** Of the documents; `policy` names the blob with them. */
  filed: readonly FiledRule[];
  policy?: Digest;
  built?: string;
  guards?: readonly GuardRuling[];
};
export type PreparedSettle = Extract<StepCommand, { outcome: PreparedTurn }>;

export function preparedOf(command: StepCommand): PreparedSettle | null {
  if (command.kind !== 'settle' || !('outcome' in command)) return null;
  return command.outcome.type === 'prepared-turn' ? (command as PreparedSettle) : null;
}

/** The command as the engine takes it: every call that a turn asked for is ruled on. */
export function ruled(state: State, command: StepCommand, at: number): Command {
  const settle = preparedOf(command);
  if (settle === null) return command as Command;
  const prepared = settle.outcome;
  const run = state.active === null ? undefined : state.runs.get(state.active);
  const policies = joinPolicies(prepared.policies, run?.config.policies);
  const binding: Binding = { policies, filed: prepared.filed, standing: standingNow(state, run, at) };
  const ruledBy = prepared.policy === undefined ? {} : { policy: prepared.policy };
  const digests = prepared.calls.map(({ digest }) => digest);
  const calls = prepared.calls.map((call, index): RuledCall => {
    const { name, providerId, digest, effect, timeoutMs, verify, taint, invalid, judged } = call;
    const facts = { name, providerId, digest, class: effect, timeoutMs, verify, taint, ...ruledBy };
    if (invalid !== null) return { ...facts, rule: invalid.code, decision: { verdict: 'invalid', ...invalid } };
    if (call.barred !== undefined)
      return { ...facts, rule: call.barred.rule, decision: { verdict: 'deny', result: call.barred.result } };
    if (judged === null) throw new TypeError(`call ${name} has nothing to rule on`);
    const ruling = ruleOn(judged, behind(binding, digests.slice(0, index)));
    return { ...facts, rule: ruling.rule, decision: decisionOf(ruling, policies, at, call.denial ?? null) };
  });
  const { stop, body, usage, misfit, built } = prepared;
  const outcome: Extract<Outcome, { type: 'turn' }> = { type: 'turn', stop, body, usage, calls };
  if (prepared.guards !== undefined) outcome.guards = prepared.guards;
  if (misfit !== undefined) outcome.misfit = misfit;
  if (built !== undefined) outcome.built = built;
  return { kind: 'settle', effect: settle.effect as EffectId, attempt: settle.attempt, outcome };
}
