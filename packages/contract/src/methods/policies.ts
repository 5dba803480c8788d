/** Rows on documents of rules and on grants. */
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { policyScopeSchema, policyTestSchema, policyViewSchema } from '../policies.ts';
import { capsSchema, policiesSchema, policyRuleSchema } from '../values.ts';
import { cursor, limit, next } from './method.ts';
import type { Method } from './method.ts';

const scope = policyScopeSchema;
const id = z.string().min(1).max(LIMITS.nameChars);

export const POLICY_METHODS = {
  'policies.list': {
    verb: 'GET',
    path: '/policies',
    params: z.strictObject({ cursor, limit }),
    result: z.strictObject({ policies: z.array(policyViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'The documents of rules and grants: of the tenant, of agents, of sessions',
  },
  'policies.get': {
    verb: 'GET',
    path: '/policies/{scope}',
    params: z.strictObject({ scope }),
    result: policyViewSchema,
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'The rules and grants of one scope; revision 0 where there never were any',
  },
  'policies.set': {
    verb: 'PUT',
    path: '/policies/{scope}',
    params: z.strictObject({
      scope,
      rules: z.array(policyRuleSchema).max(LIMITS.rules),
      ifRevision: z.int().min(0).exactOptional(),
    }),
    result: policyViewSchema,
    status: [200],
    errors: ['revision_conflict', 'storage_full'],
    scope: 'write',
    summary: 'Puts these rules in the place of those of a scope; they count from the next call on. Grants stay',
  },
  'policies.add': {
    verb: 'POST',
    path: '/policies/{scope}/rules',
    params: z.strictObject({ scope, rule: policyRuleSchema }),
    result: policyViewSchema,
    status: [200],
    errors: ['revision_conflict', 'storage_full'],
    scope: 'write',
    summary: 'Adds a rule to a scope; the same rule again changes nothing',
  },
  'policies.remove': {
    verb: 'DELETE',
    path: '/policies/{scope}/rules/{rule}',
    params: z.strictObject({ scope, rule: id }),
    result: policyViewSchema,
    status: [200],
    errors: ['not_found', 'revision_conflict', 'storage_full'],
    scope: 'write',
    summary: 'Takes a rule out of a scope, by its id',
  },
  'policies.revoke': {
    verb: 'DELETE',
    path: '/policies/{scope}/grants/{grant}',
    params: z.strictObject({ scope, grant: id }),
    result: policyViewSchema,
    status: [200],
    errors: ['not_found', 'revision_conflict', 'storage_full'],
    scope: 'write',
    summary: 'Revokes a grant: like calls are asked for again from the next one on',
  },
  'policies.test': {
    verb: 'POST',
    path: '/policy-tests',
    params: z.strictObject({
      policies: policiesSchema,
      /** What one run might have cost, all in all. */
      caps: capsSchema.exactOptional(),
      /** Calls from here on: wall ms. */
      since: z.int().min(0),
      cursor,
      limit: z.int().min(1).max(LIMITS.testedSessions).default(LIMITS.testedSessions),
    }),
    result: policyTestSchema,
    status: [200],
    errors: [],
    scope: 'read',
    summary:
      'Holds proposed rules against the calls that sessions have made, a page of sessions at a time: what they would have blocked, asked for or let pass. Reads only',
  },
} as const satisfies { [name: string]: Method };
