/** What is answered: sessions, runs, waits, agents and models as people and programs read them. */
import { z } from 'zod';
import { configPatchSchema } from './params.ts';
import {
  costSchema,
  effectClassSchema,
  limitsSchema,
  policiesSchema,
  policyRuleSchema,
  priceSchema,
  routeSchema,
  runStatusSchema,
  sessionStatusSchema,
  shortageSchema,
  taintSourceSchema,
  usageSchema,
  waitKindSchema,
} from './values.ts';

/** Wall time, integer ms. */
const at = z.int();
const count = z.int().min(0);
const jsonSchema = z.record(z.string(), z.unknown());

export const sessionViewSchema = z.strictObject({
  id: z.string(),
  agent: z.string(),
  key: z.string().exactOptional(),
  title: z.string(),
  status: sessionStatusSchema,
  /** The seq of the log's last entry. */
  head: count,
  activeRun: z.string().exactOptional(),
  /** Runs that wait to start, in their order. */
  queue: z.array(z.string()),
  waits: z.array(z.strictObject({ id: z.string(), kind: waitKindSchema, run: z.string() })),
  config: z.strictObject({ revision: count, ...configPatchSchema.shape }),
  /** Its log begins as that of another session, up to this seq. */
  forkedFrom: z.strictObject({ session: z.string(), seq: count }).exactOptional(),
  /** Sealed here: where it goes on. */
  movedTo: z.string().exactOptional(),
  usage: usageSchema,
  cost: costSchema,
  createdAt: at,
  updatedAt: at,
});
export type SessionView = z.output<typeof sessionViewSchema>;

export const runViewSchema = z.strictObject({
  id: z.string(),
  session: z.string(),
  agent: z.string(),
  status: runStatusSchema,
  /** Why it ended so: `turns`, `money`, `provider`, `requested`, ... */
  reason: z.string().exactOptional(),
  detail: z.string().exactOptional(),
  /** The final answer; '' while there is none. */
  text: z.string(),
  /** The text goes on beyond its bound: read it in full as a message. */
  truncated: z.literal(true).exactOptional(),
  /** The structured answer, where the agent asks for one. */
  output: z.unknown().optional(),
  usage: usageSchema,
  cost: costSchema,
  /** Seq of the entry that accepted it. */
  seq: count,
  startedAt: at.exactOptional(),
  endedAt: at.exactOptional(),
});
export type RunView = z.output<typeof runViewSchema>;

/** An open wait, with everything a person needs to answer it. */
export const waitViewSchema = z.strictObject({
  id: z.string(),
  session: z.string(),
  run: z.string(),
  kind: waitKindSchema,
  openedAt: at,
  expiresAt: at.exactOptional(),
  /** Of an approval: what an approver signs, given back with the answer. */
  digest: z.string().exactOptional(),
  /** The call that is parked; `arguments` are parsed, or the model's text where they do not parse. */
  call: z
    .strictObject({
      id: z.string(),
      name: z.string(),
      arguments: z.unknown(),
      class: effectClassSchema,
      attempt: count,
      /** The rule that asks. */
      rule: z.string().exactOptional(),
    })
    .exactOptional(),
  /** Of an approval: whose words the model had read, and from where first. Absent: nobody's but its user's. */
  taint: z.array(taintSourceSchema).exactOptional(),
  /** Of an approval: what `grant` in the answer allows from then on; absent: it can be allowed this once only. */
  offer: policyRuleSchema.exactOptional(),
  question: z.string().exactOptional(),
  choices: z.array(z.string()).exactOptional(),
  shortage: shortageSchema.exactOptional(),
  /** Where whoever is waited for posts the result, below the server's address. */
  callback: z.strictObject({ path: z.string(), note: z.string().exactOptional() }).exactOptional(),
  /** Of an outcome: why nobody knows what became of the effect. */
  evidence: z.string().exactOptional(),
});
export type WaitView = z.output<typeof waitViewSchema>;

export const agentViewSchema = z.strictObject({
  name: z.string(),
  /** Content hash of the definition: its version. */
  hash: z.string(),
  description: z.string(),
  model: routeSchema,
  tools: z.array(
    z.strictObject({
      name: z.string(),
      description: z.string(),
      class: effectClassSchema,
      approval: z.enum(['always', 'never']),
      /** It changes files of a workspace only: mode `accept-edits` lets it run unasked. */
      edits: z.literal(true).exactOptional(),
      input: jsonSchema,
    }),
  ),
  /** What commands of its tools run in: `bubblewrap`, or `none` where the operator wants none. */
  sandbox: z.string().exactOptional(),
  limits: limitsSchema,
  policies: policiesSchema,
  /** Which workers work on its sessions. */
  queue: z.string(),
});
export type AgentView = z.output<typeof agentViewSchema>;

/** A process that shares the data and lives. */
export const nodeViewSchema = z.strictObject({
  /** Its lease: a new one where it came back after it was given up. */
  name: z.string(),
  /** A `gateway` takes requests and leaves the work to workers; `perdure up` is a worker that takes requests, too. */
  role: z.enum(['worker', 'gateway']),
  /** Where the other processes reach it; absent: nowhere. */
  address: z.string().exactOptional(),
  /** The agents it works on; absent: all. */
  agents: z.array(z.string()).exactOptional(),
  /** Sessions whose attempts it alone may dispatch at this moment. */
  sessions: count,
});
export type NodeView = z.output<typeof nodeViewSchema>;

/** Nano-USD per 1,000 tokens, with where and when it was read. */
const listPrice = z.strictObject({ ...priceSchema.shape, source: z.string(), date: z.string() });
/** The most tokens that one of them counts; null: nobody says. */
const modality = z.strictObject({ maxTokens: count.nullable() });

export const modelViewSchema = z.strictObject({
  /** `provider/model`, as an agent names it. */
  id: z.string(),
  provider: z.string(),
  windowTokens: count.nullable(),
  maxOutputTokens: count,
  /** Of standard processing. */
  price: listPrice.nullable(),
  /** It stands in the catalog. */
  known: z.boolean(),
  /** What a message may hold besides text. */
  modalities: z.strictObject({ image: modality.exactOptional(), file: modality.exactOptional() }),
  /** The provider holds it to a schema. */
  structured: z.boolean(),
  /** It can be asked for an answer again, so that a crash does not pay twice. */
  background: z.boolean(),
  /** Levels of effort it takes; absent: nobody knows. */
  effort: z.array(z.string()).exactOptional(),
  /** What is sold besides standard processing. */
  tiers: z.strictObject({ flex: listPrice.exactOptional(), priority: listPrice.exactOptional() }),
  /** When a prompt that was sent before is read from the provider's cache; absent: nobody says that it is. */
  cache: z.strictObject({ minTokens: count, stepTokens: count, lifetimeMs: count }).exactOptional(),
  /** It can be used as things are; else `missing` says what to do, such as which key to set. */
  ready: z.boolean(),
  missing: z.string().exactOptional(),
});
export type ModelView = z.output<typeof modelViewSchema>;

/** What reading logs again has found; nothing: they are whole. */
export const verificationSchema = z.strictObject({
  damage: z.array(
    z.strictObject({
      session: z.string(),
      code: z.enum(['gap', 'hash', 'tail_lost', 'body']),
      seq: count,
      detail: z.string(),
    }),
  ),
  /** There is more than is told. */
  more: z.boolean(),
});
export type Verification = z.output<typeof verificationSchema>;

/** Accepted: from `seq` on the log holds it. */
export const receiptSchema = z.strictObject({ seq: count, run: z.string(), wait: z.string() });
export type ReceiptView = z.output<typeof receiptSchema>;

/** Exactly what one turn sent to its model. */
export const turnRequestSchema = z.strictObject({
  turn: z.string(),
  model: z.string(),
  /** Digest of the neutral context, as `turn.requested` recorded it. */
  fingerprint: z.string(),
  /** False: a build with another assembler cannot rebuild the recorded context byte for byte. */
  exact: z.boolean(),
  /** The request's body as the provider's API takes it. */
  request: z.unknown(),
});
export type TurnRequestView = z.output<typeof turnRequestSchema>;
