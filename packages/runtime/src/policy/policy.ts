/**
 * Whether a call may run: pure, over facts. In this order, and nothing later lifts what an earlier one forbids:
 * circuit breakers and deny rules → ask rules and the tool's own approval → grants (`allow` rules lift ask, never
 * deny) → the mode. The mode `accept-edits` lifts the approval that a tool for edits asks for by itself, not what a rule asks.
 */
import type { BodyRef, Policies, PolicyRule, RuledCall } from '@perdure/engine';
import type { EffectClass } from '../ports.ts';

export type Ruling = { verdict: 'allow' | 'ask' | 'deny'; rule: string };
export type Ruled = { name: string; effect: EffectClass; approval: 'always' | 'never'; edits?: boolean };

/** `*` stands for any run of characters; everything else for itself. */
export function matchesTool(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return pattern === name;
  let at = 0;
  for (const [index, part] of parts.entries()) {
    if (index === 0) {
      if (!name.startsWith(part)) return false;
      at = part.length;
    } else if (index === parts.length - 1) {
      return name.length - part.length >= at && name.endsWith(part);
    } else {
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
  }
  return true;
}

export function ruleOn(call: Ruled, policies: Policies): Ruling {
  const mode = policies.mode ?? 'ask';
  const rules = policies.rules ?? [];
  const first = (decision: PolicyRule['decision']): PolicyRule | undefined =>
    rules.find((rule) => rule.decision === decision && matchesTool(rule.tool, call.name));
  const said = (rule: PolicyRule): string =>
    `rule ${rule.decision} ${rule.tool}${rule.reason === undefined ? '' : `: ${rule.reason}`}`;

  const denied = first('deny');
  if (denied !== undefined) return { verdict: 'deny', rule: said(denied) };
  if (mode === 'read-only' && call.effect !== 'pure')
    return { verdict: 'deny', rule: 'mode read-only allows only pure tools' };
  const asked = first('ask');
  const must = asked !== undefined ? said(asked) : call.approval === 'always' ? 'the tool asks for approval' : null;
  if (must === null) return { verdict: 'allow', rule: 'the tool needs no approval' };
  const granted = first('allow');
  if (granted !== undefined) return { verdict: 'allow', rule: said(granted) };
  if (mode === 'accept-edits' && call.edits === true && asked === undefined)
    return { verdict: 'allow', rule: 'mode accept-edits' };
  if (mode === 'bypass') return { verdict: 'allow', rule: 'mode bypass' };
  return { verdict: 'ask', rule: must };
}

/** What the model is told of a denial: the reason is there for it to do otherwise. */
export const denialText = (rule: string): string =>
  `Not run: a policy denies this call (${rule}). Do not repeat it; go on in another way, or say what is not possible.`;

/**
 * Policies of which the later overrides the earlier: its mode and its time to answer count. Rules add up, because a
 * rule that denies is lifted by nothing.
 */
export function joinPolicies(...given: readonly (Policies | undefined)[]): Policies {
  const joined: Policies = Object.assign({}, ...given) as Policies;
  const rules = given.flatMap((policies) => policies?.rules ?? []);
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
  if (ruling.verdict === 'deny') return denial === null ? { verdict: 'deny' } : { verdict: 'deny', result: denial };
  if (ruling.verdict === 'allow') return { verdict: 'allow' };
  return policies.approvalTtlMs === undefined
    ? { verdict: 'ask' }
    : { verdict: 'ask', expiresAt: at + policies.approvalTtlMs };
}
