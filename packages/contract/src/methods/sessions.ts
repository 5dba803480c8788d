/** Rows on sessions. */
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { configPatchSchema, inputSchema } from '../params.ts';
import { sessionDiffSchema } from '../diff-view.ts';
import { nameSchema, sessionIdSchema, sessionStatusSchema } from '../values.ts';
import { runViewSchema, sessionViewSchema, verificationSchema } from '../views.ts';
import { cursor, limit, submission, next, seq, session, inSession } from './method.ts';
import type { Method } from './method.ts';

export const SESSION_METHODS = {
  'sessions.create': {
    verb: 'POST',
    path: '/sessions',
    params: z.strictObject({
      agent: nameSchema.exactOptional(),
      input: inputSchema.exactOptional(),
      submission,
      key: z.string().min(1).max(LIMITS.submissionChars).exactOptional(),
      config: configPatchSchema.exactOptional(),
    }),
    result: z.strictObject({ session: sessionViewSchema, run: runViewSchema.exactOptional(), seq }),
    status: [201, 200],
    errors: ['not_found', 'submission_conflict', 'session_closed', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary: 'Opens a session, or finds the one with this key (200), and sends it a first message if there is one',
  },
  'sessions.list': {
    verb: 'GET',
    path: '/sessions',
    params: z.strictObject({
      agent: nameSchema.exactOptional(),
      status: sessionStatusSchema.exactOptional(),
      cursor,
      limit,
    }),
    result: z.strictObject({ sessions: z.array(sessionViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Sessions, newest first',
  },
  'sessions.get': {
    verb: 'GET',
    path: '/sessions/{session}',
    params: inSession,
    result: sessionViewSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'One session',
  },
  'sessions.delete': {
    verb: 'DELETE',
    path: '/sessions/{session}',
    params: inSession,
    result: sessionViewSchema,
    status: [200],
    errors: ['not_found', 'invalid_state'],
    scope: 'write',
    summary: 'Erases the content of a closed session; a tombstone stays',
  },
  'sessions.configure': {
    verb: 'PATCH',
    path: '/sessions/{session}/config',
    params: z.strictObject({ session, ifRevision: z.int().min(0), ...configPatchSchema.shape }),
    result: sessionViewSchema,
    status: [200],
    errors: ['not_found', 'revision_conflict', 'session_closed', 'storage_full'],
    scope: 'write',
    summary: 'Changes the configuration of runs that start from now on, if its revision is still the given one',
  },
  'sessions.close': {
    verb: 'POST',
    path: '/sessions/{session}/close',
    params: inSession,
    result: sessionViewSchema,
    status: [202],
    errors: ['not_found'],
    scope: 'write',
    summary: 'Takes no more messages, cancels what runs, and ends the session',
  },
  'sessions.fork': {
    verb: 'POST',
    path: '/sessions/{session}/fork',
    params: z.strictObject({
      session,
      at: z.int().min(1).exactOptional(),
      config: configPatchSchema.exactOptional(),
      submission,
    }),
    result: z.strictObject({ session: sessionViewSchema, seq }),
    status: [201],
    errors: ['not_found', 'submission_conflict', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary:
      'Makes a session that begins as this one was at a seq, by default now; what was open there ends, and never runs in it',
  },
  'sessions.move': {
    verb: 'POST',
    path: '/sessions/{session}/move',
    params: z.strictObject({ session, to: nameSchema.exactOptional() }),
    result: sessionViewSchema,
    status: [200],
    errors: ['not_found', 'session_closed', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary:
      'Seals the session: here it takes and does nothing more, and its export goes on where it is imported; 409 while something of it is under way, and where it has moved to another place before',
  },
  'sessions.verify': {
    verb: 'GET',
    path: '/sessions/{session}/verify',
    params: inSession,
    result: verificationSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'Reads the whole log of a session again and checks its chain of hashes',
  },
  'data.verify': {
    verb: 'GET',
    path: '/verify',
    params: z.strictObject({}),
    result: verificationSchema,
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Reads all logs again and checks their chains of hashes',
  },
  'sessions.diff': {
    verb: 'GET',
    path: '/sessions/{session}/diff/{other}',
    params: z.strictObject({ session, other: sessionIdSchema }),
    result: sessionDiffSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'Two sessions side by side: how far they are the same, what each did from there, and what that took',
  },
} as const satisfies { [name: string]: Method };
