/** Rows on documents of rules and on grants. */
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { policyScopeSchema, policyViewSchema } from '../policies.ts';
import { policyRuleSchema } from '../values.ts';
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
} as const satisfies { [name: string]: Method };
