/** Documents of rules, and grants: what people have decided beside the configuration, and can take back. */
import { z } from 'zod';
import { actorSchema, policyRuleSchema, sessionIdSchema } from './values.ts';

const at = z.int();
const SCOPE = /^(?:tenant|agent:[a-z][a-z0-9_-]{0,63}|session:ses_[0-9A-Za-z]{26})$/;
/** What a document counts for: everything, the sessions of an agent, or one session. */
export const policyScopeSchema = z.string().regex(SCOPE, 'a scope is tenant, agent:NAME or session:ses_…');

/** A rule of a document, under a name that is made of what it says. */
export const filedRuleSchema = z.strictObject({ id: z.string(), ...policyRuleSchema.shape });
/** Like calls that are not asked for from then on. Its rule allows, and lifts no denial. */
export const grantViewSchema = z.strictObject({
  id: z.string(),
  rule: policyRuleSchema,
  at,
  by: actorSchema,
  /** The wait in whose answer it was given. */
  session: sessionIdSchema,
  wait: z.string(),
  revokedAt: at.exactOptional(),
});
export type GrantView = z.output<typeof grantViewSchema>;

export const policyViewSchema = z.strictObject({
  scope: policyScopeSchema,
  /** 0: nothing was ever written here. */
  revision: z.int().min(0),
  rules: z.array(filedRuleSchema),
  grants: z.array(grantViewSchema),
});
export type PolicyView = z.output<typeof policyViewSchema>;
