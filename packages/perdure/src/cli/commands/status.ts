/** Which server commands talk to, and what it has to do. */
import type { NodeView } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import { connected, serverOf } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print, printJson, table } from '../output.ts';

export const status: Run = async (context) => {
  const { client } = await connected(context);
  const server = await serverOf(context);
  const { ready, reason } = await readiness(client.url);
  const { agents } = await client.call('agents.list', { limit: 1_000 });
  const count = async (of: 'running' | 'waiting' | 'quarantined'): Promise<number> =>
    (await client.call('sessions.list', { status: of, limit: 1_000 })).sessions.length;
  const sessions = {
    running: await count('running'),
    waiting: await count('waiting'),
    quarantined: await count('quarantined'),
  };
  const names = agents.map(({ name }) => name);
  const { shared, nodes } = await client.call('nodes.list', { limit: 1_000 });
  const isTaken = (agent: string): boolean =>
    nodes.some((node) => node.role === 'worker' && (node.agents?.includes(agent) ?? true));
  const unserved = shared ? names.filter((agent) => !isTaken(agent)) : [];
  if (isJson(context))
    printJson({
      url: client.url,
      why: server?.why,
      ready,
      ...(reason === undefined ? {} : { reason }),
      agents: names,
      sessions,
      ...(shared ? { nodes, unserved } : {}),
    });
  else
    print(
      table([
        ['server', `${client.url} (${server?.why ?? ''})`],
        ['ready', ready ? 'yes' : `no: ${reason ?? 'it does not say why'}`],
        ['agents', names.join(', ')],
        ['sessions', `${sessions.running} running, ${sessions.waiting} waiting, ${sessions.quarantined} quarantined`],
        ...nodes.map((node) => [node.role, nodeLine(node)]),
        ...(unserved.length === 0
          ? []
          : [['no worker', `takes ${unserved.join(', ')}: what is asked of them waits until perdure worker runs`]]),
      ]),
    );
  return ready ? EXIT.ok : EXIT.failed;
};

/** Whoever is listed here has a lease that lives. */
function nodeLine({ name, role, address, agents, sessions }: NodeView): string {
  const work = role === 'gateway' ? [] : [`agents ${agents?.join(', ') ?? 'all'}`, `holds ${sessions} sessions`];
  return [name, address ?? 'not reached by others', ...work].join(', ');
}

async function readiness(url: string): Promise<{ ready: boolean; reason?: string }> {
  try {
    const response = await fetch(new URL('/health/ready', url), { signal: AbortSignal.timeout(LIMITS.livenessMs) });
    return (await response.json()) as { ready: boolean; reason?: string };
  } catch (error) {
    return { ready: false, reason: String(error) };
  }
}
