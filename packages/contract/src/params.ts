/** What callers send: messages, configuration, answers. Unknown members are refused with their path. */
import type { Config } from '@perdure/engine';
import { z } from 'zod';
import { LIMITS } from './limits.ts';
import type { MountInput } from './values.ts';
import {
  blobDigestSchema,
  capsSchema,
  compactionSchema,
  digestSchema,
  mountsSchema,
  nameSchema,
  policiesSchema,
  routeSchema,
  someLimitsSchema,
  textSchema,
  toolChoiceSchema,
} from './values.ts';

const mediaType = z.string().min(1).max(LIMITS.mediaTypeChars);

const name = nameSchema.exactOptional();
const text = z.strictObject({ type: z.literal('text'), text: textSchema });
const image = z.strictObject({ type: z.literal('image'), digest: blobDigestSchema, mediaType, name });
const file = z.strictObject({ type: z.literal('file'), digest: blobDigestSchema, mediaType, name });

/**
 * A part of a message as it is sent. What is not text is a blob that was sent before (`POST /blobs`), by its digest; a
 * long text may be one as well. A file of text stands in the message as text.
 */
export const inputPartSchema = z.union([
  text,
  z.strictObject({ type: z.literal('text'), digest: blobDigestSchema }),
  image,
  file,
]);
export type InputPart = z.output<typeof inputPartSchema>;

/** A part of a message as it is kept: a text with a name was a file. */
export const partSchema = z.discriminatedUnion('type', [
  z.strictObject({ ...text.shape, name, mediaType: mediaType.exactOptional() }),
  image,
  file,
]);
export type Part = z.output<typeof partSchema>;

export const inputSchema = z.union([textSchema, z.array(inputPartSchema).min(1).max(LIMITS.parts)]);
/** A message: a text, or parts. */
export type MessageInput = z.output<typeof inputSchema>;

/** What a session or one run may override; what is left out stays as it is. */
export const configPatchSchema = z.strictObject({
  model: routeSchema.exactOptional(),
  instructions: z.string().max(LIMITS.textChars).exactOptional(),
  effort: z.enum(['minimal', 'low', 'medium', 'high']).exactOptional(),
  maxOutputTokens: z.int().min(1).max(LIMITS.outputTokens).exactOptional(),
  tier: z.enum(['default', 'flex', 'priority']).exactOptional(),
  background: z.boolean().exactOptional(),
  temperature: z.number().min(0).max(2).exactOptional(),
  toolChoice: toolChoiceSchema.exactOptional(),
  limits: someLimitsSchema.exactOptional(),
  policies: policiesSchema.exactOptional(),
  compaction: compactionSchema.exactOptional(),
  mounts: mountsSchema.exactOptional(),
}) satisfies z.ZodType<Omit<Config, 'instructions' | 'mounts'> & { instructions?: string; mounts?: MountInput[] }>;
export type ConfigPatch = z.output<typeof configPatchSchema>;

/** `digest` is what the approver saw (P14); `arguments` replaces what the model asked for. */
export const approvalAnswerSchema = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  digest: digestSchema,
  arguments: z.record(z.string(), z.unknown()).exactOptional(),
  note: z.string().max(LIMITS.noteChars).exactOptional(),
  /** Approves like calls from now on, as the wait's `offer` says: here, of this agent, or everywhere; for so long. */
  grant: z
    .strictObject({
      scope: z.enum(['session', 'agent', 'tenant']),
      forMs: z.int().min(1).max(LIMITS.grantMaxMs).exactOptional(),
    })
    .exactOptional(),
});
export const questionAnswerSchema = z.strictObject({ answer: z.string().max(LIMITS.textChars) });
/** What became of an effect that nobody knows the outcome of; `content` is what the model is told. */
export const outcomeAnswerSchema = z.strictObject({
  outcome: z.enum(['done', 'failed', 'retry']),
  content: z.string().max(LIMITS.textChars).exactOptional(),
  note: z.string().max(LIMITS.noteChars).exactOptional(),
});
/** The new cap of the account that is short; the cap as a whole, not what is added. */
export const capAnswerSchema = z.strictObject({
  cap: capsSchema.refine((cap) => cap.tokens !== undefined || cap.nanoUsd !== undefined, {
    error: 'names neither tokens nor nanoUsd',
  }),
});
export const denyAnswerSchema = z.strictObject({ decision: z.literal('deny') });
export const toolAnswerSchema = z.strictObject({ decision: z.enum(['back', 'gone']) });

/** An answer says by its form which kind of wait it is for; the engine refuses one that does not fit. */
export const answerSchema = z.union([
  approvalAnswerSchema,
  questionAnswerSchema,
  outcomeAnswerSchema,
  capAnswerSchema,
  denyAnswerSchema,
  toolAnswerSchema,
]);
export type AnswerInput = z.output<typeof answerSchema>;
