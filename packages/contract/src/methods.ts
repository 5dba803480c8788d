/**
 * The table of methods. One row yields the route, the OpenAPI operation and the typed client's method; whatever else
 * speaks Perdure is made from it too. `params` merges what stands in the path, the query and the body: names in braces
 * are in the path; of the rest, GET and DELETE take them from the query, POST and PATCH from the body (`body` names the
 * one parameter that is the whole body).
 */
import { z } from 'zod';
import type { ErrorCode } from './errors.ts';
import { explanationSchema, messageSchema, spanSchema } from './folded.ts';
import { LIMITS } from './limits.ts';
import { answerSchema, configPatchSchema, inputSchema } from './params.ts';
import { entrySchema } from './stream.ts';
import {
  nameSchema,
  runIdSchema,
  runStatusSchema,
  sessionIdSchema,
  sessionStatusSchema,
  waitIdSchema,
} from './values.ts';
import {
  agentViewSchema,
  modelViewSchema,
  receiptSchema,
  runViewSchema,
  sessionViewSchema,
  turnRequestSchema,
  waitViewSchema,
} from './views.ts';

export type Verb = 'GET' | 'POST' | 'PATCH' | 'DELETE';
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

const cursor = z.string().min(1).max(LIMITS.cursorChars).exactOptional();
const limit = z.int().min(1).max(LIMITS.listMax).default(LIMITS.listDefault);
const submission = z.string().min(1).max(LIMITS.submissionChars).exactOptional();
const next = z.string().exactOptional();
const seq = z.int().min(0);

const session = sessionIdSchema;
const inSession = z.strictObject({ session });
const onRun = z.strictObject({ session, run: runIdSchema });
const accepted = z.strictObject({ session: sessionViewSchema, run: runViewSchema, seq });

const SESSION_METHODS = {
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
} as const satisfies { [name: string]: Method };

const RUN_METHODS = {
  'runs.start': {
    verb: 'POST',
    path: '/sessions/{session}/runs',
    params: z.strictObject({
      session,
      input: inputSchema,
      mode: z.enum(['queue', 'steer', 'interrupt']).default('queue'),
      submission,
      priority: z.int().min(-LIMITS.priorityMax).max(LIMITS.priorityMax).default(0),
      config: configPatchSchema.exactOptional(),
    }),
    result: z.strictObject({ run: runViewSchema, seq }),
    status: [202],
    errors: ['not_found', 'submission_conflict', 'session_closed', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary:
      'Sends a message: it waits its turn (queue), joins the run at its next turn (steer), or replaces it (interrupt)',
  },
  'runs.get': {
    verb: 'GET',
    path: '/sessions/{session}/runs/{run}',
    params: onRun,
    result: runViewSchema,
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'One run of a session',
  },
  'runs.cancel': {
    verb: 'POST',
    path: '/sessions/{session}/runs/{run}/cancel',
    params: onRun,
    result: runViewSchema,
    status: [202],
    errors: ['not_found', 'invalid_state'],
    scope: 'write',
    summary: 'Cancels a run: nothing more is sent out for it from here on',
  },
  'runs.hold': {
    verb: 'POST',
    path: '/sessions/{session}/runs/{run}/hold',
    params: onRun,
    result: runViewSchema,
    status: [202],
    errors: ['not_found', 'invalid_state'],
    scope: 'write',
    summary: 'Holds a run before its next step',
  },
  'runs.release': {
    verb: 'POST',
    path: '/sessions/{session}/runs/{run}/release',
    params: onRun,
    result: runViewSchema,
    status: [202],
    errors: ['not_found', 'invalid_state'],
    scope: 'write',
    summary: 'Lets a held run go on',
  },
  'runs.unqueue': {
    verb: 'POST',
    path: '/sessions/{session}/runs/{run}/unqueue',
    params: onRun,
    result: runViewSchema,
    status: [202],
    errors: ['not_found', 'invalid_state'],
    scope: 'write',
    summary: 'Takes a run out of the queue, as long as it has not started',
  },
  'runs.create': {
    verb: 'POST',
    path: '/runs',
    params: z
      .strictObject({
        agent: nameSchema.exactOptional(),
        input: inputSchema,
        submission,
        config: configPatchSchema.exactOptional(),
        wait: z.boolean().default(false),
        timeoutMs: z.int().min(1).max(LIMITS.runWaitMaxMs).exactOptional(),
      })
      .refine((params) => params.wait || params.timeoutMs === undefined, {
        path: ['timeoutMs'],
        error: 'counts only with wait: true',
      }),
    result: accepted,
    status: [202, 200],
    errors: ['not_found', 'submission_conflict', 'storage_full'],
    scope: 'write',
    summary:
      'Opens a session for one message; with wait it answers 200 at the end, or 202 when the time is up or a person is needed',
  },
  'runs.list': {
    verb: 'GET',
    path: '/runs',
    params: z.strictObject({
      status: runStatusSchema.exactOptional(),
      agent: nameSchema.exactOptional(),
      cursor,
      limit,
    }),
    result: z.strictObject({ runs: z.array(runViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Runs of all sessions, newest first',
  },
  'runs.find': {
    verb: 'GET',
    path: '/runs/{session}.{run}',
    params: onRun,
    result: z.strictObject({ session: sessionViewSchema, run: runViewSchema }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'A run by its full name, with its session',
  },
} as const satisfies { [name: string]: Method };

const VIEW_METHODS = {
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
    summary: 'Delivers the result that a call waits for: any JSON; the token says which call',
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

export const METHODS = { ...SESSION_METHODS, ...RUN_METHODS, ...VIEW_METHODS };
export type MethodName = keyof typeof METHODS;
/** What a method's handler is given: defaults are in. */
export type Params<K extends MethodName> = z.output<(typeof METHODS)[K]['params']>;
/** What a caller writes: what has a default may be left out. */
export type ParamsInput<K extends MethodName> = z.input<(typeof METHODS)[K]['params']>;
export type Result<K extends MethodName> = z.output<(typeof METHODS)[K]['result']>;

/** The names in a path's braces, in order. */
export function pathParams(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}
