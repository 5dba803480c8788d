/** Forks: a session that begins as another one was, at the end of one of its appends. */
import type { Params } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Command, Mount } from '@perdure/engine';
import type { Caller } from '../api.ts';
import { shuttingDown } from '../drive/driver.ts';
import { canonicalJson, derivedSessionId, sha256 } from '../log/digest.ts';
import type { Base, Birth } from '../log/prefix.ts';
import { foldPrefix } from '../log/prefix.ts';
import type { StepInput } from '../log/step.ts';
import type { Parts } from '../parts.ts';
import { refused } from '../guard.ts';
import { configOf } from './sends.ts';
import type { Answered, Methods } from './shared.ts';
import { actorOf } from './shared.ts';
import { notFound } from './views.ts';
import { forkMounts, mountsAsKnown } from '../workspaces/forked.ts';
import { TreeMissing } from '../workspaces/workspaces.ts';

export function forkMethods(parts: Parts): Pick<Methods, 'sessions.fork'> {
  return { 'sessions.fork': async (caller, params) => fork(parts, caller, params) };
}

async function fork(parts: Parts, caller: Caller, params: Params<'sessions.fork'>): Answered<'sessions.fork'> {
  const { session, at, config, submission } = params;
  const { tenant, reads } = parts;
  const id = submission === undefined ? parts.newSession() : derivedSessionId(tenant, session, 'fork', submission);
  const bodies = parts.newBodies();
  const payload = sha256(canonicalJson({ at: at ?? null, config: config ?? null }));
  const command: Command = { kind: 'fork', id, tenant, payload };
  if (config !== undefined) command.config = await configOf(config, parts, bodies);
  const fold = async (): Promise<Base> => {
    const base = await foldPrefix(parts.reading, session, at ?? null);
    if (base === null) throw notFound(`session ${session}`);
    return base;
  };
  let known: Base | null = await fold();
  const mounts = config?.mounts === undefined ? await ownMounts(parts, id, known) : [];
  if (mounts.length > 0) command.config = { ...command.config, mounts };
  const base = async (): Promise<Base> => {
    const first = known;
    // Whoever was given it may have changed it.
    known = null;
    return first ?? fold();
  };
  const birth: Birth = { origin: { session }, base };
  const input = { id: submission ?? parts.newId(), by: actorOf(caller), ...bodies.stored, command, birth };
  const seq = await bear(parts, id, input);
  return { status: 201, result: { session: await reads.session(id), seq } };
}

async function ownMounts(parts: Parts, id: string, { state }: Base): Promise<Mount[]> {
  try {
    return await forkMounts(parts, id, mountsAsKnown(state));
  } catch (error) {
    if (!(error instanceof TreeMissing)) throw error;
    throw new ApiError('invalid_state', `what is mounted there is lost, so it cannot be forked: ${error.message}`);
  }
}

/**
 * The first input of a session that begins with frames which are there. No driver brings it: the session is nowhere
 * under way before. Returns the seq of its receipt.
 */
export async function bear(parts: Parts, session: string, input: StepInput): Promise<number> {
  if (parts.stopping.aborted) throw shuttingDown();
  const result = await parts.step(session, input);
  if (!result.ok) throw refused(result.rejection);
  return result.receipt.seq;
}
