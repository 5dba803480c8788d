/** What the folds give: messages, spans, an explanation. */
import type { CallOutcome, TreeChanged } from '@perdure/engine';
import { z } from 'zod';
import { partSchema } from './params.ts';
import { passedSchema } from './passed.ts';
import { costSchema, runStatusSchema, shortageSchema, taintSchema, taintSourceSchema, usageSchema } from './values.ts';

const at = z.int();
const seq = z.int().min(1);
export const callOutcomeSchema = z.enum([
  'done',
  'failed',
  'denied',
  'cancelled',
  'unknown',
]) satisfies z.ZodType<CallOutcome>;

/** What a call, or the job that it started, has changed in a workspace: from which tree to which. */
export const treeChangedSchema = z.strictObject({
  workspace: z.string(),
  before: z.string(),
  after: z.string(),
}) satisfies z.ZodType<TreeChanged>;

/** One tool call of a turn as a transcript shows it. */
export const stepSchema = z.strictObject({
  call: z.string(),
  name: z.string(),
  /** Parsed; the model's text where it does not parse; absent when its body is erased or not at hand. */
  arguments: z.unknown().optional(),
  /** `asked` waits for leave or its turn, `running` flies, `waiting` is parked on `wait`; else its outcome. */
  status: z.enum(['asked', 'running', 'waiting', ...callOutcomeSchema.options]),
  code: z.string().exactOptional(),
  result: z.unknown().optional(),
  details: z.unknown().optional(),
  wait: z.string().exactOptional(),
  /** Whose words its result holds. */
  taint: z.array(taintSchema).exactOptional(),
  /** Workspaces that it has changed, oldest first; a job may do so when its call and its run have long ended. */
  changed: z.array(treeChangedSchema).exactOptional(),
});
export type Step = z.output<typeof stepSchema>;

export const messageSchema = z.strictObject({
  /** Of the entry that brought it: a message's key. Their order is that in which a model reads them. */
  seq,
  at,
  run: z.string(),
  /** `summary`: what a model reads from here on in place of everything before it. */
  role: z.enum(['user', 'assistant', 'summary']),
  parts: z.array(partSchema),
  text: z.string(),
  reasoning: z.string().exactOptional(),
  /** What did not fit in a structured answer, as the model was told. */
  misfit: z.string().exactOptional(),
  steps: z.array(stepSchema).exactOptional(),
  /** `queued`: not read by a model yet. `dropped`: its run was unqueued or cancelled before it was read. */
  status: z.enum(['queued', 'read', 'dropped', 'complete', 'cut']),
});
export type Message = z.output<typeof messageSchema>;

/** A message or an answer that was searched for, with the place where it stands. */
export const foundSchema = z.strictObject({
  session: z.string(),
  agent: z.string(),
  /** Of the session. */
  title: z.string(),
  /** Of the entry that brought it: the same as the message's. */
  seq,
  at,
  run: z.string(),
  role: z.enum(['user', 'assistant']),
  /** The text around what was found, on one line. */
  snippet: z.string(),
});
export type Found = z.output<typeof foundSchema>;

export const spanSchema = z.strictObject({
  /** The id of what it spans, in its session: `r3`, `r3t2`, `r3t2c0`, `w5`; the session's own id for the root. */
  id: z.string(),
  parent: z.string().nullable(),
  kind: z.enum(['session', 'run', 'turn', 'call', 'wait', 'compaction']),
  name: z.string(),
  status: z.string(),
  seq,
  /** Of a run: when it was accepted, where that is not when it started. */
  queuedAt: at.exactOptional(),
  startedAt: at,
  /** Absent while it goes on. */
  endedAt: at.exactOptional(),
  /** How often it was tried; only where that can be more than once. */
  attempts: z.int().min(0).exactOptional(),
  usage: usageSchema.exactOptional(),
  /** Of a turn: tokens of its prompt that were expected to come from the provider's cache; `usage` says how many did. */
  cached: z.int().min(0).exactOptional(),
  cost: costSchema.exactOptional(),
  code: z.string().exactOptional(),
  /** Of a turn: the models of the route that were passed over for the one it is with. */
  passed: z.array(passedSchema).exactOptional(),
  /** Of a turn: the provider's name for its answer, where that can be asked for again. */
  response: z.string().exactOptional(),
  /**
   * Of a turn: the other model that gave the answer before it. What that one said goes along as text and tool calls;
   * its reasoning and what else is its provider's own stays behind.
   */
  takesOver: z.string().exactOptional(),
  /** Of a compaction: by the model's own provider, or by a cheap model of it; missing: by a summary of who was named. */
  by: z.enum(['native', 'cheap']).exactOptional(),
});
export type Span = z.output<typeof spanSchema>;

/** One thing a run does or waits for, with the reason. */
export const causeSchema = z.strictObject({
  code: z.enum([
    'queued',
    'held',
    'model_flying',
    'model_retry',
    'compacting',
    'tool_ready',
    'tool_flying',
    'tool_retry',
    'tool_verifying',
    'approval',
    'question',
    'timer',
    'callback',
    'child',
    'outcome',
    'budget',
    'tool_missing',
    'closing',
    'cancelling',
    'no_worker',
    'quarantined',
    'between_steps',
    'ended',
  ]),
  text: z.string(),
  /** What a person can do about it; absent where nothing is to be done. */
  next: z.string().exactOptional(),
  effect: z.string().exactOptional(),
  tool: z.string().exactOptional(),
  wait: z.string().exactOptional(),
  rule: z.string().exactOptional(),
  attempt: z.int().exactOptional(),
  error: z.string().exactOptional(),
  retryAt: at.exactOptional(),
  expiresAt: at.exactOptional(),
  shortage: shortageSchema.exactOptional(),
  /** Runs that go before it. */
  behind: z.array(z.string()).exactOptional(),
});
export type Cause = z.output<typeof causeSchema>;

export const explanationSchema = z.strictObject({
  run: z.string(),
  status: runStatusSchema,
  reason: z.string().exactOptional(),
  detail: z.string().exactOptional(),
  /** The model that the run is with; absent before it starts. */
  model: z.string().exactOptional(),
  /** The models of its route that were passed over for that one. */
  passed: z.array(passedSchema).exactOptional(),
  agent: z.string(),
  turns: z.int(),
  calls: z.int(),
  retries: z.int(),
  usage: usageSchema,
  /** Of the prompts that providers counted: all their tokens, those from a cache, and those that were expected to be. */
  cache: z.strictObject({ prompt: z.int().min(0), cached: z.int().min(0), predicted: z.int().min(0) }).exactOptional(),
  cost: costSchema,
  /** Whose words the model has read besides its user's, and what brought them first. */
  taint: z.array(taintSourceSchema).exactOptional(),
  /** What it has changed in workspaces, oldest first, with the call that did: `runs.undo` takes it back. */
  changed: z.array(treeChangedSchema.extend({ call: z.string() })).exactOptional(),
  causes: z.array(causeSchema),
});
export type Explanation = z.output<typeof explanationSchema>;
