/**
 * A conversation that has grown long goes on behind a summary of itself.
 *  M1 At most one compaction is under way; it begins between two turns, never while a call is open, and turns wait for it.
 *  M2 An attempt is named before it is dispatched (P5) and reserved like a turn (P9); a lost one is charged at its reserve.
 *  M3 What the user asked of the active run stays word for word, and the log keeps everything (C4).
 *  M4 A compaction makes the context smaller, or it fails by name. By itself it comes again only after so many new tokens.
 *  M5 A context that its provider refused as too long is compacted once, and its turn made once more.
 *  M6 What fails because of who compacts is tried at once by who comes next, in the same way and at a price of its own.
 *  M7 What only one model can read is undone before another one reads the context, or compacts it (C5).
 */
import { retryAt } from './backoff.ts';
import type { Bill } from './budget.ts';
import { affordsReserve, billOf, book, boundUsage, costAmount, costOf, drawsOf, overrun } from './budget.ts';
import type { Input, Rejection, SummaryOutcome } from './commands.ts';
import { compactorKey, compactorsOf, planCompaction } from './compactors.ts';
import {
  compacted,
  contextBytes,
  cutOf,
  estimateInputTokens,
  flushPending,
  isClosedTo,
  itemsBytes,
  restore,
  startAfresh,
} from './context.ts';
import type { CompactionEnd, Entry, Event, EventData } from './events.ts';
import type { CompactionId } from './ids.ts';
import { compactionId } from './ids.ts';
import { LIMITS } from './limits.ts';
import { passedBy, readerOf, summarizerOf } from './route.ts';
import type { Compaction, Run, State } from './state.ts';
import { giveUp, isCompactionStopping } from './state.ts';
import type { Amount, CompactionCause, Digest, Pin, Receipt, Shortage } from './values.ts';
import { ZERO_USAGE } from './values.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

const LOST = 'lost';
const TOO_LONG = 'context_length';

const runOfCompaction = (state: State, { run }: Compaction): Run | null =>
  run === null ? null : (state.runs.get(run) ?? null);

/** Somebody asks for a compaction: it is done at once, or at the next boundary of the run that is active. */
export function askCompaction(state: State, input: Input): Event[] | Rejection | { receipt: Receipt } {
  const asked = state.compactionAsked;
  if (asked !== null && (asked.open || asked.input === input.id)) return { receipt: { seq: asked.seq } };
  if (state.phase !== 'open') return { code: 'session_closed', message: 'the session is closed' };
  if (state.compaction !== null) return { receipt: { seq: state.compaction.seq } };
  if (state.active === null && cutOf(state.context, null, 0) === null)
    return { code: 'invalid_state', message: 'there is nothing to compact yet' };
  return [{ kind: 'compaction.asked', data: {} }];
}

/** Between two runs: what was asked for, or why it cannot be. */
export function advanceIdle(state: State, input: Input): Event[] {
  const pin = state.lastPin;
  if (state.compactionAsked?.open !== true || state.compaction !== null) return [];
  const request = pin === null ? NOTHING : requestCompaction(state, null, pin, 'asked', input);
  if (request.ok) return request.events;
  const end = { outcome: 'failed', code: request.shortage === null ? 'nothing_to_compact' : 'budget' } as const;
  return [{ kind: 'compaction.settled', data: { attempt: 0, ...end, ...FREE } }];
}

/** Before a turn: what was asked for, or what its model's window demands; [] where the turn may go ahead. */
export function compactBefore(state: State, run: Run, input: Input): Event[] {
  const { pin } = run;
  // A model that failed is passed over by the turn that follows, not by what would come before it.
  if (pin === null || passedBy(run, pin).length > run.passed.length) return [];
  const asked = state.compactionAsked?.open === true;
  if (!asked && !(isFull(state, run, pin) && isWorthwhile(state, run))) return [];
  const request = requestCompaction(state, run, pin, asked ? 'asked' : 'window', input);
  // Without it the turn may still fit, and says so itself where it does not.
  return request.ok ? request.events : [];
}

type Request = { ok: true; events: Event[] } | { ok: false; shortage: Shortage | null; owner: 'run' | 'other' };
const NOTHING: Request = { ok: false, shortage: null, owner: 'other' };
const FREE = { usage: ZERO_USAGE, cost: { nanoUsd: 0, price: null } };

/** M5: the one compaction after which the run's turn is made once more; null: it has had it, or it would not help. */
export function recoverOverflow(state: State, run: Run, input: Input): Request | null {
  const isFirst = run.overflow === null || run.overflow.at === 'refused';
  if (!isFirst || run.pin === null || !isWorthwhile(state, run)) return null;
  const request = requestCompaction(state, run, run.pin, 'overflow', input);
  return !request.ok && request.shortage === null ? null : request;
}

/** Whether the next request would fill its model's window too far. */
function isFull(state: State, run: Run, pin: Pin): boolean {
  const reader = readerOf(run, pin);
  const { windowTokens, maxOutputTokens } = reader;
  if (windowTokens === undefined || pin.compaction === 'asked') return false;
  const left = Math.min(LIMITS.windowShare * windowTokens, windowTokens - maxOutputTokens);
  return estimateInputTokens(state.context, run, pin, reader) > Math.max(left, windowTokens / 2);
}

/** M4: enough has come since the last one, and enough would go. */
function isWorthwhile(state: State, run: Run): boolean {
  const { context } = state;
  const since = context.sinceCompaction;
  if (since !== null && since / LIMITS.bytesPerToken < LIMITS.compactionMinTokens) return false;
  const cut = cutOf(context, run, state.head + 1);
  return cut !== null && cut.removedBytes >= LIMITS.compactionGainShare * contextBytes(context, run);
}

function requestCompaction(state: State, run: Run | null, pin: Pin, cause: CompactionCause, input: Input): Request {
  const closed = restoreFor(state, run, readerOf(run, pin).model);
  if (closed.length > 0) return { ok: true, events: closed };
  const cut = cutOf(state.context, run, state.head + 1);
  if (cut === null) return NOTHING;
  let refused: Request = NOTHING;
  for (const compactor of compactorsOf(state, run, pin, cause, input.facts)) {
    const plan = planCompaction(state, run, pin, compactor, input);
    if (!plan.ok) {
      refused = plan;
      continue;
    }
    const { reserve, maxOutputTokens } = plan;
    const { by, inputBytes } = compactor;
    const data: EventData['compaction.requested'] = {
      epoch: input.epoch,
      fingerprint: '',
      cause,
      upTo: cut.upTo,
      reserve,
      maxOutputTokens,
      ...drawsOf(input.facts),
    };
    const { model } = compactor.model;
    if (model !== summarizerOf(null, pin).model) data.model = model;
    if (by !== null) data.by = by;
    if (inputBytes !== null) data.inputBytes = inputBytes;
    const effect = compactionId(state.lastCompaction + 1);
    return { ok: true, events: [named({ kind: 'compaction.requested', effect, data }, run)] };
  }
  return refused;
}

/** M7: [] where the model can read the context as it is. */
export function restoreFor({ context }: State, run: Run | null, model: string): Event[] {
  return isClosedTo(context, model) ? [named({ kind: 'context.restored', data: { model } }, run)] : [];
}

const named = <E extends Event>(event: E, run: Run | null): E => (run === null ? event : { ...event, run: run.id });

/** A summary arrived for the attempt that flies, or why there is none. */
export function settleCompaction(state: State, compaction: Compaction, outcome: SummaryOutcome, input: Input): Event[] {
  const run = runOfCompaction(state, compaction);
  const { pin, reserve, maxOutputTokens, phase } = compaction;
  const { price } = compaction.model;
  if (outcome.type === 'summary') {
    const bill = { usage: outcome.usage, cost: costOf(outcome.usage, price) };
    return settleSummary(state, run, compaction, outcome, bill, input);
  }
  const { code, detail, spent } = outcome;
  const bill = billOf(spent, reserve, maxOutputTokens, price);
  const over = overrun(state, run, pin, reserve, bill, input);
  if (isCompactionStopping(state)) return [settled(compaction, run, { outcome: 'cancelled' }, bill), ...over];
  const next = nextAttemptAfter(state, run, compaction, outcome, input);
  if (next === null || !affordsReserve(state, run, pin, reserve, bill, input))
    return [settled(compaction, run, failure(compaction, code, detail), bill), ...over];
  const failed: EventData['compaction.failed'] = { attempt: phase.attempt, code, spent };
  return [named({ kind: 'compaction.failed', effect: compaction.id, data: failed }, run), next];
}

/** What nobody else would do better: it was stopped, refused by a hook, or what it is made of is gone. */
const FINAL: ReadonlySet<string> = new Set([LOST, 'aborted', 'blocked', 'manifest_missing', 'blob_missing']);

/** M6: who was named, or who writes a summary anyhow, is the last to try. */
function failure({ by }: Compaction, code: string, detail: string | undefined): CompactionEnd {
  const end: CompactionEnd = { outcome: 'failed', code };
  if (detail !== undefined) end.detail = detail;
  if (by !== null && !FINAL.has(code)) end.again = true;
  return end;
}

function settleSummary(
  state: State,
  run: Run | null,
  compaction: Compaction,
  { body: summary, built, opaque }: Extract<SummaryOutcome, { type: 'summary' }>,
  bill: Bill,
  input: Input,
): Event[] {
  const { context } = state;
  const { upTo, pin, reserve, id } = compaction;
  const over = overrun(state, run, pin, reserve, bill, input);
  const model = opaque === true && compaction.by === 'native' ? compaction.model.model : null;
  const before = context.totalBytes;
  const after = itemsBytes(compacted(context, upTo, { ...summary, seq: 0 }, state.active, model));
  if (after >= before)
    return [settled(compaction, run, failure(compaction, 'no_gain', undefined), bill, built), ...over];
  const data: EventData['context.compacted'] = { upTo, summary, before, after };
  if (model !== null) data.model = model;
  const event: Event = { kind: 'context.compacted', effect: id, refs: [summary.digest], data };
  return [settled(compaction, run, { outcome: 'done' }, bill, built), ...over, named(event, run)];
}

/** What was too long is tried with half of it; what may pass is tried again. Null: it is over. */
function nextAttemptAfter(
  state: State,
  run: Run | null,
  compaction: Compaction,
  { code, retry }: Extract<SummaryOutcome, { type: 'summary-failed' }>,
  input: Input,
): Event | null {
  const { failures, inputBytes, reserve, maxOutputTokens, by } = compaction;
  if (code === TOO_LONG && by === 'native') return null;
  if (code === TOO_LONG) {
    const half = Math.floor((inputBytes ?? state.context.totalBytes) / 2);
    const paid = reserve.tokens - maxOutputTokens - LIMITS.compactionPromptBytes;
    const less = Math.min(half, paid);
    if (less < LIMITS.minCompactionBytes || failures + 1 >= LIMITS.attempts) return null;
    return attempted(compaction, run, code, input, { notBefore: input.at, inputBytes: less });
  }
  const seed = `${state.id}/${compaction.id}`;
  const notBefore = retryAt(retry, failures, run ?? { retries: 0 }, seed, input.at);
  return notBefore === null ? null : attempted(compaction, run, code, input, { notBefore });
}

/** What flies belongs to another session: here it ends, and costs nothing. */
export function cancelCompaction(state: State): Event[] {
  const { compaction } = state;
  if (compaction === null) return [];
  return [settled(compaction, runOfCompaction(state, compaction), { outcome: 'cancelled' }, FREE)];
}

/** Nobody knows what became of the flying attempt: its process is gone. It was perhaps paid (M2). */
export function loseCompaction(state: State, compaction: Compaction, input: Input): Event[] {
  const run = runOfCompaction(state, compaction);
  const { pin, model, reserve, maxOutputTokens } = compaction;
  const bill = billOf({ kind: 'bound' }, reserve, maxOutputTokens, model.price);
  if (isCompactionStopping(state) || !affordsReserve(state, run, pin, reserve, bill, input))
    return [settled(compaction, run, { outcome: 'failed', code: LOST }, bill)];
  return [attempted(compaction, run, LOST, input, { charged: costAmount(bill) })];
}

function attempted(
  { id, phase }: Compaction,
  run: Run | null,
  reason: string,
  { epoch, facts }: Input,
  more: { notBefore?: number; charged?: Amount; inputBytes?: number },
): Event {
  const data: EventData['compaction.attempted'] = { n: phase.attempt + 1, reason, epoch, ...more, ...drawsOf(facts) };
  return named({ kind: 'compaction.attempted', effect: id, data }, run);
}

function settled(
  { id, phase }: { id: CompactionId; phase: Compaction['phase'] },
  run: Run | null,
  end: CompactionEnd,
  { usage, cost }: Bill,
  built?: Digest,
): Event {
  const data: EventData['compaction.settled'] = { attempt: phase.attempt, ...end, usage, cost };
  if (built !== undefined) data.built = built;
  return named({ kind: 'compaction.settled', effect: id, data }, run);
}

type CompactionKind =
  | 'compaction.asked'
  | 'compaction.requested'
  | 'compaction.attempted'
  | 'compaction.failed'
  | 'compaction.settled'
  | 'context.compacted'
  | 'context.restored';

const KINDS: ReadonlySet<string> = new Set<CompactionKind>([
  'compaction.asked',
  'compaction.requested',
  'compaction.attempted',
  'compaction.failed',
  'compaction.settled',
  'context.compacted',
  'context.restored',
]);
export const isOfCompaction = (entry: Entry): entry is Of<CompactionKind> => KINDS.has(entry.kind);

export function evolveCompaction(state: State, run: Run | null, entry: Of<CompactionKind>): void {
  switch (entry.kind) {
    case 'compaction.asked':
      state.compactionAsked = { input: entry.input, seq: entry.seq, open: true };
      return;
    case 'compaction.requested':
      return evolveRequested(state, run, entry);
    case 'compaction.attempted':
      return evolveAttempted(state, run, entry);
    case 'compaction.failed':
      return evolveFailed(state, run, entry);
    case 'compaction.settled':
      return evolveSettled(state, run, entry);
    case 'context.compacted': {
      const { upTo, summary, model = null } = entry.data;
      const items = compacted(state.context, upTo, { ...summary, seq: entry.seq }, state.active, model);
      startAfresh(state.context, items, entry.seq);
      return;
    }
    case 'context.restored':
      restore(state.context, entry.seq);
      return;
    default: {
      const never: never = entry;
      return never;
    }
  }
}

/** Whatever begins is what was asked for. */
function closeAsked(state: State): void {
  if (state.compactionAsked !== null) state.compactionAsked = { ...state.compactionAsked, open: false };
}

function evolveRequested(state: State, run: Run | null, entry: Of<'compaction.requested'>): void {
  const { epoch, fingerprint, cause, upTo, reserve, maxOutputTokens, draws = [], inputBytes, by = null } = entry.data;
  closeAsked(state);
  if (run !== null) {
    // The turn that is over is over: what it led to is part of what is compacted, and the next turn is a new one.
    run.misfit = null;
    flushPending(state.context, run, entry.seq);
    run.turn = null;
    if (cause === 'overflow') run.overflow = { at: 'recovering' };
  }
  const pin = run === null ? state.lastPin : run.pin;
  if (pin === null) return;
  state.lastCompaction += 1;
  state.reserved = reserve;
  state.compaction = {
    id: compactionId(state.lastCompaction),
    run: run?.id ?? null,
    cause,
    phase: { attempt: 1, epoch, notBefore: 0 },
    seq: entry.seq,
    upTo,
    fingerprint,
    pin,
    model: by === 'cheap' ? (pin.summarizer ?? pin) : by === 'native' ? readerOf(run, pin) : summarizerOf(run, pin),
    by,
    slots: state.context.slots,
    reserve,
    maxOutputTokens,
    draws,
    inputBytes: inputBytes ?? null,
    failures: 0,
  };
}

function evolveAttempted(state: State, run: Run | null, entry: Of<'compaction.attempted'>): void {
  const { compaction } = state;
  if (compaction === null) return;
  const { n, epoch, notBefore, charged, draws = [], inputBytes } = entry.data;
  if (charged !== undefined) {
    giveUp(state, compaction.id, compaction.phase.attempt);
    const usage = boundUsage(compaction.reserve, compaction.maxOutputTokens);
    const price = compaction.model.price?.id ?? null;
    book(state, run, { usage, cost: { nanoUsd: charged.nanoUsd, price } });
  }
  compaction.phase = { attempt: n, epoch, notBefore: notBefore ?? 0 };
  compaction.draws = draws;
  if (inputBytes !== undefined) compaction.inputBytes = inputBytes;
}

function evolveFailed(state: State, run: Run | null, entry: Of<'compaction.failed'>): void {
  const { compaction } = state;
  if (compaction === null) return;
  compaction.failures += 1;
  if (run !== null) run.retries += 1;
  const { reserve, maxOutputTokens, model } = compaction;
  book(state, run, billOf(entry.data.spent, reserve, maxOutputTokens, model.price));
}

function evolveSettled(state: State, run: Run | null, { data }: Of<'compaction.settled'>): void {
  const { compaction } = state;
  const isOpen = data.outcome === 'failed' && data.again === true;
  if (!isOpen) state.compactorsTried = [];
  closeAsked(state);
  if (compaction === null) return;
  book(state, run, data);
  state.reserved = { tokens: 0, nanoUsd: 0 };
  state.compaction = null;
  if (isOpen) return reopen(state, run, compaction);
  state.context.sinceCompaction = 0;
  if (data.outcome === 'done') return;
  const code = data.outcome === 'failed' ? data.code : data.outcome;
  if (code === LOST) giveUp(state, compaction.id, data.attempt);
  if (run !== null && compaction.cause === 'overflow') run.overflow = { at: 'failed', code };
}

/** M6: it is due as it was, for somebody else. */
function reopen(state: State, run: Run | null, { by, model, cause }: Compaction): void {
  state.compactorsTried = [...state.compactorsTried, compactorKey(by, model.model)];
  if (cause === 'asked' && state.compactionAsked !== null)
    state.compactionAsked = { ...state.compactionAsked, open: true };
  if (cause === 'overflow' && run !== null) run.overflow = { at: 'refused' };
}
