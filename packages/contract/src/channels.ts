/** The rows of the table that are not answered as one JSON document: event streams and bytes. */
import { z } from 'zod';
import { LIMITS } from './limits.ts';
import type { Method } from './methods.ts';
import { sessionViewSchema } from './views.ts';
import { blobDigestSchema, nameSchema, sessionIdSchema } from './values.ts';

export type Channel = Omit<Method, 'result'> & {
  mode: 'stream' | 'binary';
  description: string;
  /** Of `binary`: what comes back as JSON, where it is not bytes; the type of the bytes otherwise. */
  answer?: z.ZodType;
  content?: string;
};

export const CHANNELS = {
  'events.stream': {
    mode: 'stream',
    verb: 'GET',
    path: '/sessions/{session}/events',
    params: z.strictObject({
      session: sessionIdSchema,
      after: z.int().min(0).default(0),
      deltas: z.boolean().default(true),
    }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'The same address as events.list with Accept: text/event-stream: entries, then live',
    description:
      'Entries have the kind as event and the seq as id; Last-Event-ID wins over after. delta, caught-up, resync and end have no id.',
  },
  'feed.stream': {
    mode: 'stream',
    verb: 'GET',
    path: '/events',
    params: z.strictObject({
      after: z.string().min(1).max(LIMITS.cursorChars).exactOptional(),
      agent: nameSchema.exactOptional(),
    }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Where the log of each session stands, then each change: one stream over all sessions',
    description: 'Events are change (its id is the feed’s cursor), caught-up, resync and end.',
  },
  'blobs.put': {
    mode: 'binary',
    verb: 'POST',
    path: '/blobs',
    params: z.strictObject({}),
    answer: z.strictObject({ digest: blobDigestSchema, bytes: z.int() }),
    status: [201],
    errors: ['storage_full'],
    scope: 'write',
    summary: 'Stores bytes; answers {digest, bytes}',
    description: 'The same bytes give the same digest. A blob that nothing refers to is collected after a day.',
  },
  'blobs.get': {
    mode: 'binary',
    verb: 'GET',
    path: '/blobs/{digest}',
    params: z.strictObject({ digest: blobDigestSchema }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'The bytes of a blob; HEAD says only whether it is there and how long it is',
    description: 'What a digest names never changes: the answer may be cached for ever.',
  },
  'sessions.export': {
    mode: 'binary',
    verb: 'GET',
    path: '/sessions/{session}/export',
    params: z.strictObject({ session: sessionIdSchema }),
    content: 'application/jsonl',
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'The session as a file: its log as it stands, with everything its entries name',
    description:
      'JSON lines, ending with a sum over all of them: a file without it was cut, and is refused by an import.',
  },
  'sessions.import': {
    mode: 'binary',
    verb: 'POST',
    path: '/import',
    params: z.strictObject({}),
    answer: z.strictObject({ session: sessionViewSchema, seq: z.int() }),
    status: [201],
    errors: ['invalid_state', 'storage_full'],
    scope: 'write',
    summary: 'Brings an exported session: a sealed one goes on here, any other becomes a fork; answers {session, seq}',
    description:
      'The file is checked whole before anything is written. A sealed session that is here already is refused.',
  },
} as const satisfies { [name: string]: Channel };
export type ChannelName = keyof typeof CHANNELS;
