/** The jobs of a host. */
import { ApiError } from '@perdure/contract';
import type { Actor, CallId, Command } from '@perdure/engine';
import type { HostOptions } from '../host.ts';
import type { Parts } from '../parts.ts';
import { JobChanges } from './changes.ts';
import { Jobs } from './jobs.ts';

const SLOT = 'jobs';
const BY: Actor = { kind: 'system', id: 'jobs' };

/** A session hears of its jobs by a context slot that the system sets. */
export function createJobs(
  { store: { shared }, system, logger, redactor }: Pick<HostOptions, 'store' | 'system' | 'logger' | 'redactor'>,
  parts: Pick<Parts, 'sandbox' | 'store' | 'workspaces' | 'tenant' | 'newId' | 'newBodies' | 'submit'>,
): Jobs {
  const { docs, blobs } = parts.store;
  const { clock, timers } = system;
  const process = parts.newId();
  const { workspaces, tenant } = parts;
  return new Jobs({
    sandbox: parts.sandbox,
    docs,
    blobs,
    timers,
    logger,
    process,
    shared,
    changes: new JobChanges({
      docs,
      workspaces,
      tenant,
      clock,
      timers,
      logger,
      process,
      shared,
      async record(session, call, changes) {
        try {
          const command: Command = { kind: 'changed', effect: call as CallId, changes };
          await parts.submit(session, { id: parts.newId(), by: BY, bodies: [], command });
          return true;
        } catch (error) {
          // It was deleted, or has moved.
          if (error instanceof ApiError && (error.code === 'not_found' || error.code === 'session_closed'))
            return false;
          throw error;
        }
      },
    }),
    clean: (text) => redactor.text(text),
    async tell(session, content) {
      const bodies = parts.newBodies();
      const command: Command = { kind: 'remember', key: SLOT, ref: bodies.add(content) };
      await parts.submit(session, { id: parts.newId(), by: BY, ...bodies.stored, command });
    },
  });
}
