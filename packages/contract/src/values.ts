/** Values of the engine as they stand on the wire. Each schema is held against the engine's own type. */
import type {
  Act,
  Actor,
  Answer,
  BodyRef,
  CallId,
  Caps,
  CompactionConfig,
  Cost,
  EffectClass,
  Limits,
  LoopGuard,
  Mode,
  Mount,
  Policies,
  PolicyRule,
  Price,
  RunId,
  RunStatus,
  Shortage,
  Taint,
  ToolBreaker,
  ToolChoice,
  TurnId,
  Usage,
  WaitId,
  WaitKind,
} from '@perdure/engine';
import { z } from 'zod';
import { LIMITS } from './limits.ts';
import { faultOfPath, foldPath } from './workspaces/paths.ts';

const count = z.int().min(0);
/** A text of a fixed form whose type says so. */
const shaped = <T extends string>(pattern: RegExp): z.ZodType<T, T> =>
  z.string().regex(pattern) as unknown as z.ZodType<T, T>;

export const sessionIdSchema = z.string().regex(/^ses_[0-9A-Za-z]{26}$/);
export const runIdSchema = shaped<RunId>(/^r[1-9][0-9]{0,8}$/);
export const turnIdSchema = shaped<TurnId>(/^r[1-9][0-9]{0,8}t[1-9][0-9]{0,8}$/);
export const callIdSchema = shaped<CallId>(/^r[1-9][0-9]{0,8}t[1-9][0-9]{0,8}c[0-9]{1,9}$/);
export const waitIdSchema = shaped<WaitId>(/^w[1-9][0-9]{0,8}$/);

/** SHA-256 in base64url; `canonical` digests of arguments are of the same form. */
export const digestSchema = z.string().min(1).max(LIMITS.digestChars);
export const blobDigestSchema = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
export const nameSchema = z.string().min(1).max(LIMITS.nameChars);
const ROUTE = `is a model, or a list of 1 to ${LIMITS.routeModels} of them, each once`;
/** One model, or several in the order in which they are tried. */
export const routeSchema = z.union(
  [
    nameSchema,
    z
      .array(nameSchema)
      .min(1)
      .max(LIMITS.routeModels)
      .refine((models) => new Set(models).size === models.length, { error: ROUTE }),
  ],
  { error: ROUTE },
);
export const textSchema = z.string().min(1).max(LIMITS.textChars);

export const bodyRefSchema = z.looseObject({ digest: digestSchema, bytes: count }) satisfies z.ZodType<BodyRef>;

export const actorSchema = z.strictObject({
  kind: z.enum(['user', 'key', 'agent', 'system', 'approver']),
  id: z.string(),
}) satisfies z.ZodType<Actor>;

export const usageSchema = z.strictObject({
  input: count,
  cachedInput: count,
  cacheWrite: count,
  output: count,
  reasoning: count,
  source: z.enum(['provider', 'bound']),
}) satisfies z.ZodType<Usage>;

export const costSchema = z.strictObject({
  nanoUsd: count,
  price: z.string().nullable(),
}) satisfies z.ZodType<Cost>;

const rates = { input: count, cachedInput: count, cacheWrite: count, output: count };
export const priceSchema = z.strictObject({
  id: z.string(),
  ...rates,
  /** What every token of a request costs whose prompt has more tokens than that. */
  above: z.strictObject({ tokens: count, ...rates }).exactOptional(),
}) satisfies z.ZodType<Price>;

export const capsSchema = z.strictObject({
  tokens: count.exactOptional(),
  nanoUsd: count.exactOptional(),
}) satisfies z.ZodType<Caps>;

export const limitsSchema = z.strictObject({
  turns: z.int().min(1).max(LIMITS.turns),
  calls: z.int().min(0).max(LIMITS.calls),
  deadlineMs: z.int().min(1).max(LIMITS.deadlineMaxMs),
  tokens: count.exactOptional(),
  nanoUsd: count.exactOptional(),
  session: capsSchema.exactOptional(),
}) satisfies z.ZodType<Limits>;

/** Limits of which any may be left out. */
export const someLimitsSchema = z.strictObject({
  ...limitsSchema.shape,
  turns: limitsSchema.shape.turns.exactOptional(),
  calls: limitsSchema.shape.calls.exactOptional(),
  deadlineMs: limitsSchema.shape.deadlineMs.exactOptional(),
}) satisfies z.ZodType<Partial<Limits>>;

export const modeSchema = z.enum(['ask', 'accept-edits', 'read-only', 'bypass']) satisfies z.ZodType<Mode>;
export const effectClassSchema = z.enum(['pure', 'keyed', 'unsafe']) satisfies z.ZodType<EffectClass>;

export const taintSchema = z.enum(['web', 'file', 'tool', 'input']) satisfies z.ZodType<Taint>;
export const actSchema = z.enum(['write', 'egress']) satisfies z.ZodType<Act>;
/** A label of the context, and what brought it: a call, a run (its message), or a slot (`slot KEY`). */
export const taintSourceSchema = z.strictObject({ label: taintSchema, from: z.string() });

const pattern = z.string().min(1).max(LIMITS.patternChars);
const patterns = z.array(pattern).min(1).max(LIMITS.patterns);
const argumentCondition = z.union([
  z.strictObject({ equals: z.json() as unknown as z.ZodType<unknown, unknown> }),
  z.strictObject({ glob: pattern }),
  z.strictObject({ regex: pattern }),
]);
export const policyRuleSchema = z.strictObject({
  decision: z.enum(['allow', 'ask', 'deny']),
  tool: nameSchema,
  /** Conditions on arguments, by name or JSON pointer: a value, or the form of each text in it. */
  args: z
    .record(z.string().min(1).max(LIMITS.nameChars), argumentCondition)
    .refine((args) => Object.keys(args).length <= LIMITS.patterns, {
      error: `has more than ${LIMITS.patterns} arguments`,
    })
    .exactOptional(),
  paths: patterns.exactOptional(),
  hosts: patterns.exactOptional(),
  command: z.union([pattern, patterns]).exactOptional(),
  tainted: z.union([z.boolean(), z.array(taintSchema).min(1)]).exactOptional(),
  acts: z.array(actSchema).min(1).exactOptional(),
  maxNanoUsd: count.exactOptional(),
  expiresAt: count.exactOptional(),
  reason: z.string().max(LIMITS.reasonChars).exactOptional(),
}) satisfies z.ZodType<PolicyRule>;

/** A rule as callers write it. */
export type PolicyRuleInput = z.output<typeof policyRuleSchema>;

export const toolBreakerSchema = z.strictObject({
  failures: z.int().min(1).max(LIMITS.habits),
  within: z.enum(['run', 'session']).exactOptional(),
  forMs: z.int().min(1).max(LIMITS.grantMaxMs).exactOptional(),
}) satisfies z.ZodType<ToolBreaker>;
export const loopGuardSchema = z.strictObject({
  repeats: z.int().min(1).max(LIMITS.habits),
  decision: z.enum(['ask', 'deny']),
}) satisfies z.ZodType<LoopGuard>;

export const policiesSchema = z.strictObject({
  mode: modeSchema.exactOptional(),
  rules: z.array(policyRuleSchema).max(LIMITS.rules).exactOptional(),
  approvalTtlMs: z.int().min(1).max(LIMITS.approvalTtlMaxMs).exactOptional(),
  breaker: toolBreakerSchema.exactOptional(),
  loop: loopGuardSchema.exactOptional(),
}) satisfies z.ZodType<Policies>;

/**
 * `model`: who summarises a conversation that has grown long; `auto: false`: only when somebody asks; `native: never`: not by
 * the provider's own compaction.
 */
export const compactionSchema = z.strictObject({
  model: nameSchema.exactOptional(),
  auto: z.boolean().exactOptional(),
  native: z.enum(['auto', 'never']).exactOptional(),
}) satisfies z.ZodType<CompactionConfig>;

export const workspaceNameSchema = z
  .string()
  .max(LIMITS.workspaceChars)
  .regex(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/, {
    error: 'is no name of a workspace: small letters and digits, with . _ - between them',
  });
/** Where tools find a workspace: absolute, in names that mean the same everywhere; `/` for all that tools see. */
export const mountPathSchema = z
  .string()
  .max(LIMITS.mountPathChars)
  .refine((path) => path === '/' || (path.startsWith('/') && faultOfPath(path.slice(1)) === null), {
    error: 'is no place for a workspace: write it absolute and without a trailing slash, such as /site',
  });

export const mountSchema = z.strictObject({
  path: mountPathSchema,
  workspace: workspaceNameSchema,
  mode: z.enum(['read-only', 'read-write']),
  /** Where the workspace stands; sent, it must stand there. */
  tree: blobDigestSchema.exactOptional(),
}) satisfies z.ZodType<Omit<Mount, 'tree'> & { tree?: Mount['tree'] }>;
export type MountInput = z.output<typeof mountSchema>;

const liesIn = (outer: string, path: string): boolean =>
  path === outer || path.startsWith(outer === '/' ? outer : `${outer}/`);
const apart = (mounts: readonly MountInput[]): boolean =>
  mounts.every(({ path, workspace }, index) =>
    mounts.every(
      (other, at) => at === index || (!liesIn(foldPath(path), foldPath(other.path)) && workspace !== other.workspace),
    ),
  );
export const mountsSchema = z
  .array(mountSchema)
  .max(LIMITS.mounts)
  .refine(apart, { error: 'have a workspace twice, or one within another' });

export const toolChoiceSchema = z.union([
  z.enum(['auto', 'none', 'required']),
  z.strictObject({ tool: nameSchema }),
]) satisfies z.ZodType<ToolChoice>;

export const runStatusSchema = z.enum([
  'queued',
  'running',
  'waiting',
  'held',
  'cancelling',
  'completed',
  'limited',
  'failed',
  'cancelled',
]) satisfies z.ZodType<RunStatus>;

export const sessionStatusSchema = z.enum(['idle', 'running', 'waiting', 'closed', 'quarantined']);

export const waitKindSchema = z.enum([
  'approval',
  'question',
  'timer',
  'callback',
  'child',
  'outcome',
  'budget',
  'tool',
]) satisfies z.ZodType<WaitKind>;

export const shortageSchema = z.strictObject({
  account: z.string(),
  limit: z.enum(['tokens', 'money']),
  needed: count,
  free: z.int(),
}) satisfies z.ZodType<Shortage>;

export type SessionStatus = z.output<typeof sessionStatusSchema>;
/** The kinds of answer a person gives; a callback is answered by its token, a timer by time, a child by its end. */
export type AnswerKind = Exclude<Answer['kind'], 'callback' | 'child'>;
