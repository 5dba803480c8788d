import type { NodeView } from '@perdure/contract';
import { agentsOf, GATEWAYS, NODES } from '../drive/node-leases.ts';
import type { Parts } from '../parts.ts';
import type { HeldLease } from '../ports.ts';
import { sessionLease } from '../ports.ts';
import type { Methods } from './shared.ts';
import { ok, pageOf } from './shared.ts';

export function nodeMethods({ store, holding }: Parts): Pick<Methods, 'nodes.list'> {
  return {
    'nodes.list': async (_caller, { cursor, limit }) => {
      if (!holding.isShared) return ok({ shared: false, nodes: [] });
      const { leases } = store;
      const [workers, gateways] = await Promise.all([leases.list(NODES), leases.list(GATEWAYS)]);
      const held = workers.length === 0 ? [] : await leases.list(sessionLease(''));
      const counts = Map.groupBy(held, ({ holder }) => holder);
      const all = [
        ...workers.map((lease) => nodeView('worker', lease, counts.get(lease.name)?.length ?? 0)),
        ...gateways.map((lease) => nodeView('gateway', lease, 0)),
      ];
      const { items: nodes, next } = pageOf(all, cursor, limit);
      return ok(next === undefined ? { shared: true, nodes } : { shared: true, nodes, next });
    },
  };
}

/** Whether a process that lives works on this agent's sessions. */
export async function isServed({ store, holding }: Parts, agent: string): Promise<boolean> {
  if (!holding.isShared) return true;
  const workers = await store.leases.list(NODES);
  return workers.some(({ name }) => agentsOf(name)?.includes(agent) ?? true);
}

function nodeView(role: NodeView['role'], { name, address }: HeldLease, sessions: number): NodeView {
  const agents = role === 'worker' ? agentsOf(name) : null;
  return {
    name,
    role,
    ...(address === null ? {} : { address }),
    ...(agents === null ? {} : { agents }),
    sessions,
  };
}
