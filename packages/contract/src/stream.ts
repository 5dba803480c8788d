/** What streams carry: entries of a log, live deltas, changes of sessions. */
import type { EventData, EventKind } from '@perdure/engine';
import { z } from 'zod';
import { actorSchema, sessionStatusSchema } from './values.ts';

const seq = z.int().min(1);

type Envelope = {
  /** Starts at 1, without gaps: the cursor of every stream. */
  seq: number;
  /** Wall time in ms, for people only: order is `seq`. */
  at: number;
  /** Version of the kind's data, after upcasting. */
  v: number;
  run?: string;
  effect?: string;
  by: z.output<typeof actorSchema>;
  /** SHA-256 (hex) of the frame that carries the entry, chained to the one before. */
  hash: string;
};
type EntryOf<K extends EventKind> = Envelope & { kind: K; data: EventData[K] };

/**
 * An entry of a log on the wire. A newer server may send kinds that are not in this union, and members that are not
 * in `data`: a switch over `kind` needs a default that passes them by. A reference to a body, `{digest, bytes}`, may
 * carry the body itself beside it as `body` (see bodies.ts).
 */
export type Entry = { [K in EventKind]: EntryOf<K> }[EventKind];

export const entrySchema = z.looseObject({
  seq,
  at: z.int(),
  kind: z.string(),
  v: z.int().min(1),
  run: z.string().exactOptional(),
  effect: z.string().exactOptional(),
  by: actorSchema,
  data: z.record(z.string(), z.unknown()),
  hash: z.string(),
}) as unknown as z.ZodType<Entry, Entry>;

/**
 * A piece of what a model is saying: live only, never logged. `offset` counts UTF-16 units of this part (and call)
 * of this attempt. A higher attempt: drop what the lower one said. A gap: wait for the entry.
 */
export const deltaSchema = z.strictObject({
  run: z.string(),
  effect: z.string(),
  attempt: z.int().min(1),
  offset: z.int().min(0),
  part: z.enum(['text', 'reasoning', 'arguments']),
  /** Of `arguments`: the call's id and its tool. */
  call: z.string().exactOptional(),
  name: z.string().exactOptional(),
  text: z.string(),
});
export type Delta = z.output<typeof deltaSchema>;

/** Something happened in a session: where its log stands now. The newest per session suffices. */
export const feedChangeSchema = z.strictObject({
  session: z.string(),
  agent: z.string(),
  head: z.int().min(0),
  status: sessionStatusSchema,
});
export type FeedChange = z.output<typeof feedChangeSchema>;
