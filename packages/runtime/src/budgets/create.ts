/** The budgets of a host. */
import type { HostOptions } from '../host.ts';
import type { Parts } from '../parts.ts';
import { Budgets } from './budgets.ts';
import { Parked } from './parked.ts';
import type { PeriodCaps, Scope } from './periods.ts';

type Needed = Pick<Parts, 'store' | 'sessions' | 'holding' | 'newId' | 'submit'>;
type Options = Pick<HostOptions, 'store' | 'system' | 'logger' | 'agents' | 'budgets'>;

/** What is in force, and the runs that wait for it. */
export function createBudgets(options: Options, parts: Needed): Pick<Parts, 'budgets' | 'parked'> {
  return { budgets: budgetsOf(options, parts), parked: parkedOf(options, parts) };
}

function budgetsOf(options: Options, { store }: Needed): Budgets {
  const { system, logger } = options;
  const configured = new Map<Scope, PeriodCaps>();
  if (options.budgets !== undefined) configured.set('tenant', options.budgets);
  for (const { name, budgets } of options.agents) if (budgets !== undefined) configured.set(`agent/${name}`, budgets);
  return new Budgets({
    store,
    clock: system.clock,
    timers: system.timers,
    logger,
    configured,
    shared: options.store.shared,
  });
}

function parkedOf(
  { store: { shared }, system, logger }: Options,
  { store, sessions, holding, newId, submit }: Needed,
): Parked {
  return new Parked({
    log: store.log,
    timers: system.timers,
    logger,
    newId,
    submit,
    stateOf: async (session) =>
      sessions.exclusive(session, async () => {
        const { state } = await sessions.current(session, 0);
        if (state.phase === 'fresh') sessions.drop(session);
        return state.phase === 'fresh' ? null : state;
      }),
    serves: (agent) => holding.serves(agent),
    shared,
  });
}
