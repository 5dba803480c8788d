/**
 * What a run is doing or waits for, why, and what a person can do about it: sentences with the facts beside them. A fold
 * over entries (`applyProgress`); the wall time comes in, because a retry that is due is under way.
 */
import { raiseCommand } from './budgets.ts';
import type { Cause, Explanation } from './folded.ts';
import { becauseOf } from './passed.ts';
import type { CallProgress, CompactionProgress, Progress, RunProgress, WaitProgress } from './progress.ts';
import { isSettled } from './progress.ts';
import { taintedText } from './tainted.ts';

/** `now`: wall time in ms. Null: the session has no such run. */
export function explainRun(state: Progress, id: string, now: number): Explanation | null {
  const run = state.runs.get(id);
  if (run === undefined) return null;
  const causes = causesOf(state, run, now);
  const explanation: Explanation = {
    run: id,
    status: statusOf(run),
    agent: state.agent,
    turns: run.turns,
    calls: run.calls,
    retries: run.retries,
    usage: run.usage,
    cost: run.cost,
    causes,
  };
  if (run.cache.cached + run.cache.predicted > 0) explanation.cache = { ...run.cache };
  if (run.model !== null) explanation.model = run.model;
  if (state.taint.length > 0) explanation.taint = state.taint.map((source) => ({ ...source }));
  if (run.passed.length > 0) explanation.passed = [...run.passed];
  if (run.changed.length > 0) explanation.changed = run.changed.map((change) => ({ ...change }));
  if (run.phase.at !== 'ended') return explanation;
  const { end } = run.phase;
  if ('reason' in end) explanation.reason = end.reason;
  if ('detail' in end && end.detail !== undefined) explanation.detail = end.detail;
  return explanation;
}

function statusOf(run: RunProgress): Explanation['status'] {
  const { phase } = run;
  if (phase.at === 'ended') return phase.end.status;
  if (run.held) return 'held';
  if (phase.at === 'queued' || phase.at === 'cancelling') return phase.at;
  return isFlying(run) || run.waits.size === 0 ? 'running' : 'waiting';
}

function isFlying(run: RunProgress): boolean {
  if (run.turn?.at === 'flying') return true;
  const next = run.asked.find((call) => call.class !== 'pure' && !isSettled(call));
  return run.asked.some(
    (call) => call.at === 'flying' || call.at === 'verifying' || (call === next && call.at === 'ready'),
  );
}

function causesOf(state: Progress, run: RunProgress, now: number): Cause[] {
  const { phase } = run;
  if (phase.at === 'ended') return [endCause(phase.end)];
  const causes: Cause[] = [];
  if (run.held) {
    const text = 'It is held: it takes no further step until it is released.';
    causes.push({ code: 'held', text, next: 'Release the run.' });
  }
  if (phase.at === 'queued') return [...causes, queueCause(state, run)];
  if (phase.at === 'cancelling') {
    const text = `It is being cancelled (${phase.reason}): nothing more is sent out, and it ends when what is under way has stopped.`;
    causes.push({ code: 'cancelling', text });
  }
  if (phase.at === 'closing') {
    const text = `It has met its limit of ${phase.limit}: it gets one closing turn without tools, if the budget allows it, and ends as limited.`;
    causes.push({
      code: 'closing',
      text,
      next: `Raise the limit of ${phase.limit} in the configuration for the next run.`,
    });
  }
  if (run.turn?.at === 'flying') causes.push(turnCause(run, run.turn, now));
  if (state.compaction !== null && state.active === run.id) causes.push(compactionCause(state.compaction, now));
  for (const call of run.asked) {
    const cause = callCause(run, call, now);
    if (cause !== null) causes.push(cause);
  }
  for (const wait of run.waits.values()) causes.push(waitCause(state, run, wait));
  if (causes.length > 0) return causes;
  return [{ code: 'between_steps', text: 'It is between two steps: the next one is about to be taken.' }];
}

function endCause(end: Extract<RunProgress['phase'], { at: 'ended' }>['end']): Cause {
  switch (end.status) {
    case 'completed':
      return { code: 'ended', text: 'It has completed.' };
    case 'limited':
      return {
        code: 'ended',
        text: `It ended because it met its limit: ${end.reason}.`,
        next: 'Raise the limit in the configuration, and send another message to go on from here.',
      };
    case 'cancelled':
      return { code: 'ended', text: `It was cancelled: ${end.reason}.` };
    case 'failed': {
      const cause: Cause = {
        code: 'ended',
        text: `It failed: ${end.reason}${end.detail === undefined ? '' : ` (${end.detail})`}.`,
        next: FAILURES[end.reason] ?? 'Read its trace to see where it stopped.',
      };
      if (end.detail !== undefined) cause.error = end.detail;
      return cause;
    }
    default: {
      const never: never = end;
      return never;
    }
  }
}

const FAILURES: { [reason: string]: string } = {
  provider: 'Look at the provider’s error: its key, its quota, or its availability; then send the message again.',
  filtered: 'The provider’s filter stopped the answer: put the message in other words.',
  empty: 'The model answered with nothing: send the message again, or use another model.',
  invalid_output: 'The answer did not fit the agent’s output schema: simplify the schema, or use another model.',
  context: 'The conversation no longer fits the model’s window: use a model with a larger one, or open a new session.',
  quarantined: 'The session was taken out because it kept crashing its process: read the server’s log.',
};

function queueCause(state: Progress, run: RunProgress): Cause {
  const place = state.queue.indexOf(run.id);
  const behind = [...(state.active === null ? [] : [state.active]), ...state.queue.slice(0, Math.max(0, place))];
  if (behind.length > 0) {
    const runs = behind.length === 1 ? `run ${behind[0] ?? ''}` : `${behind.length} runs`;
    return { code: 'queued', text: `It is queued behind ${runs}: a session runs one at a time.`, behind };
  }
  return {
    code: 'queued',
    text: 'It is the next to start.',
    next: `If it stays so, the agent ${state.agent} is not defined in this server: look at the list of agents.`,
    behind,
  };
}

function turnCause(run: RunProgress, turn: NonNullable<RunProgress['turn']>, now: number): Cause {
  const because = becauseOf(run.passed);
  const model = `${run.model ?? 'the model'}${because === '' ? '' : ` (${because})`}`;
  const base = { effect: turn.id, attempt: turn.attempt, ...(turn.error === null ? {} : { error: turn.error }) };
  if (turn.notBefore > now) {
    const text = `Attempt ${turn.attempt} at ${model} waits until it is due: the one before ended with ${turn.error ?? 'an error'}.`;
    return { code: 'model_retry', text, ...base, retryAt: turn.notBefore };
  }
  const again = turn.attempt === 1 ? '' : `, attempt ${turn.attempt} (${turn.error ?? 'the one before failed'})`;
  const repairs = turn.repairs ? '; the answer before it did not fit the schema' : '';
  const why = turn.resumes ? `${repairs}; what the provider had begun is asked for again` : repairs;
  return {
    code: 'model_flying',
    text: `It waits for the answer of ${model} in turn ${turn.id}${again}${why}.`,
    ...base,
  };
}

const COMPACTS: { readonly [by in CompactionProgress['by']]: (model: string) => string } = {
  native: (model) => `compacted by the provider of ${model} itself`,
  cheap: (model) => `summarised by ${model}, a cheap model of the same provider`,
  named: (model) => `summarised by ${model}, which was named for it`,
  own: (model) => `summarised by ${model}, the model of the conversation`,
};

function compactionCause(compaction: NonNullable<Progress['compaction']>, now: number): Cause {
  const { id, attempt, error, notBefore, by } = compaction;
  const base = { effect: id, attempt, ...(error === null ? {} : { error }) };
  const model = compaction.model ?? 'a model';
  const text = `The conversation before it is being ${COMPACTS[by](model)}: it has grown long, or somebody asked for it.`;
  if (notBefore <= now) return { code: 'compacting', text, ...base };
  return { code: 'compacting', text: `${text} Attempt ${attempt} waits until it is due.`, ...base, retryAt: notBefore };
}

function callCause(run: RunProgress, call: CallProgress, now: number): Cause | null {
  const base = {
    effect: call.id,
    tool: call.name,
    rule: call.rule,
    ...(call.error === null ? {} : { error: call.error }),
  };
  switch (call.at) {
    case 'flying':
      if (call.notBefore > now) {
        const text = `Attempt ${call.attempt} of ${call.name} waits until it is due: the one before ended with ${call.error ?? 'an error'}.`;
        return { code: 'tool_retry', text, ...base, attempt: call.attempt, retryAt: call.notBefore };
      }
      return {
        code: 'tool_flying',
        text: `${call.name} is running, attempt ${call.attempt}; allowed by ${call.rule}.`,
        ...base,
        attempt: call.attempt,
      };
    case 'verifying':
      return {
        code: 'tool_verifying',
        text: `Nobody knows whether ${call.name} happened (${call.error ?? 'lost'}): the tool itself is asked.`,
        ...base,
        attempt: call.attempt,
      };
    case 'ready': {
      const first = run.asked.find((other) => other.class !== 'pure' && !isSettled(other));
      const text =
        first === call || first === undefined
          ? `${call.name} is about to start; allowed by ${call.rule}.`
          : `${call.name} waits for its turn behind ${first.name}: calls with effects run one after another.`;
      return { code: 'tool_ready', text, ...base };
    }
    default:
      return null;
  }
}

type Words = { code: Cause['code']; text: (what: string, wait: WaitProgress) => string; next?: string };

const WAITS: { [K in WaitProgress['kind']]: Words } = {
  approval: {
    code: 'approval',
    text: (what) => `${what} waits for a person’s approval.`,
    next: 'Approve or deny it; the answer names the digest of what was shown.',
  },
  question: {
    code: 'question',
    text: (what) => `${what} has asked a person a question.`,
    next: 'Answer the question.',
  },
  timer: { code: 'timer', text: (what) => `${what} sleeps until its time has come.` },
  callback: {
    code: 'callback',
    text: (what) => `${what} waits for a result from outside.`,
    next: 'Whoever was asked posts the result to the callback’s address.',
  },
  child: { code: 'child', text: (what) => `${what} waits for the run it started in another session.` },
  outcome: {
    code: 'outcome',
    text: (what) => `Nobody knows whether ${what} happened, and it is not safe to repeat.`,
    next: 'Find out at the other side, and say done, failed or retry.',
  },
  budget: {
    code: 'budget',
    text: (_what, { shortage }) =>
      shortage === null
        ? 'A budget is used up.'
        : `Account ${shortage.account} is short of ${shortage.limit}: the next step needs ${shortage.needed}, ${shortage.free} are free.`,
    next: 'Answer with a higher cap, or deny: then the run closes as limited.',
  },
  tool: {
    code: 'tool_missing',
    text: (what) => `${what} is not defined in this server any more.`,
    next: 'Start a server that has the tool and answer back, or answer gone: then the call fails.',
  },
};

function waitCause(state: Progress, run: RunProgress, wait: WaitProgress): Cause {
  const call = run.asked.find(({ id }) => id === wait.call);
  const words = WAITS[wait.kind];
  const cause: Cause = { code: words.code, text: words.text(call?.name ?? 'The run', wait), wait: wait.id };
  if (words.next !== undefined) cause.next = words.next;
  if (wait.expiresAt !== null) cause.expiresAt = wait.expiresAt;
  if (wait.shortage !== null) {
    cause.shortage = wait.shortage;
    const command = raiseCommand(wait.shortage.account);
    if (command !== null) cause.next = `Raise it with ${command}, or answer deny: then the run closes as limited.`;
  }
  if (call === undefined) return cause;
  cause.effect = call.id;
  cause.tool = call.name;
  if (wait.kind === 'approval') {
    cause.rule = call.rule;
    cause.text = `${call.name} waits for a person’s approval, because of ${call.rule}.${taintedText(state.taint)}`;
  }
  if (wait.kind === 'outcome' && call.error !== null) cause.error = call.error;
  return cause;
}
