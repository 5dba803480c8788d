import type { Params } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { OpenSession } from '@perdure/engine';
import type { Caller } from '../api.ts';
import { derivedSessionId } from '../digest.ts';
import type { Parts } from '../host.ts';
import { createBodies } from '../perform.ts';
import { agentFor, configOf, sendInput } from '../sends.ts';
import { KeyTaken } from '../step.ts';
import type { Answered, Methods } from './shared.ts';
import { actorOf, checkAgentModel, given, ok } from './shared.ts';

type SessionMethod =
  | 'sessions.create'
  | 'sessions.list'
  | 'sessions.get'
  | 'sessions.delete'
  | 'sessions.configure'
  | 'sessions.close';

export function sessionMethods(parts: Parts): Pick<Methods, SessionMethod> {
  const { reads, store, models, system } = parts;
  return {
    'sessions.create': async (caller, params) => createSession(parts, caller, params),
    'sessions.list': async (_caller, { agent, status, cursor, limit }) => {
      if (status === 'quarantined') {
        const sessions = await Promise.all(
          parts.quarantine
            .list()
            .slice(0, limit)
            .map(async ({ session }) => reads.session(session)),
        );
        return ok({ sessions: sessions.filter((session) => agent === undefined || session.agent === agent) });
      }
      const page = await store.log.list({ limit, ...given({ agent, status, cursor }) });
      const sessions = await Promise.all(page.items.map(async (row) => reads.sessionRow(row)));
      return ok(page.next === null ? { sessions } : { sessions, next: page.next });
    },
    'sessions.get': async (_caller, { session }) => ok(await reads.session(session)),
    'sessions.delete': async (_caller, { session }) => {
      const view = await reads.session(session);
      if (view.status !== 'closed')
        throw new ApiError('invalid_state', `session ${session} is ${view.status}: close it first`);
      await parts.sessions.exclusive(session, async () => {
        parts.sessions.drop(session);
        await store.log.delete(session);
      });
      parts.streams.end({ type: 'end', reason: 'closed' }, session);
      return ok(view);
    },
    'sessions.configure': async (caller, { session, ifRevision, ...patch }) => {
      const bodies = createBodies(store, system.random);
      const config = await configOf(patch, models, bodies);
      await parts.submit(session, {
        id: parts.newId(),
        by: actorOf(caller),
        bodies: bodies.list,
        command: { kind: 'configure', ifRevision, config },
      });
      return ok(await reads.session(session));
    },
    'sessions.close': async (caller, { session }) => {
      await parts.submit(session, { id: parts.newId(), by: actorOf(caller), bodies: [], command: { kind: 'close' } });
      return { status: 202, result: await reads.session(session) };
    },
  };
}

/** `id`: of a session that a program in this process named before its first message. */
export async function createSession(
  parts: Parts,
  caller: Caller,
  params: Params<'sessions.create'>,
  named?: string,
): Answered<'sessions.create'> {
  const { store, reads } = parts;
  const agent = agentFor(parts.agents, params.agent);
  checkAgentModel(parts, agent, params.config?.model);
  const found = params.key === undefined ? null : await store.log.find(params.key);
  if (found !== null) return intoExisting(parts, caller, params, found.id);
  const submission = params.submission ?? parts.newId();
  const id =
    params.submission === undefined ? (named ?? parts.newSession()) : derivedSessionId(parts.tenant, submission);
  const bodies = createBodies(store, parts.system.random);
  const open: OpenSession = { id, tenant: parts.tenant, agent };
  if (params.key !== undefined) open.key = params.key;
  if (params.config !== undefined) open.config = await configOf(params.config, parts.models, bodies);
  try {
    if (params.input === undefined) {
      const { receipt } = await parts.submit(id, {
        id: submission,
        by: actorOf(caller),
        bodies: bodies.list,
        command: { kind: 'open', ...open },
      });
      return { status: 201, result: { session: await reads.session(id), seq: receipt.seq } };
    }
    const message = { input: params.input, submission, mode: 'queue' as const, priority: 0, config: undefined, open };
    const { receipt } = await parts.submit(id, await sendInput(message, bodies, actorOf(caller), parts.models));
    return {
      status: 201,
      result: { session: await reads.session(id), run: await reads.run(id, receipt.run ?? ''), seq: receipt.seq },
    };
  } catch (error) {
    // Two callers opened the same key at once: the other one's session is the one.
    if (error instanceof KeyTaken) return intoExisting(parts, caller, params, error.session);
    throw error;
  }
}

/** A key finds its session; a first message that comes with it is sent there. The replay of an opening is an opening. */
async function intoExisting(
  parts: Parts,
  caller: Caller,
  params: Params<'sessions.create'>,
  id: string,
): Answered<'sessions.create'> {
  const { reads } = parts;
  const session = await reads.session(id);
  if (params.agent !== undefined && params.agent !== session.agent) {
    throw new ApiError('invalid_state', `the session with key ${params.key ?? ''} is with agent ${session.agent}`, {
      details: { session: id },
    });
  }
  const opened = params.submission !== undefined && derivedSessionId(parts.tenant, params.submission) === id;
  if (params.input === undefined)
    return { status: opened ? 201 : 200, result: { session, seq: opened ? 1 : session.head } };
  const bodies = createBodies(parts.store, parts.system.random);
  const submission = params.submission ?? parts.newId();
  const open = opened ? { id, tenant: parts.tenant, agent: session.agent } : undefined;
  const message = {
    input: params.input,
    submission,
    mode: 'queue' as const,
    priority: 0,
    config: opened ? undefined : params.config,
    open,
  };
  const { receipt } = await parts.submit(id, await sendInput(message, bodies, actorOf(caller), parts.models));
  return {
    status: opened ? 201 : 200,
    result: { session: await reads.session(id), run: await reads.run(id, receipt.run ?? ''), seq: receipt.seq },
  };
}
