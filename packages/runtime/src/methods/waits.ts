import { ApiError } from '@perdure/contract';
import type { Actor, Command } from '@perdure/engine';
import { answerDigest, answerOf } from '../answers.ts';
import type { Caller } from '../api.ts';
import { mac, sameText } from '../digest.ts';
import type { Parts } from '../host.ts';
import { existing, notFound } from '../reads.ts';
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
      const open = await sessions.exclusive(session, async () => {
        const hot = await existing(sessions, session);
        const wait = hot.state.waits.get(id as `w${number}`);
        const call =
          wait === undefined ? undefined : hot.state.runs.get(wait.run)?.asked.find((asked) => asked.id === wait.call);
        return wait === undefined ? null : { wait, call, agent: hot.state.agent };
      });
      const bodies = parts.newBodies();
      // A wait that is not open any more: the engine says whether this is the same answer again.
      const answer =
        open === null
          ? ({ kind: 'budget', decision: 'deny' } as const)
          : await answerOf(open.wait, open.call, open.agent, parts.agents, said, bodies);
      const command: Command = { kind: 'resolve', wait: id as `w${number}`, answer, digest };
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

const approver = (caller: Caller): Actor => ({ kind: 'approver', id: caller.actor.id });

async function resolveCallback(parts: Parts, token: string, payload: unknown): Answered<'callbacks.resolve'> {
  const { sessions } = parts;
  const [name = '', signature = ''] = token.split('.');
  if (!sameText(mac(parts.callbackSecret, name), signature)) throw notFound('such callback');
  const [, session, call] = JSON.parse(Buffer.from(name, 'base64url').toString()) as [string, string, string];
  const wait = await sessions.exclusive(session, async () => {
    const { state } = await existing(sessions, session);
    const open = [...state.waits.values()].find(
      (candidate) => candidate.kind === 'callback' && candidate.call === call,
    );
    return open?.id ?? [...state.resolved].find(([, resolved]) => resolved.call === call)?.[0];
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
