/** The rows of the table that are not answered as one JSON document: event streams and bytes. */
import { z } from 'zod';
import { LIMITS } from './limits.ts';
import type { Method } from './methods.ts';
import { blobDigestSchema, nameSchema, sessionIdSchema } from './values.ts';

export type Channel = Omit<Method, 'result'> & { mode: 'stream' | 'binary'; description: string };

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
} as const satisfies { [name: string]: Channel };
export type ChannelName = keyof typeof CHANNELS;
