/** Budgets above sessions: what is in force, what is left of it, and how it is changed. */
import type { BudgetView, Params } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { PeriodPatch, Scope } from '../budgets/periods.ts';
import { budgetAt, PERIODS } from '../budgets/periods.ts';
import type { Standing } from '../budgets/budgets.ts';
import { AGENT_NAME } from '../definitions/agents.ts';
import { noticesOfAgent, withNotices } from '../definitions/notices.ts';
import type { Parts } from '../parts.ts';
import type { Methods } from './shared.ts';
import { knownAgents, ok, pageOf } from './shared.ts';
import { notFound } from './views.ts';

export function budgetMethods(parts: Parts): Pick<Methods, 'budgets.list' | 'budgets.set'> {
  const { budgets, parked } = parts;
  return {
    'budgets.list': async (_caller, { scope, name, cursor, limit }) => {
      await budgets.read();
      const wanted = budgets.list().filter((standing) => {
        const whose = whoseOf(standing.scope);
        return (scope ?? whose.scope) === whose.scope && (name ?? whose.name) === whose.name;
      });
      const { items, next } = pageOf(wanted, cursor, limit);
      const views = await Promise.all(items.map(async (standing) => viewOf(parts, standing)));
      return ok(next === undefined ? { budgets: views } : { budgets: views, next });
    },
    'budgets.set': async (_caller, params) => {
      const scope = await scopeOf(parts, params);
      const set = await budgets.set(scope, patchOf(params), params.ifRevision);
      if ('conflict' in set)
        throw new ApiError('revision_conflict', `the budget is at revision ${set.conflict}`, {
          details: { revision: set.conflict },
        });
      await parked.look();
      const { scope: kind, name = '' } = params;
      const notices = kind === 'agent' ? noticesOfAgent(name, knownAgents(parts)) : [];
      return ok(withNotices(await viewOf(parts, set), notices));
    },
  };
}

type Setting = Params<'budgets.set'>;

/** Throws ApiError: `invalid_request` for a name that does not fit, `not_found` for a session that is not here. */
async function scopeOf({ store }: Parts, { scope, name }: Setting): Promise<Scope> {
  const invalid = (message: string): ApiError =>
    new ApiError('invalid_request', message, { details: { path: 'name' } });
  if (scope === 'tenant') {
    if (name !== undefined) throw invalid('the tenant has one budget: it takes no name');
    return scope;
  }
  if (name === undefined) throw invalid(`whose? name the ${scope}`);
  // An agent may be defined in another process: its name alone can be judged here.
  if (scope === 'agent' && !AGENT_NAME.test(name)) throw invalid(`${name} is no name of an agent`);
  if (scope === 'session' && (await store.log.get(name)) === null) throw notFound(`session ${name}`);
  return `${scope}/${name}`;
}

function patchOf(params: Setting): PeriodPatch {
  const patch: PeriodPatch = {};
  for (const period of PERIODS) {
    const given = params[period];
    if (given !== undefined) patch[period] = given ?? { tokens: null, nanoUsd: null };
  }
  return patch;
}

function whoseOf(scope: Scope): { scope: BudgetView['scope']; name?: string } {
  const [kind, name] = scope.split('/');
  if (kind === 'tenant' || name === undefined) return { scope: 'tenant' };
  return { scope: kind === 'agent' ? 'agent' : 'session', name };
}

const NOTHING = { tokens: 0, nanoUsd: 0 };

async function viewOf({ store, system }: Parts, { scope, caps, revision }: Standing): Promise<BudgetView> {
  const { accounts } = budgetAt(scope, caps, system.clock.now());
  const rows = await store.log.accounts(accounts.map(({ id }) => id));
  return {
    ...whoseOf(scope),
    source: revision === 0 ? 'configuration' : 'document',
    revision,
    periods: accounts.map(({ id, endsAt }, at) => {
      const row = rows.find((each) => each.id === id);
      const period = PERIODS[at] ?? 'total';
      const { spent, reserved } = row ?? { spent: NOTHING, reserved: NOTHING };
      return { period, account: id, cap: caps[period] ?? {}, spent, reserved, endsAt };
    }),
  };
}
