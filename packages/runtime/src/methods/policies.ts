/** Documents of rules, and grants. */
import type { Caps, Policies, PolicyRule } from '@perdure/engine';
import type { Parts } from '../parts.ts';
import { rehearse } from '../policy/rehearsal.ts';
import { checkPolicies } from './sends.ts';
import type { Methods } from './shared.ts';
import { ok } from './shared.ts';

type PolicyMethod =
  | 'policies.list'
  | 'policies.get'
  | 'policies.set'
  | 'policies.add'
  | 'policies.remove'
  | 'policies.revoke'
  | 'policies.test';

export function policyMethods({ policies, system, store }: Parts): Pick<Methods, PolicyMethod> {
  return {
    'policies.list': async (_caller, { cursor, limit }) => {
      const found = await policies.list(cursor ?? null, limit);
      const last = found.length === limit ? found.at(-1)?.scope : undefined;
      return ok(last === undefined ? { policies: found } : { policies: found, next: last });
    },
    'policies.get': async (_caller, { scope }) => ok(await policies.get(scope)),
    'policies.set': async (_caller, { scope, rules, ifRevision }) =>
      ok(await policies.set(scope, rules as PolicyRule[], ifRevision)),
    'policies.add': async (_caller, { scope, rule }) => ok(await policies.add(scope, rule as PolicyRule)),
    'policies.remove': async (_caller, { scope, rule }) => ok(await policies.remove(scope, rule)),
    'policies.revoke': async (_caller, { scope, grant }) => ok(await policies.revoke(scope, grant, system.clock.now())),
    'policies.test': async (_caller, { policies: proposed, caps, since, cursor, limit }) => {
      checkPolicies(proposed as Policies);
      const proposal = { policies: proposed as Policies, since, ...(caps === undefined ? {} : { caps: caps as Caps }) };
      return ok(await rehearse(store, proposal, { cursor, limit }));
    },
  };
}
