/** Context slots as people and programs read them. */
import { z } from 'zod';
import { actorSchema } from './values.ts';

/** A name that stands in a path and as a heading. */
export const slotKeySchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);

export const contextSlotSchema = z.strictObject({
  key: z.string(),
  content: z.string(),
  /** Never the same twice in a session: what `ifRevision` is held against. */
  revision: z.int().min(1),
  /** Whose words they are, and whether a model may take them for instructions. */
  origin: z.strictObject({
    kind: actorSchema.shape.kind,
    name: z.string(),
    trust: z.enum(['trusted', 'untrusted']),
  }),
  /** Of the entry that set it. */
  seq: z.int().min(1),
  updatedAt: z.int(),
});
export type ContextSlot = z.output<typeof contextSlotSchema>;
