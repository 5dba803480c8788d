/**
 * Whether a call that was allowed may still run, right before it does. What a rule denies is lifted by nothing, so also not
 * by an approval that was given before the rule was there, nor by what an approver made of the arguments. And what a grant
 * allowed does not run by one that was revoked since; that its time is over by now changes nothing.
 */
import type { Digest, PolicyRule } from '@perdure/engine';
import type { Bodies } from '../effects/bodies.ts';
import { sha256 } from '../log/digest.ts';
import type { ToolDefinition } from '../ports.ts';
import type { Standing } from './conditions.ts';
import type { InForce } from './documents.ts';
import { judged, ruleOn } from './policy.ts';

export type Allowed = {
  /** `rule`: what decided on it. */
  call: { name: string; digest: Digest; rule: string };
  args: unknown;
  /** The documents that it was ruled by when it was asked for. */
  ruledBy: Digest | null;
  /** Those of now. */
  now: InForce;
  /** Rules that its run is bound to, where an approver's arguments have been ruled on by nobody; null: they are the model's. */
  unruled: readonly PolicyRule[] | null;
  standing: Standing;
};
export type Denial = { rule: string; policy?: Digest };

/** The rule that denies it, with the documents as a blob; null: it may run. */
export function deniedNow(allowed: Allowed, tool: ToolDefinition, bodies: Bodies): Denial | null {
  const { call, args, ruledBy, now, unruled, standing } = allowed;
  const text = now.text === null ? null : bodies.clean(now.text);
  const revoked = revokedOf(call.rule, now);
  if (revoked !== null) {
    const denial = { rule: bodies.clean(`${revoked} allowed it, and was revoked`) };
    return text === null ? denial : { ...denial, policy: bodies.keep(text) };
  }
  if (unruled === null && (text === null || sha256(text) === ruledBy)) return null;
  // Breakers and guards look at what became of calls before they are asked for: that has been done.
  const binding = { policies: { rules: [...(unruled ?? [])] }, filed: now.filed, standing };
  const { verdict, rule } = ruleOn(judged(call.name, tool, args, call.digest), binding);
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
