/**
 * Where the time, the tokens and the money went: spans of the session, its runs, turns, calls and waits, as a fold over
 * entries. What turns cost adds up to what the run and the session cost. `apply` changes the state it is given.
 */
import type { Amount, Cost, Member, Pin, Price, Spent, Usage } from '@perdure/engine';
import type { Span } from './folded.ts';
import { passedOn } from './passed.ts';
import type { Entry } from './stream.ts';
import { sumCost, sumUsage } from './sums.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Bill = { usage: Usage; cost: Cost };

export type Trace = {
  /** In the order they began; the session's own is the first. */
  readonly spans: Span[];
  /** Spans that still change, by id. */
  readonly open: Map<string, Span>;
  /** What each open model call reserved: the bill where nobody knows the true one. */
  readonly reserves: Map<string, { reserve: Amount; maxOutputTokens: number; price: Price | null }>;
  /** Of the last pin: a run that starts under the same repeats only its hash. */
  route: readonly Member[];
  /** Who summarises, where that is another model. */
  summarizer: NonNullable<Pin['summarizer']> | null;
  /** The model of the last answer; '' before there is one. */
  said: string;
};

/** A trace before any entry: the start of a fold by `applyTrace`. */
export function emptyTrace(): Trace {
  return { spans: [], open: new Map(), reserves: new Map(), route: [], summarizer: null, said: '' };
}

/** The spans of the session, or those of one run. */
export function viewTrace(state: Trace, run?: string): Span[] {
  if (run === undefined) return state.spans;
  const inside = new Set([run]);
  return state.spans.filter((span) => {
    const belongs = span.id === run || (span.parent !== null && inside.has(span.parent));
    if (belongs) inside.add(span.id);
    return belongs;
  });
}

/** Takes the next entry of the log; kinds that begin, end and cost nothing pass by. */
export function applyTrace(state: Trace, entry: Entry): Trace {
  switch (entry.kind) {
    case 'session.opened':
      begin(state, {
        ...from(entry),
        id: entry.data.id,
        parent: null,
        kind: 'session',
        name: entry.data.agent,
        status: 'open',
      });
      break;
    case 'session.forked':
      become(state, entry.data.id);
      break;
    case 'session.moved':
      mark(state.spans[0], 'moved');
      break;
    case 'session.arrived':
      mark(state.spans[0], 'open');
      break;
    case 'session.closing':
      mark(state.spans[0], 'closing');
      break;
    case 'session.closed':
      end(state, state.spans[0], entry, 'closed');
      break;
    case 'run.queued':
    case 'run.started':
    case 'run.held':
    case 'run.released':
    case 'run.cancelling':
    case 'run.limited':
    case 'run.ended':
      applyToRun(state, entry);
      break;
    case 'turn.requested':
    case 'turn.accepted':
    case 'turn.attempted':
    case 'turn.failed':
    case 'turn.settled':
    case 'compaction.requested':
    case 'compaction.attempted':
    case 'compaction.failed':
    case 'compaction.settled':
      applyToModelCall(state, entry);
      break;
    case 'call.requested':
    case 'call.attempted':
    case 'call.unknown':
    case 'call.settled':
      applyToCall(state, entry);
      break;
    case 'wait.opened':
      begin(state, {
        ...from(entry),
        id: entry.data.wait,
        parent: entry.data.call ?? entry.run ?? null,
        kind: 'wait',
        name: entry.data.kind,
        status: 'open',
      });
      break;
    case 'wait.resolved':
      end(state, state.open.get(entry.data.wait), entry, entry.data.how);
      break;
    default:
  }
  return state;
}

const from = (entry: Entry): Pick<Span, 'seq' | 'startedAt'> => ({ seq: entry.seq, startedAt: entry.at });

function begin(state: Trace, span: Span): void {
  state.spans.push(span);
  state.open.set(span.id, span);
}

/** The log goes on as another session: its spans are that one's. */
function become(state: Trace, id: string): void {
  const [root] = state.spans;
  if (root === undefined) return;
  for (const span of state.spans) if (span.parent === root.id) span.parent = id;
  state.open.delete(root.id);
  state.open.set(id, root);
  root.id = id;
  root.status = 'open';
  delete root.endedAt;
}

function mark(span: Span | undefined, status: string): void {
  if (span !== undefined) span.status = status;
}

function end(state: Trace, span: Span | undefined, entry: Entry, status: string, code?: string): void {
  if (span === undefined) return;
  span.status = status;
  span.endedAt = entry.at;
  if (code !== undefined) span.code = code;
  state.open.delete(span.id);
}

type RunEntry = Of<
  'run.queued' | 'run.started' | 'run.held' | 'run.released' | 'run.cancelling' | 'run.limited' | 'run.ended'
>;

function applyToRun(state: Trace, entry: RunEntry): void {
  if (entry.kind === 'run.queued') {
    const root = state.spans[0]?.id ?? null;
    begin(state, { ...from(entry), id: entry.run ?? '', parent: root, kind: 'run', name: 'run', status: 'queued' });
    return;
  }
  const span = state.open.get(entry.run ?? '');
  if (span === undefined) return;
  switch (entry.kind) {
    case 'run.started':
      if (span.startedAt !== entry.at) span.queuedAt = span.startedAt;
      span.startedAt = entry.at;
      span.status = 'running';
      bind(state, entry.data.pin);
      return;
    case 'run.held':
      return mark(span, 'held');
    case 'run.released':
      return mark(span, 'running');
    case 'run.cancelling':
      return mark(span, 'cancelling');
    case 'run.limited':
      span.code = entry.data.limit;
      return;
    case 'run.ended': {
      const { data } = entry;
      span.usage = data.usage;
      span.cost = data.cost;
      end(state, span, entry, data.status, 'reason' in data ? data.reason : undefined);
      return;
    }
    default: {
      const never: never = entry;
      return never;
    }
  }
}

function bind(state: Trace, pin: Pin | undefined): void {
  if (pin === undefined) return;
  state.route = [pin, ...(pin.fallbacks ?? [])];
  state.summarizer = pin.summarizer ?? null;
}

type ModelCallEntry =
  | Of<'turn.requested' | 'turn.accepted' | 'turn.attempted' | 'turn.failed' | 'turn.settled'>
  | Of<'compaction.requested' | 'compaction.attempted' | 'compaction.failed' | 'compaction.settled'>;

function beginTurn(state: Trace, entry: Of<'turn.requested'>): void {
  const id = entry.effect ?? '';
  const { reserve, maxOutputTokens, passed = [] } = entry.data;
  const member = state.route[passed.length];
  state.reserves.set(id, { reserve, maxOutputTokens, price: member?.price ?? null });
  const parent = entry.run ?? null;
  const name = member?.model ?? '';
  const span: Span = { ...from(entry), id, parent, kind: 'turn', name, status: 'running', attempts: 1 };
  const models = state.route.map(({ model }) => model);
  if (passed.length > 0) span.passed = passedOn(models, passed);
  if (state.said !== '' && state.said !== name) span.takesOver = state.said;
  if (entry.data.cached !== undefined) span.cached = entry.data.cached;
  begin(state, span);
}

function beginCompaction(state: Trace, entry: Of<'compaction.requested'>): void {
  const id = entry.effect ?? '';
  const { reserve, maxOutputTokens, model, by } = entry.data;
  const { summarizer, route } = state;
  const usual = summarizer === null || summarizer.cheap === true ? route[0] : summarizer;
  const own = model === undefined ? usual : [...route, summarizer].find((each) => each?.model === model);
  state.reserves.set(id, { reserve, maxOutputTokens, price: own?.price ?? null });
  const parent = entry.run ?? state.spans[0]?.id ?? null;
  const name = own?.model ?? '';
  const span: Span = { ...from(entry), id, parent, kind: 'compaction', name, status: 'running', attempts: 1 };
  if (by !== undefined) span.by = by;
  begin(state, span);
}

/** A turn, or what summarises the conversation before it. */
function applyToModelCall(state: Trace, entry: ModelCallEntry): void {
  const id = entry.effect ?? '';
  if (entry.kind === 'turn.requested' || entry.kind === 'compaction.requested') {
    if (entry.kind === 'turn.requested') beginTurn(state, entry);
    else beginCompaction(state, entry);
    return;
  }
  const span = state.open.get(id);
  if (span === undefined) return;
  switch (entry.kind) {
    case 'turn.accepted':
      span.response = entry.data.response;
      return;
    case 'turn.attempted':
    case 'compaction.attempted':
      span.attempts = entry.data.n;
      span.status = 'running';
      if (entry.data.charged !== undefined) book(state, span, lostBill(state, id, entry.data.charged));
      return;
    case 'turn.failed':
    case 'compaction.failed':
      span.code = entry.data.code;
      book(state, span, billOf(state, id, entry.data.spent));
      return;
    case 'turn.settled':
    case 'compaction.settled': {
      const { data } = entry;
      book(state, span, data);
      state.reserves.delete(id);
      end(state, span, entry, data.outcome, 'stop' in data ? data.stop : undefined);
      if (data.outcome === 'failed') span.code = data.code;
      else if (entry.kind === 'turn.settled' && data.outcome === 'done') state.said = span.name;
      return;
    }
    default: {
      const never: never = entry;
      return never;
    }
  }
}

function applyToCall(
  state: Trace,
  entry: Of<'call.requested' | 'call.attempted' | 'call.unknown' | 'call.settled'>,
): void {
  const id = entry.effect ?? '';
  if (entry.kind === 'call.requested') {
    const parent = id.slice(0, id.lastIndexOf('c'));
    // An unsafe call has its own entry before it flies; what else is allowed is under way.
    const flies = entry.data.decision === 'allow' && entry.data.class !== 'unsafe';
    const [status, attempts] = flies ? ['running', 1] : ['asked', 0];
    begin(state, { ...from(entry), id, parent, kind: 'call', name: entry.data.name, status, attempts });
    return;
  }
  const span = state.open.get(id);
  if (span === undefined) return;
  switch (entry.kind) {
    case 'call.attempted':
      span.attempts = entry.data.n;
      span.status = 'running';
      return;
    case 'call.unknown':
      span.status = 'unknown';
      return;
    case 'call.settled':
      span.attempts = Math.max(span.attempts ?? 0, entry.data.attempt);
      return end(state, span, entry, entry.data.outcome, entry.data.code);
    default: {
      const never: never = entry;
      return never;
    }
  }
}

const NOTHING: Usage = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' };

/** What the attempt was billed, as the engine reckons it: exactly, or at what was reserved. */
function billOf(state: Trace, id: string, spent: Spent): Bill {
  const price = state.reserves.get(id)?.price ?? null;
  switch (spent.kind) {
    case 'none':
      return { usage: NOTHING, cost: { nanoUsd: 0, price: null } };
    case 'bound':
      return lostBill(state, id, state.reserves.get(id)?.reserve ?? { tokens: 0, nanoUsd: 0 });
    case 'usage': {
      const { usage } = spent;
      if (price === null) return { usage, cost: { nanoUsd: 0, price: null } };
      const { above } = price;
      const isLong = above !== undefined && usage.input + usage.cachedInput + usage.cacheWrite > above.tokens;
      const rates = isLong ? above : price;
      const thousandfold =
        usage.input * rates.input +
        usage.cachedInput * rates.cachedInput +
        usage.cacheWrite * rates.cacheWrite +
        usage.output * rates.output;
      return { usage, cost: { nanoUsd: Math.ceil(thousandfold / 1000), price: price.id } };
    }
    default: {
      const never: never = spent;
      return never;
    }
  }
}

function lostBill(state: Trace, id: string, charged: Amount): Bill {
  const { maxOutputTokens: output = 0, price = null } = state.reserves.get(id) ?? {};
  const usage: Usage = { ...NOTHING, input: Math.max(0, charged.tokens - output), output, source: 'bound' };
  return { usage, cost: { nanoUsd: charged.nanoUsd, price: price?.id ?? null } };
}

/** Adds a bill to a model call, and with it to its run and its session. */
function book(state: Trace, turn: Span, bill: Bill): void {
  for (const span of new Set([turn, state.open.get(turn.parent ?? ''), state.spans[0]])) {
    if (span === undefined) continue;
    span.usage = span.usage === undefined ? bill.usage : sumUsage(span.usage, bill.usage);
    span.cost = span.cost === undefined ? bill.cost : sumCost(span.cost, bill.cost);
  }
}
