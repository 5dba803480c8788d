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
  /** Of a change: what may not be meant, such as a tool that no agent here has. It was made all the same. */
  notices: z.array(z.string()).exactOptional(),
});
export type PolicyView = z.output<typeof policyViewSchema>;

const count = z.int().min(0);
/** A call that proposed policies would have ruled on otherwise, or a turn beyond a proposed cap. */
export const policyFindingSchema = z.strictObject({
  session: z.string(),
  run: z.string(),
  /** A call, or of a cap the first turn beyond it. */
  effect: z.string(),
  /** The tool; absent for a cap. */
  tool: z.string().exactOptional(),
  at,
  was: z.enum(['allow', 'ask', 'deny']),
  would: z.enum(['allow', 'ask', 'deny']),
  /** Why it would. */
  rule: z.string(),
  /** What a person decided then. */
  human: z.enum(['approved', 'denied']).exactOptional(),
  /** The person decided otherwise than the policies would. */
  contradicts: z.boolean(),
  /** What the turns behind it have cost, which might not have been: at most so much. */
  savedNanoUsd: count,
  savedTokens: count,
});
export type PolicyFinding = z.output<typeof policyFindingSchema>;
export const policyTestSchema = z.strictObject({
  /** Looked at in this page; calls among them that were ruled on. */
  sessions: count,
  calls: count,
  /** Sessions of which something could not be read: nothing is said of the rest of them. */
  unread: z.array(z.string()),
  findings: z.array(policyFindingSchema),
  next: z.string().exactOptional(),
});
export type PolicyTest = z.output<typeof policyTestSchema>;
