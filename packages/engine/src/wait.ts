/**
 * What a run is parked on: one mechanism for approvals, questions, children, timers, callbacks, outcomes, budgets, tools.
 *  W1 A wait is resolved once. The same answer again gets the same receipt, another one is refused.
 *  W2 What runs after an approval is what was approved, by digest (P14).
 *  W3 Whatever closes a wait settles or frees its call in the same append.
 */
import type { Entry, Event, EventData } from './events.ts';
import type { CallId } from './ids.ts';
import { waitId } from './ids.ts';
import type { Run, State } from './state.ts';
import { attemptsOf } from './state.ts';
import type { BodyRef, Digest, Shortage, WaitKind } from './values.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Opening = {
  kind: WaitKind;
  call?: CallId;
  expiresAt?: number;
  digest?: Digest;
  prompt?: BodyRef;
} & Partial<Shortage>;

/** `ahead` counts the waits that this same batch of events opens before it. */
export function openWait(state: State, run: Run, opening: Opening, ahead = 0): Event {
  const data: EventData['wait.opened'] = { wait: waitId(state.lastWait + 1 + ahead), ...opening };
  const event: Event = { kind: 'wait.opened', run: run.id, data };
  if (opening.call !== undefined) event.effect = opening.call;
  if (opening.prompt !== undefined) event.refs = [opening.prompt.digest];
  return event;
}

export function evolveWaitOpened(state: State, run: Run, entry: Of<'wait.opened'>): void {
  const { data } = entry;
  state.lastWait += 1;
  const { account, limit, needed, free } = data;
  state.waits.set(data.wait, {
    id: data.wait,
    kind: data.kind,
    run: run.id,
    call: data.call ?? null,
    openedAt: entry.at,
    openedSeq: entry.seq,
    expiresAt: data.expiresAt ?? null,
    digest: data.digest ?? null,
    prompt: data.prompt === undefined ? null : { ...data.prompt, seq: entry.seq },
    shortage:
      account === undefined || limit === undefined ? null : { account, limit, needed: needed ?? 0, free: free ?? 0 },
  });
  const call = run.asked.find(({ id }) => id === data.call);
  if (call !== undefined) call.phase = { at: 'parked', wait: data.wait, attempt: attemptsOf(call) };
}

export function evolveWaitResolved(state: State, run: Run, entry: Of<'wait.resolved'>): void {
  const { wait: id, answer, digest, epoch, how } = entry.data;
  const wait = state.waits.get(id);
  state.waits.delete(id);
  state.resolved.set(id, {
    digest: how === 'answered' ? (digest ?? null) : null,
    call: wait?.call ?? null,
    receipt: { seq: entry.seq, run: run.id, wait: id },
  });
  if (answer?.kind !== 'approval' || answer.decision !== 'approve') return;
  const call = run.asked.find((candidate) => candidate.id === wait?.call);
  if (call === undefined) return;
  call.phase = { at: 'ready', epoch: epoch ?? 0 };
  if (answer.edited === undefined) return;
  call.digest = answer.edited.digest;
  call.arguments = { at: 'edit', body: { ...answer.edited.ref, seq: entry.seq } };
}
