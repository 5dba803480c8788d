/**
 * How work comes to a session and waits: messages, the queue, and what is said about a run.
 *  R1 At most one run of a session is active; the others wait in the queue, by priority, then in order.
 *  R2 A submission is accepted once: the same again gets the first receipt, another payload is a conflict.
 */
import { lacksPrice } from './budget.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { configRefs, isUnfit, located, refusalOf, runConfig } from './config.ts';
import type { Entry, Event, EventData } from './events.ts';
import type { RunId } from './ids.ts';
import { runId } from './ids.ts';
import { LIMITS } from './limits.ts';
import { refusalOfMedia } from './media.ts';
import { endCancelled } from './run.ts';
import type { Run, State } from './state.ts';
import { isTrusted } from './taint.ts';
import type { CancelReason, Digest, Media, Receipt } from './values.ts';
import { ZERO_USAGE } from './values.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Send = Extract<Command, { kind: 'send' }>;

export function decideSend(state: State, command: Send, input: Input): Event[] | Rejection | { receipt: Receipt } {
  const known = state.submissions.get(command.submission);
  if (known !== undefined) {
    if (known.payload === command.payload) return { receipt: known.receipt };
    return {
      code: 'submission_conflict',
      message: `submission ${command.submission} was accepted with another payload`,
    };
  }
  if (state.opened?.input === command.submission && state.opened.payload !== null)
    return {
      code: 'submission_conflict',
      message: `submission ${command.submission} opened the session without a message`,
    };
  if (state.phase !== 'open') return { code: 'session_closed', message: 'the session takes no more messages' };
  const active = state.active === null ? undefined : state.runs.get(state.active);
  const { submission, payload, mode, priority, message, media, config } = command;
  if (mode === 'steer' && active !== undefined && active.phase.at === 'active') {
    if (active.steers.length >= LIMITS.pendingSteers)
      return { code: 'rate_limited', message: 'too many messages wait for the next turn' };
    if (config !== undefined)
      return { code: 'invalid_request', message: 'a steered message joins a run that is pinned: it takes no config' };
    const untaken =
      media === undefined || active.pin === null ? null : refusalOfMedia(state, media, active.pin, input.facts);
    if (untaken !== null) return untaken;
    const data: EventData['run.steered'] = { submission, payload, message, ...mediaOf(command) };
    return [{ kind: 'run.steered', run: active.id, refs: refsOf(command), data }];
  }
  if (state.queue.length >= LIMITS.queuedRuns)
    return { code: 'rate_limited', message: 'the queue of this session is full' };
  const pin = input.facts.pin(runConfig(state.config, config ?? {}));
  if (pin === null) return { code: 'not_found', message: `agent ${state.agent} is not defined here` };
  if (isUnfit(pin)) return refusalOf(pin);
  const unpriced = lacksPrice(state, pin, input.facts);
  if (unpriced !== null)
    return {
      code: 'invalid_request',
      message: `model ${unpriced.model} has no known price, so it cannot run under a money cap`,
    };
  const untaken = media === undefined ? null : refusalOfMedia(state, media, pin, input.facts);
  if (untaken !== null) return untaken;
  const data: EventData['run.queued'] = { submission, payload, mode, priority, message, ...mediaOf(command) };
  if (config !== undefined) data.config = config;
  const events: Event[] = [{ kind: 'run.queued', run: runId(state.lastRun + 1), refs: refsOf(command), data }];
  if (mode === 'interrupt' && active !== undefined && active.phase.at !== 'cancelling')
    events.push(cancelling(active, 'interrupted'));
  return events;
}

function mediaOf({ media }: Send): { media?: Media } {
  if (media === undefined) return {};
  const { digests: _refs, ...counts } = media;
  return { media: counts };
}

/** All content that a message brings. */
const refsOf = ({ message, media, config }: Send): Digest[] => [
  message.digest,
  ...(media?.digests ?? []),
  ...configRefs(config ?? {}),
];

export const cancelling = (run: Run, reason: CancelReason): Event => ({
  kind: 'run.cancelling',
  run: run.id,
  data: { reason },
});

/** Cancel, hold, release and unqueue. Repeated on a run already in that state they change nothing. */
export function decideOnRun(
  state: State,
  command: Extract<Command, { kind: 'unqueue' | 'hold' | 'release' | 'cancel' }>,
): Event[] | Rejection | { receipt: Receipt } {
  const run = state.runs.get(command.run);
  if (run === undefined) {
    const n = Number(command.run.slice(1));
    if (n >= 1 && n <= state.lastRun) return { code: 'invalid_state', message: `run ${command.run} has ended` };
    return { code: 'not_found', message: `no run ${command.run} in this session` };
  }
  const nothing = { receipt: { seq: state.head, run: run.id } };
  switch (command.kind) {
    case 'cancel':
      if (run.phase.at === 'queued') return [endCancelled(run, 'requested')];
      return run.phase.at === 'cancelling' ? nothing : [cancelling(run, 'requested')];
    case 'unqueue':
      if (run.phase.at === 'queued') return [endCancelled(run, 'unqueued')];
      return { code: 'invalid_state', message: `run ${run.id} has started: cancel it instead` };
    case 'hold':
      if (run.phase.at === 'cancelling') return { code: 'invalid_state', message: `run ${run.id} is being cancelled` };
      return run.held ? nothing : [{ kind: 'run.held', run: run.id, data: {} }];
    case 'release':
      return run.held ? [{ kind: 'run.released', run: run.id, data: {} }] : nothing;
    default: {
      const never: never = command;
      return never;
    }
  }
}

/** Everything the session still has ends: for `close`. */
export function cancelAll(state: State): Event[] {
  return [...state.runs.values()].flatMap((run) => {
    if (run.phase.at === 'queued') return [endCancelled(run, 'closed')];
    return run.phase.at === 'cancelling' ? [] : [cancelling(run, 'closed')];
  });
}

export function evolveRunQueued(state: State, entry: Of<'run.queued'>, id: RunId): void {
  const { data } = entry;
  state.lastRun += 1;
  const run: Run = {
    id,
    submission: data.submission,
    priority: data.mode === 'interrupt' ? INTERRUPT : data.priority,
    message: { ...data.message, seq: entry.seq },
    ...(data.media === undefined ? {} : { media: data.media }),
    trusted: isTrusted(entry.by),
    config: located(data.config ?? {}, entry.seq),
    phase: { at: 'queued' },
    held: false,
    pin: null,
    startedAt: 0,
    passed: [],
    turns: 0,
    calls: 0,
    retries: 0,
    turn: null,
    asked: [],
    text: null,
    steers: [],
    overflow: null,
    misfit: null,
    repairs: 0,
    overrun: null,
    spent: { tokens: 0, nanoUsd: 0 },
    usage: ZERO_USAGE,
    cost: { nanoUsd: 0, price: null },
  };
  state.runs.set(id, run);
  remember(state, entry, id);
  state.queue.splice(placeOf(state, run.priority), 0, id);
}

/** Before every queued run, behind earlier interrupts: messages keep their order. */
const INTERRUPT = Number.MAX_SAFE_INTEGER;

/** Behind everything of the same or a higher priority. */
function placeOf(state: State, priority: number): number {
  let place = state.queue.length;
  while (place > 0) {
    const before = state.queue[place - 1];
    const other = before === undefined ? undefined : state.runs.get(before);
    if (other === undefined || other.priority >= priority) break;
    place -= 1;
  }
  return place;
}

function remember(state: State, entry: Of<'run.queued' | 'run.steered'>, run: RunId): void {
  const { submission, payload } = entry.data;
  state.submissions.set(submission, { payload, receipt: { seq: entry.seq, run } });
}

export function evolveRunSteered(state: State, run: Run, entry: Of<'run.steered'>): void {
  const trusted = isTrusted(entry.by);
  const { message, media } = entry.data;
  run.steers.push({ body: { ...message, seq: entry.seq }, trusted, ...(media === undefined ? {} : { media }) });
  remember(state, entry, run.id);
}
