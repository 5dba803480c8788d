/**
 * One tool call.
 *  K1 A call has at most one recorded outcome, the first (P4); later ones are evidence.
 *  K2 An unsafe call is dispatched only after its own `call.attempted`: that append is the gate (P5).
 *  K3 What may have happened is never reported as failed, and an unsafe one never repeated by us (P6).
 *  K4 Pure calls of a turn fly at once; the others one after another, in the order the model asked.
 */
import { retryAt } from './backoff.ts';
import type { Input, Outcome, RuledCall, ToolOutcome } from './commands.ts';
import type { CallOutcome, Entry, Event, EventData } from './events.ts';
import type { EffectId } from './ids.ts';
import { callId, isCallId } from './ids.ts';
import { noteOutcome, noteRequest } from './habits.ts';
import { LIMITS } from './limits.ts';
import { tellChanges } from './session.ts';
import type { Call, Run, State, Turn } from './state.ts';
import { giveUp, hear } from './state.ts';
import { taintOf } from './taint.ts';
import type { BodyRef, Digest, Located } from './values.ts';
import { openWait } from './wait.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

export function settleCall(
  run: Run,
  call: Pick<Call, 'id' | 'taint'>,
  attempt: number,
  outcome: CallOutcome,
  code: string | null,
  result?: BodyRef,
  whole?: Digest,
): Event {
  const data: EventData['call.settled'] = { attempt, outcome };
  if (code !== null) data.code = code;
  if (result !== undefined) {
    data.result = result;
    const taint = taintOf(outcome, code, call.taint ?? []);
    if (taint.length > 0) data.taint = [...taint];
  }
  const event: Event = { kind: 'call.settled', run: run.id, effect: call.id, data };
  if (result !== undefined) event.refs = whole === undefined ? [result.digest] : [result.digest, whole];
  return event;
}

export function attemptCall(run: Run, call: Call, n: number, reason: string, input: Input, notBefore?: number): Event {
  const data: EventData['call.attempted'] = { n, reason, epoch: input.epoch };
  if (notBefore !== undefined) data.notBefore = notBefore;
  return { kind: 'call.attempted', run: run.id, effect: call.id, data };
}

/** The calls a turn asked for, each with the ruling on it; what may not run is answered in the same append. */
export function requestCalls(state: State, run: Run, turn: Turn, calls: readonly RuledCall[], input: Input): Event[] {
  const events: Event[] = [];
  const stopping = run.phase.at !== 'active';
  const room = Math.min(LIMITS.callsPerTurn, Math.max(0, (run.pin?.limits.calls ?? 0) - run.calls));
  let waits = 0;
  for (const [index, ruled] of calls.entries()) {
    const id = callId(turn.id, index);
    const barred = stopping || index >= room;
    const data: EventData['call.requested'] = {
      name: ruled.name,
      providerId: ruled.providerId,
      digest: ruled.digest,
      index,
      class: ruled.class,
      timeoutMs: ruled.timeoutMs,
      rule: ruled.rule,
      decision: barred ? 'invalid' : ruled.decision.verdict,
      epoch: input.epoch,
    };
    if (ruled.verify) data.verify = true;
    if (ruled.taint !== undefined && ruled.taint.length > 0) data.taint = [...ruled.taint];
    const requested: Event = { kind: 'call.requested', run: run.id, effect: id, data };
    if (ruled.policy !== undefined) {
      data.policy = ruled.policy;
      requested.refs = [ruled.policy];
    }
    events.push(requested);
    const call = { id };
    const { decision } = ruled;
    if (stopping) events.push(settleCall(run, call, 0, 'cancelled', stopCode(run)));
    else if (index >= room) events.push(settleCall(run, call, 0, 'failed', 'call_limit'));
    else if (decision.verdict === 'invalid')
      events.push(settleCall(run, call, 0, 'failed', decision.code, decision.result));
    else if (decision.verdict === 'deny')
      events.push(settleCall(run, call, 0, 'denied', decision.code ?? 'policy', decision.result));
    else if (decision.verdict === 'ask') {
      const opening = { kind: 'approval' as const, call: id, digest: ruled.digest };
      events.push(
        openWait(
          state,
          run,
          decision.expiresAt === undefined ? opening : { ...opening, expiresAt: decision.expiresAt },
          waits,
        ),
      );
      waits += 1;
    }
  }
  return events;
}

export function stopCode(run: Run): string {
  if (run.phase.at === 'cancelling') return run.phase.reason;
  return run.phase.at === 'closing' ? run.phase.limit : 'requested';
}

/** Leave to dispatch an unsafe call for the first time; [] when it is not its turn. */
export function gateCall(run: Run, call: Call, input: Input): Event[] {
  return isGated(run, call) ? [attemptCall(run, call, 1, 'gate', input)] : [];
}

/** An unsafe call whose turn it is, and that has not been named (K2, K4). */
export function isGated(run: Run, call: Call): boolean {
  return call.phase.at === 'ready' && call.class === 'unsafe' && mayStart(run) && nextInOrder(run) === call;
}

/** A held run starts nothing new; what flies lands. */
const mayStart = (run: Run): boolean => run.phase.at === 'active' && !run.held;

/** Nobody knows what became of the flying attempt: its process is gone. */
export function loseCall(state: State, run: Run, call: Call, input: Input): Event[] {
  const { phase } = call;
  if (phase.at === 'verifying') return [unknownCall(run, call, phase.attempt, 'verify lost', input)];
  if (phase.at !== 'flying') return [];
  if (run.phase.at !== 'active') {
    return [settleCall(run, call, 0, call.class === 'pure' ? 'cancelled' : 'unknown', stopCode(run))];
  }
  if (call.class === 'unsafe') return becomeUnknown(state, run, call, phase.attempt, 'lost', input);
  return [attemptCall(run, call, phase.attempt + 1, 'lost', input)];
}

const unknownCall = (run: Run, call: Call, attempt: number, reason: string, input: Input): Event => ({
  kind: 'call.unknown',
  run: run.id,
  effect: call.id,
  data: { attempt, reason, epoch: input.epoch },
});

function becomeUnknown(state: State, run: Run, call: Call, attempt: number, reason: string, input: Input): Event[] {
  if (run.phase.at !== 'active') return [settleCall(run, call, 0, 'unknown', stopCode(run))];
  const unknown = unknownCall(run, call, attempt, reason, input);
  return call.verify ? [unknown] : [unknown, openWait(state, run, { kind: 'outcome', call: call.id })];
}

/** What is said of a call that did not succeed: `unknown` where another attempt than this one may have (K3). */
export function honest<O extends CallOutcome>(state: State, call: Call, attempt: number, outcome: O): O | 'unknown' {
  if (call.class === 'pure') return outcome;
  return state.unheard.get(call.id)?.some((n) => n !== attempt) === true ? 'unknown' : outcome;
}

/** The outcome of the attempt that flies, or of the question put to its tool. */
export function settleToolOutcome(
  state: State,
  run: Run,
  call: Call,
  attempt: number,
  outcome: ToolOutcome,
  input: Input,
): Event[] {
  const verifying = call.phase.at === 'verifying';
  switch (outcome.type) {
    case 'call':
      return settleOrRetry(state, run, call, attempt, outcome, input);
    case 'call-denied':
      return [denyCall(state, run, call, attempt, outcome)];
    case 'call-unknown':
      if (verifying) return [openWait(state, run, { kind: 'outcome', call: call.id })];
      return doubt(state, run, call, attempt, outcome.reason, input);
    case 'call-waits': {
      if (verifying) return [];
      const { wait } = outcome;
      if (run.phase.at !== 'active') {
        // What reports through a callback has begun (K3).
        const begun = wait.kind === 'callback' && call.class !== 'pure';
        const said = begun ? 'unknown' : honest(state, call, attempt, 'cancelled');
        return [settleCall(run, call, attempt, said, stopCode(run))];
      }
      if (wait.kind === 'timer') return [openWait(state, run, { kind: 'timer', call: call.id, expiresAt: wait.dueAt })];
      return [openWait(state, run, { ...wait, call: call.id })];
    }
    case 'call-homeless':
      return [openWait(state, run, { kind: verifying ? 'outcome' : 'tool', call: call.id })];
    default: {
      const never: never = outcome;
      return never;
    }
  }
}

/** Nothing left for this attempt; of an earlier one nobody may know (K3). */
function denyCall(
  state: State,
  run: Run,
  call: Call,
  attempt: number,
  { rule, policy, result }: Extract<ToolOutcome, { type: 'call-denied' }>,
): Event {
  const event = settleCall(run, { id: call.id }, attempt, honest(state, call, attempt, 'denied'), 'policy', result);
  if (event.kind !== 'call.settled') return event;
  const data = { ...event.data, rule };
  return policy === undefined
    ? { ...event, data }
    : { ...event, refs: [...(event.refs ?? []), policy], data: { ...data, policy } };
}

/**
 * It may have happened. A read is read again, a key makes asking again harmless; without one, or when the retries are
 * used up, only the tool or a person can tell.
 */
function doubt(state: State, run: Run, call: Call, attempt: number, reason: string, input: Input): Event[] {
  const mayRetry = call.class !== 'unsafe' && run.phase.at === 'active';
  const notBefore = mayRetry ? retryAt('now', call.failures, run, `${state.id}/${call.id}`, input.at) : null;
  if (notBefore !== null)
    return [
      unknownCall(run, call, attempt, reason, input),
      attemptCall(run, call, attempt + 1, reason, input, notBefore),
    ];
  if (call.class !== 'pure') return becomeUnknown(state, run, call, attempt, reason, input);
  if (run.phase.at === 'active') return [settleCall(run, call, attempt, 'failed', reason)];
  return [settleCall(run, call, attempt, 'cancelled', stopCode(run))];
}

/**
 * What another attempt than the flying one says of an unsettled call. `done` is the call's outcome; that the attempt a
 * person is asked about failed answers the question. Null: it settles nothing.
 */
export function settleLate(
  state: State,
  run: Run,
  call: Call,
  attempt: number,
  outcome: Extract<ToolOutcome, { type: 'call' }>,
): Event[] | null {
  if (state.unheard.get(call.id)?.includes(attempt) !== true) return null;
  const speaks = call.phase.at !== 'flying' && honest(state, call, attempt, outcome.outcome) === outcome.outcome;
  if (outcome.outcome !== 'done' && !speaks) return null;
  const settled = settleTold(run, call, attempt, outcome.outcome, outcome);
  if (call.phase.at !== 'parked') return [settled];
  const { wait } = call.phase;
  return [{ kind: 'wait.resolved', run: run.id, data: { wait, how: 'cancelled' } }, settled];
}

/** The end of a call as its tool told it: with what a search found, and whose words it holds. */
function settleTold(
  run: Run,
  { id, taint = [] }: Call,
  attempt: number,
  said: CallOutcome,
  { outcome, code, result, whole, found = [], taint: heard = [] }: Extract<ToolOutcome, { type: 'call' }>,
): Event {
  const call = { id, taint: [...new Set([...taint, ...heard])] };
  const event = settleCall(run, call, attempt, said, code ?? null, result, whole);
  if (event.kind !== 'call.settled' || outcome !== 'done' || found.length === 0) return event;
  return { ...event, data: { ...event.data, found: found.slice(0, LIMITS.toolsFound) } };
}

function settleOrRetry(
  state: State,
  run: Run,
  call: Call,
  attempt: number,
  outcome: Extract<ToolOutcome, { type: 'call' }>,
  input: Input,
): Event[] {
  const { retry } = outcome;
  const mayRetry =
    outcome.outcome === 'failed' &&
    retry !== undefined &&
    call.class !== 'unsafe' &&
    call.phase.at === 'flying' &&
    run.phase.at === 'active';
  const notBefore = mayRetry ? retryAt(retry, call.failures, run, `${state.id}/${call.id}`, input.at) : null;
  if (notBefore === null) {
    // A tool that was asked speaks for all attempts; an attempt that failed, for itself.
    const sure = outcome.outcome === 'done' || call.phase.at === 'verifying';
    const said = sure ? outcome.outcome : honest(state, call, attempt, outcome.outcome);
    return [settleTold(run, call, attempt, said, outcome)];
  }
  const code = outcome.code ?? 'failed';
  const failed: Event = { kind: 'call.failed', run: run.id, effect: call.id, data: { attempt, code } };
  return [failed, attemptCall(run, call, attempt + 1, code, input, notBefore)];
}

/** What the call has changed, before what is said of its end. Where another attempt follows, that one says it. */
export function withTrees(state: State, effect: EffectId, outcome: Outcome, events: Event[]): Event[] {
  if (!('changed' in outcome) || !isCallId(effect) || events.some(({ kind }) => kind === 'call.attempted'))
    return events;
  return [...tellChanges(state, effect, outcome.changed ?? []), ...events];
}

/** Answers what has not flown, because the run stops; what flies is aborted and awaited. */
export function stopCalls(run: Run): Event[] {
  const code = stopCode(run);
  return run.asked.flatMap((call) => {
    if (call.phase.at === 'asked' || call.phase.at === 'ready') return [settleCall(run, call, 0, 'cancelled', code)];
    if (call.phase.at === 'verifying') return [settleCall(run, call, 0, 'unknown', code)];
    return [];
  });
}

/** The first call that is not pure and not settled: the only one of those that may fly (K4). */
export function nextInOrder(run: Run): Call | undefined {
  return run.asked.find((call) => call.class !== 'pure' && call.phase.at !== 'settled');
}

/** What has leave to fly, flies: named by its `call.requested` or by the answer that allowed it. Unsafe calls wait for their gate. */
export function promoteCalls(run: Run): void {
  if (!mayStart(run)) return;
  const next = nextInOrder(run);
  for (const call of run.asked) {
    if (call.phase.at !== 'ready' || call.class === 'unsafe') continue;
    if (call.class === 'pure' || call === next)
      call.phase = { at: 'flying', attempt: 1, epoch: call.phase.epoch, notBefore: 0 };
  }
}

export function evolveCallRequested(state: State, run: Run, entry: Of<'call.requested'>): void {
  const { data } = entry;
  const turn = run.turn;
  if (turn === null || turn.body === null) return;
  run.calls += 1;
  noteRequest(state, run.id, data.digest);
  run.asked.push({
    id: callId(turn.id, data.index),
    name: data.name,
    providerId: data.providerId,
    class: data.class,
    timeoutMs: data.timeoutMs,
    verify: data.verify ?? false,
    ...(data.taint === undefined ? {} : { taint: data.taint }),
    digest: data.digest,
    rule: data.rule,
    ...(data.policy === undefined ? {} : { policy: data.policy }),
    arguments: { at: 'turn', body: turn.body, index: data.index },
    failures: 0,
    phase: data.decision === 'allow' ? { at: 'ready', epoch: data.epoch } : { at: 'asked' },
  });
}

export function evolveCall(
  state: State,
  run: Run,
  call: Call,
  entry: Of<'call.attempted' | 'call.failed' | 'call.unknown' | 'call.settled'>,
): void {
  switch (entry.kind) {
    case 'call.attempted': {
      const { n, epoch, notBefore } = entry.data;
      // A retry has its backoff, and uses up the budget of retries. Without one, what flew was lost with its process.
      if (notBefore === undefined && call.phase.at === 'flying') giveUp(state, call.id, call.phase.attempt);
      if (notBefore !== undefined) {
        call.failures += 1;
        run.retries += 1;
      }
      call.phase = { at: 'flying', attempt: n, epoch, notBefore: notBefore ?? 0 };
      return;
    }
    case 'call.failed':
      return;
    case 'call.unknown': {
      const { attempt, epoch } = entry.data;
      if (call.phase.at === 'flying') giveUp(state, call.id, attempt);
      // Where no tool can be asked, the wait or the attempt that follows in this append says what becomes of it.
      if (call.verify) call.phase = { at: 'verifying', attempt: attempt + 1, epoch };
      return;
    }
    case 'call.settled': {
      const { attempt, outcome, code, result, taint, found = [] } = entry.data;
      if (call.phase.at === 'flying' && call.phase.attempt !== attempt) giveUp(state, call.id, call.phase.attempt);
      hear(state, call.id, attempt);
      const located: Located | null = result === undefined ? null : { ...result, seq: entry.seq };
      noteOutcome(state, run.id, call.name, outcome, code ?? null, entry.at);
      call.phase = { at: 'settled', attempt, outcome, code: code ?? null, result: located };
      if (taint !== undefined) call.phase.taint = taint;
      if (found.length > 0) state.context.found = join(state.context.found, found);
      return;
    }
    default: {
      const never: never = entry;
      return never;
    }
  }
}

const join = (known: readonly string[], found: readonly string[]): readonly string[] =>
  [...known, ...found.filter((name) => !known.includes(name))].slice(0, LIMITS.foundTools);
