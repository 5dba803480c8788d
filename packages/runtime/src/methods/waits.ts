import { ApiError } from '@perdure/contract';
import type { Actor, Call, Command, Receipt, State, Wait } from '@perdure/engine';
import { answerDigest, answerOf } from '../answers.ts';
import type { Caller } from '../api.ts';
import { mac, sameText } from '../digest.ts';
import type { Parts } from '../host.ts';
import { existing, notFound } from '../reads.ts';
import type { Sessions } from '../sessions.ts';
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
        return { status: 202, result: { seq: found.receipt.seq, run: found.receipt.run ?? '', wait: id } };
      }
      const bodies = parts.newBodies();
      const answer = await answerOf(found.wait, found.call, found.agent, parts.agents, said, bodies);
      const command: Command = { kind: 'resolve', wait: id, answer, digest };
      const { receipt } = await parts.submit(session, {
        id: parts.newId(),
        by: approver(caller),
        ...bodies.stored,
        command,
      });
      return { status: 202, result: { seq: receipt.seq, run: receipt.run ?? '', wait: id } };
    },
    'callbacks.resolve': async (_caller, { token, payload }) => resolveCallback(parts, token, payload),
  };
}

type Found =
  | { wait: Wait; call: Call | undefined; agent: string }
  /** It was answered with this digest, or ended without an answer (null). */
  | { digest: string | null; receipt: Receipt };

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
  return resolved;
}

const approver = (caller: Caller): Actor => ({ kind: 'approver', id: caller.actor.id });

async function resolveCallback(parts: Parts, token: string, payload: unknown): Answered<'callbacks.resolve'> {
  const { sessions } = parts;
  const [name = '', signature = ''] = token.split('.');
  if (!sameText(mac(parts.callbackSecret, name), signature)) throw notFound('such callback');
  const [, session, call] = JSON.parse(Buffer.from(name, 'base64url').toString()) as [string, string, string];
  const wait = await sessions.exclusive(session, async () => {
    const known = await existing(sessions, session);
    const found = callbackWait(known.state, call);
    if (found !== undefined || (await sessions.isNewest(known))) return found;
    return callbackWait((await existing(sessions, session)).state, call);
  });
  if (wait === undefined)
    throw new ApiError('invalid_state', 'nothing waits for this callback: not yet, or not any more', {
      details: { call },
    });
  const bodies = parts.newBodies();
  const ref = await bodies.add({ content: payload });
  const by: Actor = { kind: 'key', id: 'callback' };
  const command: Command = { kind: 'resolve', wait, answer: { kind: 'callback', ref }, digest: answerDigest(payload) };
  const { receipt } = await parts.submit(session, { id: parts.newId(), by, ...bodies.stored, command });
  return { status: 202, result: { seq: receipt.seq, run: receipt.run ?? '', wait } };
}

/**
 * What a callback of this call answers: its open wait; once the call is settled the last wait it had, which tells the
 * same report from another one. Undefined: it comes too early (an approval of the same call is not what it answers).
 */
function callbackWait(state: State, id: string): Wait['id'] | undefined {
  for (const wait of state.waits.values()) if (wait.kind === 'callback' && wait.call === id) return wait.id;
  for (const run of state.runs.values()) {
    if (run.asked.some((call) => call.id === id && call.phase.at !== 'settled')) return undefined;
  }
  return [...state.resolved].findLast(([, resolved]) => resolved.call === id)?.[0];
}
