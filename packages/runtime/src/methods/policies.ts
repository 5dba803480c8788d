/** Documents of rules, and grants. */
import type { PolicyView } from '@perdure/contract';
import type { Caps, Policies, PolicyRule } from '@perdure/engine';
import { noticesOfAgent, noticesOfRule, withNotices } from '../definitions/notices.ts';
import type { Parts } from '../parts.ts';
import { rehearse } from '../policy/rehearsal.ts';
import { checkPolicies } from './sends.ts';
import type { Methods } from './shared.ts';
import { knownAgents, ok } from './shared.ts';
import { existing, notFound } from './views.ts';

type PolicyMethod =
  | 'policies.list'
  | 'policies.get'
  | 'policies.set'
  | 'policies.add'
  | 'policies.remove'
  | 'policies.revoke'
  | 'policies.test';

export function policyMethods(parts: Parts): Pick<Methods, PolicyMethod> {
  const { policies, system, store } = parts;
  return {
    'policies.list': async (_caller, { cursor, limit }) => {
      const found = await policies.list(cursor ?? null, limit);
      const last = found.length === limit ? found.at(-1)?.scope : undefined;
      return ok(last === undefined ? { policies: found } : { policies: found, next: last });
    },
    'policies.get': async (_caller, { scope }) => ok(await policies.get(scope)),
    'policies.set': async (_caller, { scope, rules, ifRevision }) => {
      const agent = await agentOf(parts, scope);
      const view = await policies.set(scope, rules as PolicyRule[], { ifRevision, at: system.clock.now() });
      return ok(noticed(parts, view, agent, rules as PolicyRule[]));
    },
    'policies.add': async (_caller, { scope, rule }) => {
      const agent = await agentOf(parts, scope);
      const view = await policies.add(scope, rule as PolicyRule, system.clock.now());
      return ok(noticed(parts, view, agent, [rule as PolicyRule]));
    },
    'policies.remove': async (_caller, { scope, rule }) => ok(await policies.remove(scope, rule)),
    'policies.revoke': async (_caller, { scope, grant }) => ok(await policies.revoke(scope, grant, system.clock.now())),
    'policies.test': async (_caller, { policies: proposed, caps, since, cursor, limit }) => {
      checkPolicies(proposed as Policies);
      const proposal = { policies: proposed as Policies, since, ...(caps === undefined ? {} : { caps: caps as Caps }) };
      return ok(await rehearse(store, proposal, { cursor, limit }));
    },
  };
}

/** Whose calls the rules of a scope are for; null: those of all agents. Throws `not_found` for a session that is not here. */
async function agentOf({ store, sessions }: Parts, scope: string): Promise<string | null> {
  const [kind, name] = scope.split(':');
  if (kind === 'tenant' || name === undefined) return null;
  if (kind === 'agent') return name;
  if ((await store.log.get(name)) === null) throw notFound(`session ${name}`);
  return sessions.exclusive(name, async () => (await existing(sessions, name)).state.agent);
}

function noticed(parts: Parts, view: PolicyView, agent: string | null, rules: readonly PolicyRule[]): PolicyView {
  const agents = knownAgents(parts);
  const ofAgent = agent === null ? [] : noticesOfAgent(agent, agents);
  return withNotices(view, [...new Set([...ofAgent, ...rules.flatMap((rule) => noticesOfRule(rule, agent, agents))])]);
}
