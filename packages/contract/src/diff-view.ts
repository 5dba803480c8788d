/** Two sessions side by side, as it is answered. */
import { z } from 'zod';
import { costSchema, usageSchema } from './values.ts';

const seq = z.int().min(0);
const count = z.int().min(0);

/** One thing that a session did after the two went apart. */
export const diffStepSchema = z.strictObject({
  kind: z.enum(['config', 'message', 'turn', 'call', 'end']),
  /** `r3` of a message or an end, `r3t2` of a turn, `r3t2c0` of a call. */
  id: z.string(),
  seq,
  status: z.string(),
  /** The tool of a call, the model of a turn. */
  name: z.string().exactOptional(),
  /** A long text is cut; what is compared is all of it. */
  text: z.string().exactOptional(),
  arguments: z.unknown().optional(),
  result: z.unknown().optional(),
  code: z.string().exactOptional(),
  usage: usageSchema.exactOptional(),
  cost: costSchema.exactOptional(),
  ms: count.exactOptional(),
});
export type DiffStep = z.output<typeof diffStepSchema>;

/** What stands in the same place of both; null where one did nothing there. */
export const diffRowSchema = z.strictObject({
  kind: diffStepSchema.shape.kind,
  same: z.boolean(),
  a: diffStepSchema.nullable(),
  b: diffStepSchema.nullable(),
});
export type DiffRow = z.output<typeof diffRowSchema>;

/** One of the two, and what it took since they went apart. */
export const diffSideSchema = z.strictObject({
  session: z.string(),
  head: seq,
  /** Runs that ended because the session was forked while they were open: they are set against nothing. */
  forked: z.array(z.string()),
  runs: count,
  turns: count,
  calls: count,
  usage: usageSchema,
  cost: costSchema,
  /** How long its runs took, waits included. */
  ms: count,
});
export type DiffSide = z.output<typeof diffSideSchema>;

export const sessionDiffSchema = z.strictObject({
  /** Up to this seq the two logs are the same, byte for byte; 0: from the beginning they are not. */
  common: seq,
  a: diffSideSchema,
  b: diffSideSchema,
  rows: z.array(diffRowSchema),
  /** There are more rows than are shown. */
  more: z.boolean(),
});
export type SessionDiff = z.output<typeof sessionDiffSchema>;
