/** Calls that are parked because their tool was gone go on when this process has it. */
import type { Actor, WaitId } from '@perdure/engine';
import type { Parts } from '../parts.ts';
import { LIMITS } from '../limits.ts';
import type { SessionRow, Timer } from '../ports.ts';

const BY: Actor = { kind: 'system', id: 'host' };

export type Homecoming = { start(): Promise<void>; stop(): void };

/**
 * `start` looks through all parked sessions; those that could not be told are told again later. Where processes share the
 * store, another one may park a call for a tool that is here: then all are looked through again and again.
 */
export function createHomecoming(parts: Parts): Homecoming {
  let timer: Timer | null = null;
  let isStopped = false;
  const tell = async (rows: readonly SessionRow[]): Promise<void> => {
    const left: SessionRow[] = [];
    for (const row of rows) if (!(await bringBack(parts, row))) left.push(row);
    if (isStopped) return;
    if (left.length > 0) timer = parts.system.timers.set(LIMITS.sweepMs, () => void tell(left));
    else if (parts.holding.isShared) timer = parts.system.timers.set(LIMITS.homecomingMs, () => void again());
  };
  const again = async (): Promise<void> => {
    try {
      await tell(await parkedSessions(parts));
    } catch (error) {
      parts.logger.warn({ error: String(error) }, 'parked sessions could not be looked through');
      await tell([]);
    }
  };
  return {
    async start() {
      if (parts.agents.list().every(({ definition }) => !parts.holding.serves(definition.name))) return;
      await tell(await parkedSessions(parts));
    },
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}

async function parkedSessions(parts: Parts): Promise<SessionRow[]> {
  const rows: SessionRow[] = [];
  for (const status of ['waiting', 'running'] as const) {
    let cursor: string | undefined;
    do {
      const query = { status, limit: LIMITS.sweepPage };
      const page = await parts.store.log.list(cursor === undefined ? query : { ...query, cursor });
      rows.push(...page.items.filter(({ waits }) => waits.some(({ kind }) => kind === 'tool')));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }
  return rows;
}

/** False where it failed and may succeed later. */
async function bringBack(parts: Parts, row: SessionRow): Promise<boolean> {
  const tools = parts.agents.get(row.agent)?.tools;
  if (tools === undefined || parts.quarantine.has(row.id) || !parts.holding.serves(row.agent)) return true;
  try {
    for (const wait of await parts.reads.waits(row.id)) {
      if (wait.kind !== 'tool' || wait.call === undefined || !tools.has(wait.call.name)) continue;
      const answer = { kind: 'tool', decision: 'back' } as const;
      const command = { kind: 'resolve', wait: wait.id as WaitId, answer, digest: 'back' } as const;
      // A refusal says that somebody else has answered: that is an answer, too.
      await parts.driver.submit(row.id, { id: `back ${wait.id}`, by: BY, bodies: [], command });
    }
    return true;
  } catch (error) {
    parts.logger.warn(
      { session: row.id, error: String(error) },
      'a tool that is back could not be told to its session',
    );
    return false;
  }
}
