/**
 * Whether a call that was allowed may still run, right before it does. What a rule denies is lifted by nothing, so also not
 * by an approval that was given before the rule was there, nor by what an approver made of the arguments, nor by where its
 * paths lead, where that was not asked before. And what a grant
 * allowed does not run by one that was revoked since; that its time is over by now changes nothing.
 */
import type { Digest, PolicyRule } from '@perdure/engine';
import type { Bodies } from '../effects/bodies.ts';
import { sha256 } from '../log/digest.ts';
import type { Reached, ToolDefinition } from '../ports.ts';
import type { Standing } from './conditions.ts';
import type { InForce } from './documents.ts';
import type { Reach } from './facts.ts';
import { judged, ruleOn } from './policy.ts';
import { namePaths } from './rules.ts';
import type { Soon } from '../soon.ts';

export type Allowed = {
  /** `rule`: what decided on it. */
  call: { name: string; digest: Digest; rule: string };
  args: unknown;
  /** The documents that it was ruled by when it was asked for. */
  ruledBy: Digest | null;
  /** Those of now. */
  now: InForce;
  /** Rules that its run is bound to. */
  bound: readonly PolicyRule[];
  /** Its arguments are an approver's: nobody has ruled on them. */
  edited: boolean;
  /** Where its paths led when it was ruled on; null: that was not asked. */
  reached: readonly Reached[] | null;
  standing: Standing;
};
export type Denial = { rule: string; policy?: Digest };

/** Where its paths lead: what it was ruled by, or, where rules on paths have not seen that yet, what the tool finds out now. */
export function reachNow(
  { bound, now, reached }: Pick<Allowed, 'bound' | 'now' | 'reached'>,
  tool: ToolDefinition,
  ask: () => Promise<Reach>,
): Soon<Reach> {
  if (reached !== null || tool.reaches === undefined) return reached;
  return namePaths([...bound, ...now.filed.map(({ rule }) => rule)]) ? ask() : null;
}

/** The rule that denies it, with the documents as a blob; null: it may run. */
export function deniedNow(allowed: Allowed, tool: ToolDefinition, reach: Reach, bodies: Bodies): Denial | null {
  const { call, args, ruledBy, now, bound, edited, reached, standing } = allowed;
  const unruled = edited || reach !== reached ? bound : null;
  const text = now.text === null ? null : bodies.clean(now.text);
  const revoked = revokedOf(call.rule, now);
  if (revoked !== null) {
    const denial = { rule: bodies.clean(`${revoked} allowed it, and was revoked`) };
    return text === null ? denial : { ...denial, policy: bodies.keep(text) };
  }
  if (unruled === null && (text === null || sha256(text) === ruledBy)) return null;
  // Breakers and guards look at what became of calls before they are asked for: that has been done.
  const binding = { policies: { rules: [...(unruled ?? [])] }, filed: now.filed, standing };
  const { verdict, rule } = ruleOn(judged(call.name, tool, args, call.digest, reach), binding);
  if (verdict !== 'deny') return null;
  const denial = { rule: bodies.clean(rule) };
  return text === null ? denial : { ...denial, policy: bodies.keep(text) };
}

/** A grant that allowed the call and is there no more; null: there is none. */
function revokedOf(told: string, { filed }: InForce): string | null {
  for (const [, name] of told.matchAll(/(?:^|; )(grant \S+) /g)) {
    if (!filed.some((each) => each.told.startsWith(`${name} `))) return name ?? null;
  }
  return null;
}
