/**
 * The file of an exported session: JSON lines (UTF-8), one line after the other, each told by its first member.
 *
 *     {"perdure":"session","version":1,"session":…,"head":…}     what it is of
 *     {"frame":{"first","count","hash","text"},"bodies":[…]}     each frame, its exact bytes as text, with its bodies
 *     {"blob":…,"part":0,"data":…}                               each blob that the entries name, in parts, base64
 *     {"missing":…}                                              a blob that was not to be had
 *     {"ledger":{"spent":…}}                                     once: what the accounts have, held against the entries
 *     {"end":{"lines":…,"sha256":…}}                             over all the bytes before: without it the file was cut
 *
 * `version` grows when a reader of before could misread it. Nothing of this is secret beyond what the log itself holds.
 */
import { LIMITS as WIRE } from '@perdure/contract';
import { z } from 'zod';
import { AGENT_NAME } from '../definitions/agents.ts';
import { LIMITS } from '../limits.ts';
import type { Body } from '../ports.ts';

export const VERSION = 1;

const count = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
/** As every session is named here: what arrives under its own name must be one that can be asked for. */
const session = z.string().regex(/^ses_[0-9A-Za-z]{26}$/);
const name = z.string().min(1).max(WIRE.nameChars);
const digest = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

export const headerSchema = z.strictObject({
  perdure: z.literal('session'),
  version: z.literal(VERSION),
  session,
  tenant: name,
  agent: z.string().regex(AGENT_NAME),
  title: z.string().max(LIMITS.titleChars),
  head: z.strictObject({ seq: z.int().min(1), hash }),
  /** The log ends with `session.moved`: it goes on where it is imported. */
  sealed: z.boolean(),
  /** Wall time, ms. */
  exportedAt: count,
});
const bodySchema = z.strictObject({ digest, salt: z.string(), text: z.string() }) satisfies z.ZodType<Body>;
export const frameSchema = z.strictObject({
  frame: z.strictObject({ first: z.int().min(1), count: z.int().min(1), hash, text: z.string() }),
  bodies: z.array(bodySchema),
  erased: z.literal(true).exactOptional(),
});
export const blobSchema = z.strictObject({
  blob: digest,
  bytes: count,
  part: count,
  data: z.base64(),
});
export const missingSchema = z.strictObject({ missing: digest });
export const ledgerSchema = z.strictObject({
  ledger: z.strictObject({ spent: z.strictObject({ tokens: count, nanoUsd: count }) }),
});
export const endSchema = z.strictObject({ end: z.strictObject({ lines: count, sha256: hash }) });

export type Header = z.output<typeof headerSchema>;
export type FrameLine = z.output<typeof frameSchema>;
export type BlobLine = z.output<typeof blobSchema>;
export type Line =
  | Header
  | FrameLine
  | BlobLine
  | z.output<typeof missingSchema>
  | z.output<typeof ledgerSchema>
  | z.output<typeof endSchema>;

/** By the first member of a line. */
export const SCHEMAS: { readonly [first: string]: z.ZodType<Line> } = {
  perdure: headerSchema,
  frame: frameSchema,
  blob: blobSchema,
  missing: missingSchema,
  ledger: ledgerSchema,
  end: endSchema,
};

/** The file is not what was exported, or not all of it: nothing is written. `line` counts from 1. */
export class BadExport extends Error {
  readonly code = 'bad_export';
  readonly line: number;
  constructor(line: number, problem: string) {
    super(line === 0 ? `the file ${problem}` : `line ${line} of the file ${problem}`);
    this.line = line;
  }
}
