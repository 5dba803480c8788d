import type { ConfigPatch, Params } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Actor } from '@perdure/engine';
import type { Caller } from '../api.ts';
import { canonicalJson, derivedSessionId, sha256 } from '../log/digest.ts';
import type { Parts } from '../parts.ts';
import type { Opening } from './sends.ts';
import { agentFor, configOf, openingOf, sendInput } from './sends.ts';
import { KeyTaken } from '../log/refused.ts';
import type { Answered, Methods } from './shared.ts';
import { actorOf, checkAgentModel, given, ok, pageOf } from './shared.ts';
import { notFound } from './views.ts';

type SessionMethod =
  | 'sessions.create'
  | 'sessions.list'
  | 'sessions.get'
  | 'sessions.delete'
  | 'sessions.configure'
  | 'sessions.close'
  | 'sessions.readmit';

export function sessionMethods(parts: Parts): Pick<Methods, SessionMethod> {
  const { reads, store } = parts;
  return {
    'sessions.create': async (caller, params) => createSession(parts, caller, params),
    'sessions.list': async (_caller, { agent, status, cursor, limit }) => {
      if (status === 'quarantined') return listQuarantined(parts, agent, cursor, limit);
      const page = await store.log.list({ limit, ...given({ agent, status, cursor }) });
      const sessions = await Promise.all(page.items.map(async (row) => reads.sessionRow(row)));
      const shown = status === undefined ? sessions : sessions.filter((session) => session.status === status);
      return ok(page.next === null ? { sessions: shown } : { sessions: shown, next: page.next });
    },
    'sessions.get': async (_caller, { session }) => ok(await reads.session(session)),
    'sessions.delete': async (_caller, { session }) => {
      const view = await reads.session(session);
      // One that cannot be stepped cannot be closed either.
      if (view.status !== 'closed' && view.status !== 'quarantined')
        throw new ApiError('invalid_state', `session ${session} is ${view.status}: close it first`);
      await parts.sessions.exclusive(session, async () => {
        parts.sessions.drop(session);
        await store.log.delete(session);
      });
      await parts.jobs.end(session);
      await parts.policies.forget(session);
      await readmit(parts, session);
      parts.streams.end({ type: 'end', reason: 'closed' }, session);
      return ok(view);
    },
    'sessions.configure': async (caller, { session, ifRevision, ...patch }) => {
      const bodies = parts.newBodies();
      const config = await configOf(patch, parts, bodies);
      await parts.submit(session, {
        id: parts.newId(),
        by: actorOf(caller),
        ...bodies.stored,
        command: { kind: 'configure', ifRevision, config },
      });
      return ok(await reads.session(session));
    },
    'sessions.close': async (caller, { session }) => {
      await parts.submit(session, { id: parts.newId(), by: actorOf(caller), bodies: [], command: { kind: 'close' } });
      await parts.jobs.end(session);
      return { status: 202, result: await reads.session(session) };
    },
    'sessions.readmit': async (_caller, { session }) => {
      const row = await store.log.get(session);
      if (row === null) throw notFound(`session ${session}`);
      if (await readmit(parts, session)) void tryAgain(parts, session);
      // By its row: what it could not be stepped for, it may not be read for either.
      return { status: 202, result: await reads.sessionRow(row) };
    },
  };
}

async function readmit({ quarantine, driver }: Parts, session: string): Promise<boolean> {
  const isLifted = await quarantine.remove(session);
  driver.readmit(session);
  return isLifted;
}

/** What is outstanding in it is driven; if not now, by the sweeper. It may be parked again at once. */
async function tryAgain({ driver, logger }: Parts, session: string): Promise<void> {
  const by: Actor = { kind: 'system', id: 'host' };
  try {
    await driver.submit(session, { id: 'readmitted', by, bodies: [], command: { kind: 'settle', effect: 'wake' } });
  } catch (error) {
    logger.warn({ session, error: String(error) }, 'a session that was readmitted did not come to rest');
  }
}

async function listQuarantined(
  parts: Parts,
  agent: string | undefined,
  cursor: string | undefined,
  limit: number,
): Answered<'sessions.list'> {
  const { items, next } = pageOf(parts.quarantine.list(), cursor, limit);
  const rows = await Promise.all(items.map(async ({ session }) => parts.store.log.get(session)));
  const found = rows.filter((row) => row !== null && row.agent === (agent ?? row.agent));
  const sessions = await Promise.all(found.flatMap((row) => (row === null ? [] : [parts.reads.sessionRow(row)])));
  return ok(next === undefined ? { sessions } : { sessions, next });
}

/** What a program in this process says besides: the id it gave the session, and its first run's own configuration. */
export type Named = { id: string; runConfig: ConfigPatch | undefined };

/** A session that was opened or found; `run`: of the message that came with it. */
export type Begun = { status: number; id: string; seq: number; run?: string };

async function createSession(
  parts: Parts,
  caller: Caller,
  params: Params<'sessions.create'>,
): Answered<'sessions.create'> {
  const { reads, system } = parts;
  const since = system.clock.monotonicMs();
  const { status, id, seq, run } = await beginSession(parts, caller, params);
  const session = await reads.session(id, since);
  const result = run === undefined ? { session, seq } : { session, run: await reads.run(id, run, since), seq };
  return { status, result };
}

/** Opens a session, or finds it by its key, and sends the message that comes with it. */
export async function beginSession(
  parts: Parts,
  caller: Caller,
  params: Params<'sessions.create'>,
  named?: Named,
): Promise<Begun> {
  const { store, tenant } = parts;
  const agent = agentFor(parts.agents, params.agent);
  checkAgentModel(parts, agent, params.config?.model);
  const found = params.key === undefined ? null : await store.log.find(params.key);
  if (found !== null) return intoExisting(parts, caller, params, found.id, named);
  const submission = params.submission ?? parts.newId();
  const isNew = params.submission === undefined;
  const id = isNew ? (named?.id ?? parts.newSession()) : derivedSessionId(tenant, submission);
  const open: Opening = { id, tenant, agent, ...given({ key: params.key, config: params.config }) };
  try {
    if (params.input !== undefined) return await sendTo(parts, caller, params, { submission, id, open, named, isNew });
    return await openEmpty(parts, caller, submission, open, isNew);
  } catch (error) {
    // Two callers opened the same key at once: the other one's session is the one.
    if (error instanceof KeyTaken) return intoExisting(parts, caller, params, error.session, named);
    throw error;
  }
}

/** Opens a session without a message; opened by the same submission before, it answers as then (or: a conflict). */
async function openEmpty(
  parts: Parts,
  caller: Caller,
  submission: string,
  open: Opening,
  isNew: boolean,
): Promise<Begun> {
  const { id, agent, key = null, config = null } = open;
  const bodies = parts.newBodies();
  const payload = sha256(canonicalJson({ agent, key, config }));
  const command = { kind: 'open' as const, ...(await openingOf(open, parts, bodies)), payload };
  const { receipt } = await parts.submit(id, { id: submission, by: actorOf(caller), ...bodies.stored, command, isNew });
  return { status: 201, id, seq: receipt.seq };
}

/** A key finds its session; a first message that comes with it is sent there. The replay of an opening is an opening. */
async function intoExisting(
  parts: Parts,
  caller: Caller,
  params: Params<'sessions.create'>,
  id: string,
  named: Named | undefined,
): Promise<Begun> {
  const { tenant } = parts;
  const { agent, head } = await parts.reads.session(id);
  if (params.agent !== undefined && params.agent !== agent) {
    throw new ApiError('invalid_state', `the session with key ${params.key ?? ''} is with agent ${agent}`, {
      details: { session: id },
    });
  }
  const opened = params.submission !== undefined && derivedSessionId(tenant, params.submission) === id;
  if (params.config !== undefined && params.input === undefined && !opened) {
    throw new ApiError(
      'invalid_state',
      `session ${id} is there: change its configuration with PATCH, or send a message`,
      {
        details: { session: id },
      },
    );
  }
  const submission = params.submission ?? parts.newId();
  const open = opened ? { id, tenant, agent, ...given({ key: params.key, config: params.config }) } : undefined;
  if (params.input === undefined && open !== undefined) return openEmpty(parts, caller, submission, open, false);
  if (params.input === undefined) return { status: 200, id, seq: head };
  return sendTo(parts, caller, params, { submission, id, open, named, isNew: false });
}

async function sendTo(
  parts: Parts,
  caller: Caller,
  { input = '', config }: Params<'sessions.create'>,
  to: {
    submission: string;
    id: string;
    open: Opening | undefined;
    named: Named | undefined;
    isNew: boolean;
  },
): Promise<Begun> {
  const { submission, id, open, named, isNew } = to;
  // A session that is there keeps its configuration: what comes with the message is the run's.
  const own = open === undefined && config !== undefined ? { ...config, ...named?.runConfig } : named?.runConfig;
  const message = { input, submission, mode: 'queue' as const, priority: 0, config: own, open };
  const step = await sendInput(parts, message, actorOf(caller));
  const { receipt } = await parts.submit(id, { ...step, isNew });
  const status = open === undefined ? 200 : 201;
  return { status, id, seq: receipt.seq, run: receipt.run ?? '' };
}
