/** How waits end: answered (W1, W2), expired, or cancelled with their run (W3). The invariants stand in wait.ts. */
import { unpricedOf } from './budget.ts';
import { attemptCall, honest, settleCall } from './call.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import type { Event, EventData } from './events.ts';
import type { Call, Run, State, Wait } from './state.ts';
import { attemptsOf } from './state.ts';
import type { Answer, Caps, Digest } from './values.ts';

export function resolveWait(
  state: State,
  command: Extract<Command, { kind: 'resolve' }>,
  input: Input,
): Event[] | Rejection {
  const wait = state.waits.get(command.wait);
  if (wait === undefined) return { code: 'not_found', message: `no wait ${command.wait} is open here` };
  if (wait.expiresAt !== null && wait.expiresAt <= input.at) {
    return { code: 'wait_resolved', message: `wait ${wait.id} has expired` };
  }
  const { answer } = command;
  const run = state.runs.get(wait.run);
  if (run === undefined) throw new ImpossibleState(`wait ${wait.id} is open, and its run ${wait.run} is not there`);
  const unfit = misfit(state, run, wait, answer);
  if (unfit !== null) return unfit;
  const data: EventData['wait.resolved'] = { wait: wait.id, how: 'answered', answer, digest: command.digest };
  if (answer.kind === 'approval' && answer.decision === 'approve') data.epoch = input.epoch;
  const resolved: Event = { kind: 'wait.resolved', run: run.id, data };
  const refs = refsOf(answer);
  if (refs.length > 0) resolved.refs = refs;
  const call = run.asked.find(({ id }) => id === wait.call);
  return [resolved, ...consequences(state, run, wait, call, answer, input)];
}

function misfit(state: State, run: Run, wait: Wait, answer: Answer): Rejection | null {
  if (answer.kind !== wait.kind) {
    return {
      code: 'invalid_request',
      message: `wait ${wait.id} is of kind ${wait.kind}, the answer is for ${answer.kind}`,
    };
  }
  if (answer.kind === 'approval' && answer.digest !== wait.digest) {
    return {
      code: 'invalid_request',
      message: `the digest is not the one that wait ${wait.id} asks to approve`,
      details: { expected: wait.digest ?? '', given: answer.digest },
    };
  }
  return answer.kind === 'budget' && answer.decision === 'raise' ? misfitCap(state, run, wait, answer.cap) : null;
}

function misfitCap(state: State, run: Run, wait: Wait, cap: Caps): Rejection | null {
  const short = wait.shortage?.limit === 'tokens' ? 'tokens' : 'nanoUsd';
  const wrong = (message: string): Rejection => ({ code: 'invalid_request', message });
  const account = wait.shortage?.account ?? state.id;
  if (account !== state.id) return wrong(`${account} is a budget above the session: raise it with budget set`);
  if (cap[short] === undefined) return wrong(`wait ${wait.id} is for a cap of ${short}: the answer names none`);
  for (const value of Object.values(cap)) {
    if (!Number.isSafeInteger(value) || value < 0) return wrong('a cap is a whole number, zero or more');
  }
  const unpriced = cap.nanoUsd === undefined || run.pin === null ? null : unpricedOf(run.pin);
  if (unpriced === null) return null;
  return wrong(`model ${unpriced.model} has no known price, so it cannot run under a money cap`);
}

const refsOf = (answer: Answer): Digest[] => {
  const bodies = [
    'ref' in answer ? answer.ref : undefined,
    'note' in answer ? answer.note : undefined,
    'edited' in answer ? answer.edited?.ref : undefined,
  ];
  return bodies.flatMap((body) => (body === undefined ? [] : [body.digest]));
};

function consequences(
  state: State,
  run: Run,
  wait: Wait,
  call: Call | undefined,
  answer: Answer,
  input: Input,
): Event[] {
  if (answer.kind === 'budget') {
    if (answer.decision === 'raise') {
      return [{ kind: 'budget.raised', run: run.id, data: { account: wait.shortage?.account ?? '', cap: answer.cap } }];
    }
    return [{ kind: 'run.limited', run: run.id, data: { limit: wait.shortage?.limit ?? 'money' } }];
  }
  if (call === undefined) return [];
  const attempt = attemptsOf(call);
  switch (answer.kind) {
    case 'approval':
      return answer.decision === 'approve' ? [] : [settleCall(run, call, attempt, 'denied', 'denied', answer.note)];
    case 'question':
    case 'callback':
    case 'child':
      return [settleCall(run, call, attempt, 'done', null, answer.ref)];
    case 'outcome':
      return answer.outcome === 'retry'
        ? [attemptCall(run, call, attempt + 1, 'person', input)]
        : [settleCall(run, call, 0, answer.outcome, 'by_person', answer.ref)];
    case 'tool':
      return answer.decision === 'back'
        ? [attemptCall(run, call, attempt + 1, 'tool back', input)]
        : [settleCall(run, call, attempt, honest(state, call, 0, 'failed'), 'tool_gone')];
    default: {
      const never: never = answer;
      return never;
    }
  }
}

/** Waits that came due by `at`: a timer is answered, everything else has expired. */
export function expireWaits(state: State, at: number): Event[] {
  const events: Event[] = [];
  for (const wait of state.waits.values()) {
    if (wait.expiresAt === null || wait.expiresAt > at) continue;
    const run = state.runs.get(wait.run);
    if (run === undefined) continue;
    events.push({ kind: 'wait.resolved', run: run.id, data: { wait: wait.id, how: 'expired' } });
    const call = run.asked.find(({ id }) => id === wait.call);
    if (call === undefined) continue;
    events.push(expireCall(state, run, wait, call));
  }
  return events;
}

function expireCall(state: State, run: Run, wait: Wait, call: Call): Event {
  const attempt = attemptsOf(call);
  switch (wait.kind) {
    case 'timer':
      return settleCall(run, call, attempt, 'done', 'timer');
    case 'approval':
      return settleCall(run, call, attempt, 'denied', 'expired');
    case 'question':
      return settleCall(run, call, attempt, honest(state, call, 0, 'failed'), 'expired');
    // What was begun and then not heard of may have happened (P6).
    case 'callback':
    case 'child':
      return settleCall(run, call, attempt, call.class === 'pure' ? 'failed' : 'unknown', 'expired');
    // A budget's period is over: no call waits for it.
    case 'budget':
    case 'outcome':
    case 'tool':
      throw new ImpossibleState(`wait ${wait.id} of kind ${wait.kind} has an end`);
    default: {
      const never: never = wait.kind;
      return never;
    }
  }
}

/** Closes a run's waits because the run stops. An effect that may have happened stays `unknown` (P6). */
export function cancelWaits(state: State, run: Run, code: string): Event[] {
  const events: Event[] = [];
  for (const wait of state.waits.values()) {
    if (wait.run !== run.id) continue;
    events.push({ kind: 'wait.resolved', run: run.id, data: { wait: wait.id, how: 'cancelled' } });
    const call = run.asked.find(({ id }) => id === wait.call);
    if (call === undefined) continue;
    const begun = wait.kind === 'callback' && call.class !== 'pure';
    const outcome = begun ? 'unknown' : honest(state, call, 0, 'cancelled');
    events.push(settleCall(run, call, wait.kind === 'outcome' ? 0 : attemptsOf(call), outcome, code));
  }
  return events;
}
