/** Rows on context slots: catalogs that every request of a session carries, each under its key. */
import { z } from 'zod';
import { contextSlotSchema, slotKeySchema } from '../context.ts';
import { LIMITS } from '../limits.ts';
import { sessionViewSchema } from '../views.ts';
import { cursor, inSession, limit, next, seq, session } from './method.ts';
import type { Method } from './method.ts';

const key = slotKeySchema;
/** Only where the slot is at this revision; 0: only where there is none. */
const ifRevision = z.int().min(0).exactOptional();

export const CONTEXT_METHODS = {
  'context.list': {
    verb: 'GET',
    path: '/sessions/{session}/context',
    params: z.strictObject({ session, cursor, limit }),
    result: z.strictObject({ slots: z.array(contextSlotSchema), next }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'The context slots of a session, in the order a model reads them',
  },
  'context.get': {
    verb: 'GET',
    path: '/sessions/{session}/context/{key}',
    params: z.strictObject({ session, key }),
    result: contextSlotSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'One context slot',
  },
  'context.set': {
    verb: 'PUT',
    path: '/sessions/{session}/context/{key}',
    params: z.strictObject({ session, key, content: z.string().min(1).max(LIMITS.slotChars), ifRevision }),
    result: contextSlotSchema,
    status: [200],
    errors: ['not_found', 'revision_conflict', 'session_closed', 'storage_full'],
    scope: 'write',
    summary:
      'Sets a context slot: every request from the next turn on carries it; the same content again changes nothing',
  },
  'context.delete': {
    verb: 'DELETE',
    path: '/sessions/{session}/context/{key}',
    params: z.strictObject({ session, key, ifRevision }),
    result: z.strictObject({ seq }),
    status: [200],
    errors: ['not_found', 'revision_conflict', 'session_closed', 'storage_full'],
    scope: 'write',
    summary: 'Takes a context slot away: no request from the next turn on carries it',
  },
  'context.compact': {
    verb: 'POST',
    path: '/sessions/{session}/compact',
    params: inSession,
    result: z.strictObject({ session: sessionViewSchema, seq }),
    status: [202],
    errors: ['not_found', 'invalid_state', 'session_closed', 'storage_full'],
    scope: 'write',
    summary:
      'Has the conversation so far summarised, at the next boundary between two turns; the log keeps it. What became of it is said by `compaction.settled`',
  },
} as const satisfies { [name: string]: Method };
