/**
 * Where each run of a session stands, folded from its entries: what an explanation is made of. It follows the engine's
 * own rules for what flies and what waits, without its context and budgets. `apply` changes the state it is given.
 */
import type {
  CallOutcome,
  CompactedBy,
  Cost,
  EffectClass,
  Pin,
  RunEnd,
  Shortage,
  Taint,
  TreeChanged,
  Usage,
  WaitKind,
} from '@perdure/engine';
import type { Passed } from './passed.ts';
import { passedOn, routeOf } from './passed.ts';
import { applyCompactionTo, applyToCompaction } from './progress-compaction.ts';
import type { Entry } from './stream.ts';
import { sumCost, sumUsage } from './sums.ts';
import { applyToTaint, isTrusted } from './tainted.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

export type CallProgress = {
  id: string;
  name: string;
  class: EffectClass;
  rule: string;
  verify: boolean;
  attempt: number;
  /** Why the attempt that is under way is not the first. */
  error: string | null;
  notBefore: number;
  at: 'asked' | 'ready' | 'flying' | 'parked' | 'verifying' | CallOutcome;
  /** Labels of its result. */
  taint: readonly Taint[];
};

export type TurnProgress = {
  id: string;
  attempt: number;
  error: string | null;
  notBefore: number;
  /** It repairs the answer before it. */
  repairs: boolean;
  /** It asks for an answer that an earlier attempt began. */
  resumes: boolean;
  /** Tokens of its prompt that were expected to come from a cache. */
  predicted: number;
  at: 'flying' | 'done' | 'failed' | 'cancelled';
};

export type WaitProgress = {
  id: string;
  kind: WaitKind;
  openedAt: number;
  call: string | null;
  expiresAt: number | null;
  shortage: Shortage | null;
};

export type RunProgress = {
  id: string;
  priority: number;
  trusted: boolean;
  /** Untrusted messages that its next turn reads. */
  steered: boolean;
  model: string | null;
  route: readonly string[];
  passed: readonly Passed[];
  phase:
    | { at: 'queued' }
    | { at: 'active' }
    | { at: 'closing'; limit: string }
    | { at: 'cancelling'; reason: string }
    | { at: 'ended'; end: RunEnd };
  held: boolean;
  turns: number;
  calls: number;
  retries: number;
  turn: TurnProgress | null;
  asked: CallProgress[];
  waits: Map<string, WaitProgress>;
  /** What its calls, and jobs that they started, have changed in workspaces. */
  changed: (TreeChanged & { call: string })[];
  usage: Usage;
  /** Of the prompts that were counted: their tokens, those from a cache, those that were expected from it. */
  cache: { prompt: number; cached: number; predicted: number };
  cost: Cost;
};

export type Progress = {
  agent: string;
  /** Of the last pin: a run that starts under the same repeats only its hash. */
  route: readonly string[];
  readonly runs: Map<string, RunProgress>;
  /** Runs that have not started, in the order in which they will. */
  queue: string[];
  active: string | null;
  /** What every turn of the session waits for. */
  compaction: CompactionProgress | null;
  /** Who summarises where somebody was named for it. */
  summarizer: string | null;
  /** Labels of the context, with what brought each first, as the engine keeps them. */
  taint: { label: Taint; from: string }[];
};

export type CompactionProgress = {
  id: string;
  attempt: number;
  error: string | null;
  notBefore: number;
  /** Who compacts; null: nobody knows, since nothing has run yet. */
  model: string | null;
  by: CompactedBy | 'named' | 'own';
};

/** The progress of runs before any entry: the start of a fold by `applyProgress`. */
export function emptyProgress(): Progress {
  return {
    agent: '',
    route: [],
    runs: new Map(),
    queue: [],
    active: null,
    compaction: null,
    summarizer: null,
    taint: [],
  };
}

/** Takes the next entry of the log. */
export function applyProgress(state: Progress, entry: Entry): Progress {
  if (entry.kind === 'session.opened') state.agent = entry.data.agent;
  if (entry.kind === 'run.queued') queueRun(state, entry);
  applyToCompaction(state, entry);
  applyToTaint(state, entry);
  const run = state.runs.get(entry.run ?? '');
  if (run !== undefined) {
    applyToRun(state, run, entry);
    applyToTurn(run, entry);
    applyCompactionTo(run, entry);
    applyToCall(run, entry);
    applyToWait(run, entry);
  }
  return state;
}

function queueRun(state: Progress, entry: Of<'run.queued'>): void {
  const id = entry.run ?? '';
  const { priority, mode } = entry.data;
  state.runs.set(id, {
    id,
    priority,
    trusted: isTrusted(entry.by),
    steered: false,
    model: null,
    route: [],
    passed: [],
    phase: { at: 'queued' },
    held: false,
    turns: 0,
    calls: 0,
    retries: 0,
    turn: null,
    asked: [],
    waits: new Map(),
    changed: [],
    usage: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' },
    cache: { prompt: 0, cached: 0, predicted: 0 },
    cost: { nanoUsd: 0, price: null },
  });
  // An interrupt goes first; the others stand behind everything of their priority or a higher one.
  let place = mode === 'interrupt' ? 0 : state.queue.length;
  while (place > 0 && (state.runs.get(state.queue[place - 1] ?? '')?.priority ?? 0) < priority) place -= 1;
  state.queue.splice(place, 0, id);
}

function bindTo(state: Progress, pin: Pin): void {
  state.route = routeOf(pin);
  state.summarizer = pin.summarizer === undefined || pin.summarizer.cheap === true ? null : pin.summarizer.model;
}

function applyToRun(state: Progress, run: RunProgress, entry: Entry): void {
  switch (entry.kind) {
    case 'run.started':
      if (entry.data.pin !== undefined) bindTo(state, entry.data.pin);
      run.route = state.route;
      run.model = run.route[0] ?? null;
      run.phase = { at: 'active' };
      state.queue = state.queue.filter((id) => id !== run.id);
      state.active = run.id;
      break;
    case 'run.held':
      run.held = true;
      break;
    case 'run.released':
      run.held = false;
      promote(run);
      break;
    case 'run.cancelling':
      run.phase = { at: 'cancelling', reason: entry.data.reason };
      break;
    case 'run.limited':
      run.phase = { at: 'closing', limit: entry.data.limit };
      break;
    case 'run.ended':
      run.phase = { at: 'ended', end: entry.data };
      run.usage = entry.data.usage;
      run.cost = entry.data.cost;
      run.asked = [];
      run.waits.clear();
      state.queue = state.queue.filter((id) => id !== run.id);
      if (state.active === run.id) state.active = null;
      break;
    case 'workspace.changed':
      run.changed.push({ ...entry.data, call: entry.effect ?? '' });
      break;
    default:
  }
}

function applyToTurn(run: RunProgress, entry: Entry): void {
  const { turn } = run;
  switch (entry.kind) {
    case 'turn.requested':
      run.turns += 1;
      run.model = entry.data.model ?? run.route[0] ?? null;
      run.passed = passedOn(run.route, entry.data.passed ?? []);
      run.asked = [];
      run.turn = {
        id: entry.effect ?? '',
        attempt: 1,
        error: null,
        notBefore: 0,
        repairs: entry.data.repair ?? false,
        resumes: false,
        predicted: entry.data.cached ?? 0,
        at: 'flying',
      };
      break;
    case 'turn.attempted':
      if (turn === null) break;
      turn.attempt = entry.data.n;
      turn.error = entry.data.reason;
      turn.notBefore = entry.data.notBefore ?? 0;
      turn.resumes = entry.data.resume !== undefined;
      break;
    case 'turn.failed':
      run.retries += 1;
      break;
    case 'turn.settled':
      if (turn !== null) turn.at = entry.data.outcome;
      if (entry.data.usage.source === 'provider') comparePrompt(run, entry.data.usage, turn?.predicted ?? 0);
      run.usage = sumUsage(run.usage, entry.data.usage);
      run.cost = sumCost(run.cost, entry.data.cost);
      break;
    default:
  }
}

/** What a turn's prompt was expected to take from its provider's cache, and what it took. */
function comparePrompt({ cache }: RunProgress, usage: Usage, predicted: number): void {
  const prompt = usage.input + usage.cachedInput + usage.cacheWrite;
  if (prompt === 0) return;
  cache.prompt += prompt;
  cache.cached += usage.cachedInput;
  cache.predicted += predicted;
}

function applyToCall(run: RunProgress, entry: Entry): void {
  if (entry.kind === 'call.requested') {
    const { name, rule, decision, verify } = entry.data;
    run.calls += 1;
    run.asked.push({
      id: entry.effect ?? '',
      name,
      class: entry.data.class,
      rule,
      verify: verify ?? false,
      attempt: 0,
      error: null,
      notBefore: 0,
      at: decision === 'allow' ? 'ready' : 'asked',
      taint: [],
    });
    promote(run);
    return;
  }
  const call = run.asked.find(({ id }) => id === entry.effect);
  if (call === undefined) return;
  switch (entry.kind) {
    case 'call.attempted':
      call.attempt = entry.data.n;
      call.error = entry.data.n > 1 ? entry.data.reason : null;
      call.notBefore = entry.data.notBefore ?? 0;
      if (entry.data.notBefore !== undefined) run.retries += 1;
      call.at = 'flying';
      break;
    case 'call.unknown':
      call.error = entry.data.reason;
      call.at = call.verify ? 'verifying' : 'parked';
      // Asking the tool is numbered as the next attempt.
      if (call.verify) call.attempt = entry.data.attempt + 1;
      break;
    case 'call.settled':
      call.at = entry.data.outcome;
      call.taint = entry.data.taint ?? [];
      promote(run);
      break;
    default:
  }
}

/** Pure calls fly at once; of the others only the first that is not settled, and an unsafe one after its own entry. */
function promote(run: RunProgress): void {
  if (run.phase.at !== 'active' || run.held) return;
  const next = run.asked.find((call) => call.class !== 'pure' && !isSettled(call));
  for (const call of run.asked) {
    if (call.at !== 'ready' || call.class === 'unsafe') continue;
    if (call.class !== 'pure' && call !== next) continue;
    call.at = 'flying';
    call.attempt = 1;
  }
}

/** Its outcome is recorded. */
export function isSettled(call: CallProgress): boolean {
  return !['asked', 'ready', 'flying', 'parked', 'verifying'].includes(call.at);
}

function applyToWait(run: RunProgress, entry: Entry): void {
  if (entry.kind === 'wait.opened') {
    const { wait, kind, call, expiresAt, account, limit, needed, free } = entry.data;
    const short = account !== undefined && limit !== undefined;
    run.waits.set(wait, {
      id: wait,
      kind,
      openedAt: entry.at,
      call: call ?? null,
      expiresAt: expiresAt ?? null,
      shortage: short ? { account, limit, needed: needed ?? 0, free: free ?? 0 } : null,
    });
    const parked = run.asked.find(({ id }) => id === call);
    if (parked !== undefined) parked.at = 'parked';
  }
  if (entry.kind === 'wait.resolved') {
    const wait = run.waits.get(entry.data.wait);
    run.waits.delete(entry.data.wait);
    const call = run.asked.find(({ id }) => id === wait?.call);
    const { answer } = entry.data;
    if (call === undefined || answer?.kind !== 'approval' || answer.decision !== 'approve') return;
    call.at = 'ready';
    promote(run);
  }
}
