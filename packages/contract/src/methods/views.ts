/** Rows on what is read: folds, waits, definitions. */
import { z } from 'zod';
import { explanationSchema, foundSchema, messageSchema, spanSchema } from '../folded.ts';
import { LIMITS } from '../limits.ts';
import { answerSchema } from '../params.ts';
import { entrySchema } from '../stream.ts';
import { nameSchema, runIdSchema, waitIdSchema } from '../values.ts';
import { agentViewSchema, modelViewSchema, receiptSchema, turnRequestSchema, waitViewSchema } from '../views.ts';
import { cursor, limit, next, seq, session, onRun } from './method.ts';
import type { Method } from './method.ts';

export const VIEW_METHODS = {
  'turns.request': {
    verb: 'GET',
    path: '/sessions/{session}/runs/{run}/turns/{n}/request',
    params: z.strictObject({ session, run: runIdSchema, n: z.int().min(1).max(LIMITS.turns) }),
    result: turnRequestSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'Exactly what the model was sent in one turn',
  },
  'events.list': {
    verb: 'GET',
    path: '/sessions/{session}/events',
    params: z.strictObject({
      session,
      after: z.int().min(0).default(0),
      limit,
      waitMs: z.int().min(0).max(LIMITS.waitMaxMs).default(0),
    }),
    result: z.strictObject({ events: z.array(entrySchema), next: seq, head: seq }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'Entries after a seq; with waitMs it waits that long for the first one',
  },
  'messages.list': {
    verb: 'GET',
    path: '/sessions/{session}/messages',
    params: z.strictObject({ session, cursor, limit }),
    result: z.strictObject({ messages: z.array(messageSchema), next }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'The transcript: messages with their tool steps, oldest first',
  },
  'messages.search': {
    verb: 'GET',
    path: '/search',
    params: z.strictObject({
      q: z.string().min(1).max(LIMITS.searchChars),
      agent: nameSchema.exactOptional(),
      cursor,
      limit,
    }),
    result: z.strictObject({ hits: z.array(foundSchema), next, behind: z.literal(true).exactOptional() }),
    status: [200],
    errors: [],
    scope: 'read',
    summary:
      'Searches what was said in all sessions, newest first: every word, and "words in quotes" that follow each other; behind says that the index is still being made',
  },
  'trace.get': {
    verb: 'GET',
    path: '/sessions/{session}/trace',
    params: z.strictObject({ session, run: runIdSchema.exactOptional(), cursor, limit }),
    result: z.strictObject({ spans: z.array(spanSchema), next }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'Spans of the session, or of one run, with time, tokens and money, in the order they began',
  },
  'explain.get': {
    verb: 'GET',
    path: '/sessions/{session}/runs/{run}/explain',
    params: onRun,
    result: explanationSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'What a run is doing or waits for, why, and what to do about it',
  },
  'waits.list': {
    verb: 'GET',
    path: '/sessions/{session}/waits',
    params: z.strictObject({ session, cursor, limit }),
    result: z.strictObject({ waits: z.array(waitViewSchema), next }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'Open waits, with what is needed to answer them',
  },
  'waits.resolve': {
    verb: 'POST',
    path: '/sessions/{session}/waits/{wait}',
    params: z.strictObject({ session, wait: waitIdSchema, answer: answerSchema }),
    body: 'answer',
    result: receiptSchema,
    status: [202],
    errors: ['not_found', 'wait_resolved', 'storage_full'],
    scope: 'write',
    summary: 'Answers a wait: an approval, a question, the outcome of an unknown effect, a budget, a missing tool',
  },
  'callbacks.resolve': {
    verb: 'POST',
    path: '/callbacks/{token}',
    params: z.strictObject({ token: z.string().min(1).max(LIMITS.tokenChars), payload: z.unknown() }),
    body: 'payload',
    result: receiptSchema,
    status: [202],
    errors: ['not_found', 'wait_resolved', 'storage_full'],
    scope: 'write',
    summary:
      'Delivers the result that a call waits for: any JSON; its token says which call, and is the only credential it needs',
    open: true,
  },
  'agents.list': {
    verb: 'GET',
    path: '/agents',
    params: z.strictObject({ cursor, limit }),
    result: z.strictObject({ agents: z.array(agentViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'The agents that are defined here, by name',
  },
  'agents.get': {
    verb: 'GET',
    path: '/agents/{name}',
    params: z.strictObject({ name: nameSchema }),
    result: agentViewSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'One agent with its tools, limits and policies',
  },
  'models.list': {
    verb: 'GET',
    path: '/models',
    params: z.strictObject({ cursor, limit }),
    result: z.strictObject({ models: z.array(modelViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'The models that are known here, with windows and prices',
  },
} as const satisfies { [name: string]: Method };
