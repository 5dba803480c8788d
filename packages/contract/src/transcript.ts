/**
 * The conversation as people read it: a fold over entries. A message stands where a model read it; what no model has
 * read yet stands at the end. `apply` owns the state it is given and changes it in place.
 */
import type { Bodies } from './bodies.ts';
import { readBody, readMessage, readResult, readTurn, textOf } from './bodies.ts';
import type { Message, Step } from './folded.ts';
import type { Entry } from './stream.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

export type Transcript = {
  readonly messages: Message[];
  /** Sent and not read yet, in the order of their arrival. */
  readonly pending: Message[];
  /** The steps of each run's last turn, by call: the only ones that still change. */
  readonly open: Map<string, Map<string, Step>>;
  /** All steps, by call: a job that one of them has started changes workspaces long after. */
  readonly steps: Map<string, Step>;
  readonly bodies: Bodies;
};

/** A conversation before any entry: the start of a fold by `applyTranscript`. `bodies` gives content by digest. */
export function emptyTranscript(bodies: Bodies): Transcript {
  return { messages: [], pending: [], open: new Map(), steps: new Map(), bodies };
}

/** All messages, oldest first. */
export function viewTranscript(state: Transcript): Message[] {
  return [...state.messages, ...state.pending];
}

/** Takes the next entry of the log; kinds that say nothing about the conversation pass by. */
export function applyTranscript(state: Transcript, entry: Entry): Transcript {
  switch (entry.kind) {
    case 'run.queued':
    case 'run.steered':
      state.pending.push(userMessage(entry, state.bodies));
      break;
    case 'run.started':
    case 'turn.requested':
      read(state, entry.run, 'read');
      break;
    case 'turn.settled':
      settleTurn(state, entry);
      break;
    case 'context.compacted':
      state.messages.push(summaryMessage(entry, state.bodies));
      break;
    case 'run.ended':
      read(state, entry.run, 'dropped');
      state.open.delete(entry.run ?? '');
      break;
    case 'call.requested':
    case 'call.attempted':
    case 'call.unknown':
    case 'call.settled':
    case 'wait.opened':
    case 'wait.resolved':
      applyToStep(state, entry);
      break;
    case 'workspace.changed': {
      const step = state.steps.get(entry.effect ?? '');
      if (step !== undefined) step.changed = [...(step.changed ?? []), { ...entry.data }];
      break;
    }
    default:
  }
  return state;
}

function userMessage(entry: Of<'run.queued' | 'run.steered'>, bodies: Bodies): Message {
  const parts = [...(readMessage(entry.data.message, bodies)?.parts ?? [])];
  return {
    seq: entry.seq,
    at: entry.at,
    run: entry.run ?? '',
    role: 'user',
    parts,
    text: textOf(parts),
    status: 'queued',
  };
}

/** A mark: what stands above it is still there to read, and no longer in what the model is sent. */
function summaryMessage(entry: Of<'context.compacted'>, bodies: Bodies): Message {
  const { summary, model } = entry.data;
  const written = readTurn(summary, bodies)?.text ?? '';
  const text = model === undefined ? written : `(compacted by the provider of ${model}: no other model can read it)`;
  return {
    seq: entry.seq,
    at: entry.at,
    run: entry.run ?? '',
    role: 'summary',
    parts: text === '' ? [] : [{ type: 'text', text }],
    text,
    status: 'complete',
  };
}

function read(state: Transcript, run: string | undefined, status: 'read' | 'dropped'): void {
  for (let index = 0; index < state.pending.length;) {
    const message = state.pending[index];
    if (message?.run !== run || message === undefined) {
      index += 1;
      continue;
    }
    state.pending.splice(index, 1);
    state.messages.push({ ...message, status });
  }
}

function settleTurn(state: Transcript, entry: Of<'turn.settled'>): void {
  const { data } = entry;
  if (data.outcome !== 'done') return;
  const turn = readTurn(data.body, state.bodies);
  const text = turn?.text ?? '';
  const message: Message = {
    seq: entry.seq,
    at: entry.at,
    run: entry.run ?? '',
    role: 'assistant',
    parts: text === '' ? [] : [{ type: 'text', text }],
    text,
    status: data.stop === 'end' || data.stop === 'calls' ? 'complete' : 'cut',
  };
  if (turn?.reasoning !== undefined) message.reasoning = turn.reasoning;
  const misfit = textOf(readMessage(data.misfit, state.bodies)?.parts ?? []);
  if (misfit !== '') message.misfit = misfit;
  const steps = new Map<string, Step>();
  if (data.calls > 0) {
    message.steps = [];
    for (let index = 0; index < data.calls; index += 1) {
      const asked = turn?.calls[index];
      const call = `${entry.effect ?? ''}c${index}`;
      const step: Step = { call, name: asked?.name ?? '', status: 'asked' };
      if (asked !== undefined) step.arguments = parse(asked.arguments);
      message.steps.push(step);
      steps.set(call, step);
      state.steps.set(call, step);
    }
  }
  state.messages.push(message);
  state.open.set(entry.run ?? '', steps);
}

/** A model's arguments as data, or as it wrote them where they are not JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

type StepEntry = Of<
  'call.requested' | 'call.attempted' | 'call.unknown' | 'call.settled' | 'wait.opened' | 'wait.resolved'
>;

function applyToStep(state: Transcript, entry: StepEntry): void {
  const step = state.open.get(entry.run ?? '')?.get(entry.effect ?? '') ?? waitingStep(state, entry);
  if (step === undefined) return;
  switch (entry.kind) {
    case 'call.requested':
      step.name = entry.data.name;
      // An unsafe call has its own entry before it flies; what else is allowed is under way.
      if (entry.data.decision === 'allow' && entry.data.class !== 'unsafe') step.status = 'running';
      return;
    case 'call.attempted':
    case 'call.unknown':
      step.status = 'running';
      return;
    case 'wait.opened':
      step.status = 'waiting';
      step.wait = entry.data.wait;
      return;
    case 'wait.resolved':
      delete step.wait;
      if (step.status === 'waiting') step.status = 'asked';
      if (entry.data.answer?.kind === 'approval') approve(step, entry.data.answer, state.bodies);
      return;
    case 'call.settled':
      settleStep(step, entry, state.bodies);
      return;
    default: {
      const never: never = entry;
      return never;
    }
  }
}

/** A wait's answer names its wait only. */
function waitingStep(state: Transcript, entry: StepEntry): Step | undefined {
  if (entry.kind !== 'wait.resolved') return undefined;
  const steps = state.open.get(entry.run ?? '')?.values() ?? [];
  for (const step of steps) if (step.wait === entry.data.wait) return step;
  return undefined;
}

type Approval = Extract<NonNullable<Of<'wait.resolved'>['data']['answer']>, { kind: 'approval' }>;

function approve(step: Step, answer: Approval, bodies: Bodies): void {
  const edited = readBody(answer.edited?.ref, bodies);
  if (edited !== undefined) step.arguments = typeof edited === 'string' ? parse(edited) : edited;
}

function settleStep(step: Step, entry: Of<'call.settled'>, bodies: Bodies): void {
  const { outcome, code, result } = entry.data;
  step.status = outcome;
  delete step.wait;
  if (code !== undefined) step.code = code;
  if (entry.data.taint !== undefined) step.taint = [...entry.data.taint];
  const body = readResult(result, bodies);
  if (body === undefined) return;
  step.result = body.content;
  if (body.details !== undefined) step.details = body.details;
}
