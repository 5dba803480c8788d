/** What a row of the table says, and the parameters that many rows share. */
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { runIdSchema, sessionIdSchema } from '../values.ts';
import { runViewSchema, sessionViewSchema } from '../views.ts';

export type Verb = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Method = {
  verb: Verb;
  /** Below the base (`/v1`); parameters in braces. */
  path: string;
  params: z.ZodObject;
  /** The parameter that is the whole body, where there is one. */
  body?: string;
  result: z.ZodType;
  /** The statuses of success: the usual one first. */
  status: readonly [number, ...number[]];
  /** Beyond those that every method may answer: see COMMON_ERRORS. */
  errors: readonly ErrorCode[];
  scope: 'read' | 'write';
  summary: string;
  /** A parameter of the path is the credential: over REST no token of the server is asked for besides. */
  open?: true;
};
/** What any method may answer with. */
export const COMMON_ERRORS = [
  'invalid_request',
  'unauthorized',
  'forbidden',
  'too_large',
  'rate_limited',
  'internal',
  'unavailable',
] as const satisfies readonly ErrorCode[];

export const cursor = z.string().min(1).max(LIMITS.cursorChars).exactOptional();
export const limit = z.int().min(1).max(LIMITS.listMax).default(LIMITS.listDefault);
export const submission = z.string().min(1).max(LIMITS.submissionChars).exactOptional();
export const next = z.string().exactOptional();
export const seq = z.int().min(0);

export const session = sessionIdSchema;
export const inSession = z.strictObject({ session });
export const onRun = z.strictObject({ session, run: runIdSchema });
export const accepted = z.strictObject({ session: sessionViewSchema, run: runViewSchema, seq });
