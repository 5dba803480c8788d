/** The jobs of a host. */
import type { Actor, Command } from '@perdure/engine';
import type { HostOptions } from '../host.ts';
import type { Parts } from '../parts.ts';
import { Jobs } from './jobs.ts';

const SLOT = 'jobs';
const BY: Actor = { kind: 'system', id: 'jobs' };

/** A session hears of its jobs by a context slot that the system sets. */
export function createJobs(
  { store: { shared }, system, logger, redactor }: Pick<HostOptions, 'store' | 'system' | 'logger' | 'redactor'>,
  parts: Pick<Parts, 'sandbox' | 'store' | 'newId' | 'newBodies' | 'submit'>,
): Jobs {
  const { docs, blobs } = parts.store;
  return new Jobs({
    sandbox: parts.sandbox,
    docs,
    blobs,
    timers: system.timers,
    logger,
    process: parts.newId(),
    shared,
    clean: (text) => redactor.text(text),
    async tell(session, content) {
      const bodies = parts.newBodies();
      const command: Command = { kind: 'remember', key: SLOT, ref: await bodies.add(content) };
      await parts.submit(session, { id: parts.newId(), by: BY, ...bodies.stored, command });
    },
  });
}
