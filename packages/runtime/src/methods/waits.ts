import { ApiError } from '@perdure/contract';
import type { Actor, Call, CallId, Command, Receipt, Wait, WaitId } from '@perdure/engine';
import { runOf } from '@perdure/engine';
import { answerDigest, answerOf } from './answers.ts';
import type { Caller } from '../api.ts';
import { mac, sameText } from '../log/digest.ts';
import type { Parts } from '../parts.ts';
import { LIMITS } from '../limits.ts';
import { confirmGrant, giveGrant } from './grants.ts';
import { existing, notFound } from './views.ts';
import type { Sessions } from '../log/sessions.ts';
import type { Answered, Methods } from './shared.ts';
import { ok, pageOf } from './shared.ts';

type WaitMethod = 'waits.list' | 'waits.resolve' | 'callbacks.resolve';

export function waitMethods(parts: Parts): Pick<Methods, WaitMethod> {
  const { reads, sessions } = parts;
  return {
    'waits.list': async (_caller, { session, cursor, limit }) => {
      const { items, next } = pageOf(await reads.waits(session), cursor, limit);
      return ok(next === undefined ? { waits: items } : { waits: items, next });
    },
    'waits.resolve': async (caller, { session, wait: id, answer: said }) => {
      const digest = answerDigest(said);
      const found = await sessions.exclusive(session, async () => find(sessions, session, id));
      if ('receipt' in found) {
        // W1: the same answer again has the same receipt.
        if (found.digest !== digest)
          throw new ApiError('wait_resolved', `wait ${id} has had another answer, or has ended`);
        await confirmGrant(parts, session, { wait: id, agent: found.agent, digest }, said);
        return { status: 202, result: { seq: found.receipt.seq, run: found.receipt.run ?? '', wait: id } };
      }
      const bodies = parts.newBodies();
      const by = approver(caller);
      const answer = await answerOf(found.wait, found.call, found.agent, parts.agents, said, bodies);
      const granted = 'grant' in said && said.grant !== undefined;
      const grant = granted ? await giveGrant(parts, session, found, said, by, digest) : null;
      if (grant !== null && answer.kind === 'approval') answer.grant = grant.name;
      const command: Command = { kind: 'resolve', wait: id, answer, digest };
      const input = { id: parts.newId(), by, ...bodies.stored, command };
      const { receipt } = await parts.submit(session, input).catch(async (error: unknown) => {
        await grant?.takeBack(error);
        throw error;
      });
      await grant?.confirm();
      return { status: 202, result: { seq: receipt.seq, run: receipt.run ?? '', wait: id } };
    },
    'callbacks.resolve': async (_caller, { token, payload }) => resolveCallback(parts, token, payload ?? null),
  };
}

type Found =
  | Open
  /** It was answered with this digest, or ended without an answer (null). */
  | { digest: string | null; receipt: Receipt; agent: string };

type Open = { wait: Wait; call: Call | undefined; agent: string };

/** The wait as the log has it. Call it with the lock. Throws `not_found`. */
async function find(sessions: Sessions, session: string, id: Wait['id']): Promise<Found> {
  const known = await existing(sessions, session);
  // Another writer may have opened it: what is not known is looked for on the newest head.
  const isKnown = known.state.waits.has(id) || known.state.resolved.has(id) || (await sessions.isNewest(known));
  const { state } = isKnown ? known : await existing(sessions, session);
  const wait = state.waits.get(id);
  if (wait !== undefined) {
    const call = state.runs.get(wait.run)?.asked.find((asked) => asked.id === wait.call);
    return { wait, call, agent: state.agent };
  }
  const resolved = state.resolved.get(id);
  if (resolved === undefined) throw notFound(`wait ${id}`);
  return { ...resolved, agent: state.agent };
}

const approver = (caller: Caller): Actor => ({ kind: 'approver', id: caller.actor.id });

/**
 * A callback names its call by a token that only this data makes. One that comes before the tool has returned its wait
 * is kept waiting for it; it is acknowledged when it is in the log, as every answer is.
 */
async function resolveCallback(parts: Parts, token: string, payload: unknown): Answered<'callbacks.resolve'> {
  const [name = '', signature = ''] = token.split('.');
  if (!sameText(mac(parts.callbackSecret, name), signature)) throw notFound('such callback');
  const [, session, call] = JSON.parse(Buffer.from(name, 'base64url').toString()) as [string, string, CallId];
  const wait = await openCallback(parts, session, call);
  const bodies = parts.newBodies();
  const ref = bodies.add({ content: payload });
  const by: Actor = { kind: 'key', id: 'callback' };
  const command: Command = { kind: 'resolve', wait, answer: { kind: 'callback', ref }, digest: answerDigest(payload) };
  const { receipt } = await parts.submit(session, { id: parts.newId(), by, ...bodies.stored, command });
  return { status: 202, result: { seq: receipt.seq, run: receipt.run ?? '', wait } };
}

/** The callback wait of a call, open or resolved; throws where there is none and none will be. */
async function openCallback(parts: Parts, session: string, call: CallId): Promise<WaitId> {
  const watch = parts.watches.of(session);
  let late = false;
  const isLate = (): void => {
    late = true;
    watch.stir();
  };
  const timer = parts.system.timers.set(LIMITS.earlyCallbackMs, isLate);
  parts.stopping.addEventListener('abort', isLate, { once: true });
  try {
    for (;;) {
      const change = watch.next();
      const found = await findCallback(parts, session, call);
      if (found === 'over')
        throw new ApiError('invalid_state', `nothing waits for the callback of ${call} any more`, {
          details: { call },
        });
      if (found !== 'early') return found;
      if (late || parts.stopping.aborted)
        throw new ApiError('unavailable', `${call} does not wait for its callback yet: send it again`, {
          details: { call, retryMs: LIMITS.retryMs },
        });
      await change;
    }
  } finally {
    timer.cancel();
    parts.stopping.removeEventListener('abort', isLate);
    watch.close();
  }
}

async function findCallback(parts: Parts, session: string, call: CallId): Promise<WaitId | 'early' | 'over'> {
  return parts.sessions.exclusive(session, async () => {
    await existing(parts.sessions, session);
    const { state } = await parts.sessions.current(session, 0);
    for (const wait of state.waits.values()) if (wait.kind === 'callback' && wait.call === call) return wait.id;
    const asked = state.runs.get(runOf(call))?.asked.find(({ id }) => id === call);
    if (asked !== undefined && asked.phase.at !== 'settled') return 'early';
    // A call may have had other waits before, such as its approval: its callback was the last.
    const resolved = [...state.resolved].findLast(([, known]) => known.call === call);
    return resolved?.[0] ?? 'over';
  });
}
