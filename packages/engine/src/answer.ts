/** How waits end: answered (W1, W2), expired, or cancelled with their run (W3). The invariants stand in wait.ts. */
import { attemptCall, settleCall } from './call.ts';
import type { Command, Input, Rejection } from './commands.ts';
import type { Event, EventData } from './events.ts';
import type { Call, Run, State, Wait } from './state.ts';
import { attemptsOf } from './state.ts';
import type { Answer, Digest } from './values.ts';

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
  const unfit = misfit(wait, answer);
  if (unfit !== null) return unfit;
  const run = state.runs.get(wait.run);
  if (run === undefined) return { code: 'not_found', message: `run ${wait.run} has ended` };
  const data: EventData['wait.resolved'] = { wait: wait.id, how: 'answered', answer, digest: command.digest };
  if (answer.kind === 'approval' && answer.decision === 'approve') data.epoch = input.epoch;
  const resolved: Event = { kind: 'wait.resolved', run: run.id, data };
  const refs = refsOf(answer);
  if (refs.length > 0) resolved.refs = refs;
  const call = run.asked.find(({ id }) => id === wait.call);
  return [resolved, ...consequences(run, wait, call, answer, input)];
}

function misfit(wait: Wait, answer: Answer): Rejection | null {
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
  return null;
}

const refsOf = (answer: Answer): Digest[] => {
  const bodies = [
    'ref' in answer ? answer.ref : undefined,
    'note' in answer ? answer.note : undefined,
    'edited' in answer ? answer.edited?.ref : undefined,
  ];
  return bodies.flatMap((body) => (body === undefined ? [] : [body.digest]));
};

function consequences(run: Run, wait: Wait, call: Call | undefined, answer: Answer, input: Input): Event[] {
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
        : [settleCall(run, call, attempt, answer.outcome, 'by_person', answer.ref)];
    case 'tool':
      return answer.decision === 'back'
        ? [attemptCall(run, call, attempt + 1, 'tool back', input)]
        : [settleCall(run, call, attempt, 'failed', 'tool_gone')];
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
    const attempt = attemptsOf(call);
    if (wait.kind === 'timer') events.push(settleCall(run, call, attempt, 'done', 'timer'));
    else if (wait.kind === 'approval') events.push(settleCall(run, call, attempt, 'denied', 'expired'));
    else events.push(settleCall(run, call, attempt, 'failed', 'expired'));
  }
  return events;
}

/** Closes a run's waits because the run stops. An effect that may have happened stays `unknown` (P6). */
export function cancelWaits(state: State, run: Run, code: string): Event[] {
  const events: Event[] = [];
  for (const wait of state.waits.values()) {
    if (wait.run !== run.id) continue;
    events.push({ kind: 'wait.resolved', run: run.id, data: { wait: wait.id, how: 'cancelled' } });
    const call = run.asked.find(({ id }) => id === wait.call);
    if (call === undefined) continue;
    events.push(settleCall(run, call, attemptsOf(call), wait.kind === 'outcome' ? 'unknown' : 'cancelled', code));
  }
  return events;
}
