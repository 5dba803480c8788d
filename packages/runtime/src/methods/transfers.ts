/** Sealing a session, and reading logs again. Files go in and out by the Api's own calls, as blobs do. */
import type { Verification } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import type { Parts } from '../parts.ts';
import type { DamageReport } from '../ports.ts';
import { StoreDamage } from '../ports.ts';
import type { Methods } from './shared.ts';
import { actorOf, given, ok } from './shared.ts';
import { notFound } from './views.ts';

type TransferMethod = 'sessions.move' | 'sessions.verify' | 'data.verify';

export function transferMethods(parts: Parts): Pick<Methods, TransferMethod> {
  const { store, reads } = parts;
  let underWay = 0;
  /** Each reads whole logs, in a thread of its own. */
  const verify = async (session?: string): Promise<DamageReport[]> => {
    if (underWay >= LIMITS.verifies)
      throw new ApiError('rate_limited', `${underWay} verifications are under way: come back later`, {
        details: { retryMs: LIMITS.retryMs },
      });
    underWay += 1;
    try {
      return await store.log.verify(session);
    } finally {
      underWay -= 1;
    }
  };
  return {
    'sessions.move': async (caller, { session, to }) => {
      // What they changed is told before the log is sealed; where something runs it is not going to be.
      if ((await reads.session(session)).status !== 'running') await parts.jobs.end(session);
      const command = { kind: 'move', ...given({ to }) } as const;
      await parts.submit(session, { id: parts.newId(), by: actorOf(caller), bodies: [], command });
      // They do not move: nobody reads them any more.
      await parts.jobs.end(session);
      return ok(await reads.session(session));
    },
    'sessions.verify': async (_caller, { session }) => {
      const found = await verify(session);
      if (found.length === 0 && !(await isHere(parts, session))) throw notFound(`session ${session}`);
      return ok(told(found));
    },
    'data.verify': async () => ok(told(await verify())),
  };
}

/** What is damaged is here, too. */
async function isHere({ store }: Parts, session: string): Promise<boolean> {
  try {
    return (await store.log.get(session)) !== null;
  } catch (error) {
    if (error instanceof StoreDamage) return true;
    throw error;
  }
}

const told = (found: readonly DamageReport[]): Verification => ({
  damage: found.slice(0, LIMITS.toldDamage),
  more: found.length > LIMITS.toldDamage,
});
