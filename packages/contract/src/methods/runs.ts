/** Rows on runs. */
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { configPatchSchema, inputSchema } from '../params.ts';
import { nameSchema, runStatusSchema } from '../values.ts';
import { runViewSchema, sessionViewSchema } from '../views.ts';
import { cursor, limit, submission, next, seq, session, onRun, accepted } from './method.ts';
import type { Method } from './method.ts';

export const RUN_METHODS = {
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
