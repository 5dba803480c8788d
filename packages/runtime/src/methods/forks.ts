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
import { LIMITS } from '../limits.ts';
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

/**
 * A fork has workspaces of its own, each as the session it comes from knew it at that place: mounted, or last changed by
 * itself. Nobody else's work is in them, and nothing it does is seen by others. Asked for again, they are the same ones.
 */
async function ownMounts({ workspaces }: Parts, id: string, { state }: Base): Promise<Mount[]> {
  const mounts: Mount[] = [];
  for (const mount of state.config.mounts ?? []) {
    const tree = state.trees.get(mount.workspace) ?? mount.tree;
    const base = mount.workspace.replace(/-fork-[0-9a-z]+$/, '').slice(0, LIMITS.forkedNameChars);
    const workspace = `${base.replace(/[._-]+$/, '')}-fork-${id.slice(-LIMITS.forkedSuffixChars).toLowerCase()}`;
    const key = `fork ${id}`;
    try {
      const moved = await workspaces.move(workspace, { from: null, to: tree, key, origin: `fork ${id}` });
      if (!moved.ok) throw new ApiError('invalid_state', `there is a workspace ${workspace} already`);
    } catch (error) {
      if (!(error instanceof TreeMissing)) throw error;
      throw new ApiError('invalid_state', `workspace ${mount.workspace} cannot be forked: ${error.message}`);
    }
    mounts.push({ ...mount, workspace, tree });
  }
  return mounts;
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
