/**
 * Whether a call may run: pure, over facts. In this order, and nothing later lifts what an earlier one forbids:
 * circuit breakers and deny rules → ask rules and the tool's own approval → grants (`allow` rules lift ask, never
 * deny) → the mode. The mode `accept-edits` lifts the approval that a tool for edits asks for by itself, not what a rule asks.
 */
import type {
  Act,
  ArgumentNames,
  BodyRef,
  LoopGuard,
  Policies,
  PolicyRule,
  Run,
  RuledCall,
  State,
  ToolBreaker,
} from '@perdure/engine';
import { BREAKER } from '@perdure/engine';
import { clipped } from '../effects/clip.ts';
import { LIMITS } from '../limits.ts';
import type { EffectClass } from '../ports.ts';
import type { Judged, Standing } from './conditions.ts';
import { allowing, counts } from './conditions.ts';
import type { CallFacts, Reach } from './facts.ts';
import { actsOf, factsOf } from './facts.ts';
import { loops, openBreaker, stricter } from './habits.ts';
import { ruleText } from './rules.ts';

/** `code`: of a denial that is none of a rule. */
export type Ruling = { verdict: 'allow' | 'ask' | 'deny'; rule: string; code?: typeof BREAKER };
export type Ruled = Judged & { effect: EffectClass; approval: 'always' | 'never'; edits?: boolean };
/** A rule that stands in a document: `told` is what people read of it. */
export type FiledRule = { rule: PolicyRule; told: string };

/** All that a call is ruled by. */
export type Binding = { policies: Policies; filed: readonly FiledRule[]; standing: Standing };

/** How things stand for a call of the run's turn that has just been answered. */
export function standingNow(
  { context, habits }: State,
  run: Pick<Run, 'id' | 'cost'> | undefined,
  at: number,
): Standing {
  return {
    at,
    taint: context.taint.map(({ label }) => label),
    nanoUsd: run?.cost.nanoUsd ?? 0,
    habits: { ...habits, run: run?.id ?? '' },
  };
}

type Declared = {
  effect: EffectClass;
  approval: 'always' | 'never';
  edits?: boolean;
  acts?: readonly Act[];
  names?: ArgumentNames;
};
/** What is ruled on: a call with these arguments, of a tool that is declared so. */
export function judged(name: string, declared: Declared, args: unknown, digest = '', reach: Reach = null): Ruled {
  return new JudgedCall(name, digest, declared, () => factsOf(declared.names, args, reach));
}

class JudgedCall implements Ruled {
  readonly name: string;
  readonly digest: string;
  readonly effect: EffectClass;
  readonly approval: 'always' | 'never';
  readonly edits: boolean;
  readonly acts: readonly Act[];
  readonly #read: () => CallFacts;
  #facts: CallFacts | null = null;

  constructor(name: string, digest: string, declared: Declared, read: () => CallFacts) {
    this.name = name;
    this.digest = digest;
    this.effect = declared.effect;
    this.approval = declared.approval;
    this.edits = declared.edits ?? false;
    this.acts = actsOf(declared);
    this.#read = read;
  }

  /** Read when a rule asks for them: for most calls none does. */
  get facts(): CallFacts {
    return (this.#facts ??= this.#read());
  }
}

export function ruleOn(call: Ruled, { policies, filed, standing }: Binding): Ruling {
  const mode = policies.mode ?? 'ask';
  const habit = byHabit(call, policies, standing);
  if (habit?.verdict === 'deny') return habit;
  const configured = (policies.rules ?? []).map((rule): FiledRule => ({ rule, told: `rule ${ruleText(rule)}` }));
  const counting = [...configured, ...filed].filter(({ rule }) => counts(rule, call, standing));
  const first = (decision: PolicyRule['decision']): string | undefined => {
    const told = counting.find(({ rule }) => rule.decision === decision)?.told;
    return told === undefined ? undefined : clipped(told, LIMITS.ruleChars);
  };
  const denied = first('deny');
  if (denied !== undefined) return { verdict: 'deny', rule: denied };
  if (mode === 'read-only' && call.effect !== 'pure')
    return { verdict: 'deny', rule: 'mode read-only allows only pure tools' };
  // Neither a grant nor a mode lifts what a guard asks.
  if (habit !== null) return habit;
  const asked = first('ask');
  const must = asked ?? (call.approval === 'always' ? 'the tool asks for approval' : null);
  if (must === null) return { verdict: 'allow', rule: 'the tool needs no approval' };
  const granted = grantedBy(counting, call);
  if (granted !== null) return { verdict: 'allow', rule: granted };
  if (mode === 'accept-edits' && call.edits === true && asked === undefined)
    return { verdict: 'allow', rule: 'mode accept-edits' };
  if (mode === 'bypass') return { verdict: 'allow', rule: 'mode bypass' };
  return { verdict: 'ask', rule: must };
}

/** What breakers and guards say; null: nothing. */
function byHabit(call: Ruled, { breaker, loop }: Policies, { at, habits }: Standing): Ruling | null {
  if (habits === undefined) return null;
  const open = breaker === undefined ? null : openBreaker(breaker, call.name, { at, habits });
  if (open !== null) return { verdict: 'deny', rule: open, code: BREAKER };
  const circling = loop === undefined || call.digest === '' ? null : loops(loop, call.digest, { at, habits });
  if (loop === undefined || circling === null) return null;
  return loop.decision === 'deny'
    ? { verdict: 'deny', rule: circling, code: BREAKER }
    : { verdict: 'ask', rule: circling };
}

/** The rules that together allow the call, as people read them; null where they do not. */
function grantedBy(counting: readonly FiledRule[], { facts }: Ruled): string | null {
  const allows = counting.filter(({ rule }) => rule.decision === 'allow');
  const used = allowing(
    allows.map(({ rule }) => rule),
    facts,
  );
  if (used === null) return null;
  const told = used.map((rule) => allows.find((each) => each.rule === rule)?.told ?? '');
  return clipped(told.join('; '), LIMITS.ruleChars);
}

/** The same, where these calls of the turn stand before the call. */
export function behind(binding: Binding, digests: readonly string[]): Binding {
  const { standing } = binding;
  if (standing.habits === undefined || digests.length === 0) return binding;
  const { run, recent } = standing.habits;
  const more = digests.map((digest) => ({ digest, run: run as Run['id'] }));
  return { ...binding, standing: { ...standing, habits: { ...standing.habits, recent: [...recent, ...more] } } };
}

/** What the model is told of a denial: the reason is there for it to do otherwise. `again`: it may have run before. */
export function denialText(rule: string, again = false): string {
  const [what, before] = again
    ? ['Not run again', ' Nobody knows whether an earlier attempt took effect.']
    : ['Not run', ''];
  return `${what}: a policy denies this call (${rule}).${before} Do not repeat it; go on in another way, or say what is not possible.`;
}

/**
 * Policies of which the later overrides the earlier: its mode and its time to answer count. Rules add up, because a
 * rule that denies is lifted by nothing; of two breakers or guards the stricter counts.
 */
export function joinPolicies(...all: readonly (Policies | undefined)[]): Policies {
  const given = all.filter((policies) => policies !== undefined && Object.keys(policies).length > 0);
  if (given.length === 0) return {};
  const joined: Policies = Object.assign({}, ...given) as Policies;
  const rules = given.flatMap((policies) => policies?.rules ?? []);
  const breaker = given.reduce<ToolBreaker | undefined>(
    (strictest, each) => stricter(strictest, each?.breaker),
    undefined,
  );
  const loop = given.reduce<LoopGuard | undefined>((strictest, each) => stricter(strictest, each?.loop), undefined);
  if (breaker !== undefined) joined.breaker = breaker;
  if (loop !== undefined) joined.loop = loop;
  if (rules.length > 0) joined.rules = rules;
  else delete joined.rules;
  return joined;
}

/** The engine's form of a ruling: an approval that may expire says when (wall ms), a denial what the model is told. */
export function decisionOf(
  ruling: Ruling,
  policies: Policies,
  at: number,
  denial: BodyRef | null,
): RuledCall['decision'] {
  if (ruling.verdict === 'deny') {
    const code = ruling.code === undefined ? {} : { code: ruling.code };
    return denial === null ? { verdict: 'deny', ...code } : { verdict: 'deny', result: denial, ...code };
  }
  if (ruling.verdict === 'allow') return { verdict: 'allow' };
  return policies.approvalTtlMs === undefined
    ? { verdict: 'ask' }
    : { verdict: 'ask', expiresAt: at + policies.approvalTtlMs };
}
