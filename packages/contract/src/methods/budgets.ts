/** Rows on budgets above sessions: what the tenant, an agent or one session may spend in a period. */
import { z } from 'zod';
import { budgetScopeSchema, budgetViewSchema, periodPatchSchema } from '../budgets.ts';
import { nameSchema, sessionIdSchema } from '../values.ts';
import { cursor, limit, next } from './method.ts';
import type { Method } from './method.ts';

/** The agent's name or the session's id; of the tenant there is one. */
const name = z.union([nameSchema, sessionIdSchema]).exactOptional();

export const BUDGET_METHODS = {
  'budgets.list': {
    verb: 'GET',
    path: '/budgets',
    params: z.strictObject({ scope: budgetScopeSchema.exactOptional(), name, cursor, limit }),
    result: z.strictObject({ budgets: z.array(budgetViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'The budgets that cap anything, with what is spent and reserved in the present periods',
  },
  'budgets.set': {
    verb: 'PUT',
    path: '/budgets',
    params: z.strictObject({
      scope: budgetScopeSchema,
      name,
      day: periodPatchSchema,
      month: periodPatchSchema,
      total: periodPatchSchema,
      ifRevision: z.int().min(0).exactOptional(),
    }),
    result: budgetViewSchema,
    status: [200],
    errors: ['not_found', 'revision_conflict', 'storage_full'],
    scope: 'write',
    summary:
      'Changes a budget: caps that are named are set, or lifted with null, the others stay. Runs that waited for room go on',
  },
} as const satisfies { [name: string]: Method };
