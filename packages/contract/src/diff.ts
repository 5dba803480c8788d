/**
 * Two sessions side by side: how far their logs are the same, and what each did from there. A fold over both; what they
 * share is told by the hashes of their frames, so that no content need be compared. Runs are set against runs in their
 * order, turns against turns, calls against calls.
 */
import type { Usage } from '@perdure/engine';
import type { Bodies } from './bodies.ts';
import { noBodies, readBody, readMessage, readResult, readTurn, textOf } from './bodies.ts';
import type { DiffRow, DiffSide, DiffStep, SessionDiff } from './diff-view.ts';
import type { Span } from './folded.ts';
import { LIMITS } from './limits.ts';
import type { Entry } from './stream.ts';
import type { Trace } from './trace.ts';
import { applyTrace, emptyTrace } from './trace.ts';
import { parse } from './transcript.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

/** A step with what it is compared by: a body that is not at hand counts by its digest. */
type Told = DiffStep & { sameAs: string };
type ToldTurn = { step: Told; calls: Told[] };
type ToldRun = { id: string; messages: Told[]; turns: ToldTurn[]; end: Told | null };

type Side = {
  trace: Trace;
  /** What the calls of turns that may still go on were asked with, by call. */
  asked: Map<string, unknown>;
  configs: Told[];
  runs: Map<string, ToldRun>;
  /** Runs that ended because the session was forked while they were open. */
  forked: string[];
  /** Steps that are kept; what comes beyond the bound counts in the sums alone. */
  steps: number;
  head: number;
  /** What was billed before the two went apart. */
  before: { usage: Usage | null; nanoUsd: number; at: number };
};

const emptySide = (): Side => ({
  trace: emptyTrace(),
  asked: new Map(),
  configs: [],
  runs: new Map(),
  forked: [],
  steps: 0,
  head: 0,
  before: { usage: null, nanoUsd: 0, at: 0 },
});

/**
 * Reads both logs from their beginning, each to its end. Only what comes after their common prefix is kept, up to
 * `LIMITS.diffRows` steps of each. Rejects with what the readers reject with.
 */
export async function diffSessions(
  left: AsyncIterable<Entry>,
  right: AsyncIterable<Entry>,
  bodies: Bodies = noBodies,
): Promise<SessionDiff> {
  const [one, two] = [left[Symbol.asyncIterator](), right[Symbol.asyncIterator]()];
  try {
    const common = emptySide();
    let [a, b] = await Promise.all([one.next(), two.next()]);
    let at = 0;
    while (a.done !== true && b.done !== true && a.value.hash === b.value.hash && a.value.seq === b.value.seq) {
      takeCommon(common, a.value, bodies);
      at = a.value.at;
      [a, b] = await Promise.all([one.next(), two.next()]);
    }
    const sides = [apart(common, at), apart(common, at)] as const;
    for (; a.done !== true; a = await one.next()) take(sides[0], a.value, bodies);
    for (; b.done !== true; b = await two.next()) take(sides[1], b.value, bodies);
    return viewOf(common.head, ...sides);
  } finally {
    await Promise.all([one.return?.(), two.return?.()]);
  }
}

/** Of what both share only what goes on is kept. */
function takeCommon(side: Side, entry: Entry, bodies: Bodies): void {
  applyTrace(side.trace, entry);
  side.head = entry.seq;
  if (entry.kind === 'turn.settled') keepAsked(side, entry, bodies);
  if (entry.kind === 'call.settled') side.asked.delete(entry.effect ?? '');
  if (entry.kind !== 'run.ended' || side.trace.open.size > 1) return;
  side.trace.spans.length = 1;
  side.asked.clear();
}

function apart(common: Side, at: number): Side {
  const side = structuredClone(common);
  const { spans, open } = side.trace;
  const [root] = spans;
  // What had ended by then is not compared.
  const going = spans.filter((span) => span === root || open.has(span.id));
  spans.splice(0, spans.length, ...going);
  side.before = { usage: root?.usage ?? null, nanoUsd: root?.cost?.nanoUsd ?? 0, at };
  return side;
}

function take(side: Side, entry: Entry, bodies: Bodies): void {
  const span = side.trace.open.get(entry.effect ?? entry.run ?? '');
  applyTrace(side.trace, entry);
  side.head = entry.seq;
  if (side.before.at === 0) side.before.at = entry.at;
  if (entry.kind === 'turn.settled') keepAsked(side, entry, bodies);
  if (side.steps >= LIMITS.diffRows) return;
  const step = stepOf(side, entry, span, bodies);
  if (step === null) return;
  side.steps += 1;
  place(side, entry, step);
}

function place(side: Side, { run: id = '' }: Entry, step: Told): void {
  if (step.kind === 'config') {
    side.configs.push(step);
    return;
  }
  const run = side.runs.get(id) ?? { id, messages: [], turns: [], end: null };
  side.runs.set(id, run);
  if (step.kind === 'message') run.messages.push(step);
  else if (step.kind === 'turn') run.turns.push({ step, calls: [] });
  else if (step.kind === 'end') run.end = step;
  else {
    const turn = run.turns.at(-1);
    // A call of a turn that both share stands by itself.
    if (turn !== undefined && step.id.startsWith(`${turn.step.id}c`)) turn.calls.push(step);
    else run.turns.push({ step: SHARED, calls: [step] });
  }
}

/** In the place of a turn that was before the two went apart. */
const SHARED: Told = { kind: 'turn', id: '', seq: 0, status: 'shared', sameAs: '' };

function keepAsked(side: Side, entry: Of<'turn.settled'>, bodies: Bodies): void {
  if (entry.data.outcome !== 'done') return;
  const calls = readTurn(entry.data.body, bodies)?.calls ?? [];
  for (const [n, call] of calls.entries()) side.asked.set(`${entry.effect ?? ''}c${n}`, parse(call.arguments));
}

function stepOf(side: Side, entry: Entry, span: Span | undefined, bodies: Bodies): Told | null {
  switch (entry.kind) {
    case 'session.configured': {
      const { instructions, ...config } = entry.data.config;
      const shown: { [name: string]: unknown } = { ...config };
      if (instructions !== undefined) shown['instructions'] = readBody(instructions, bodies) ?? instructions.digest;
      const step = {
        kind: 'config',
        id: `revision ${entry.data.revision}`,
        seq: entry.seq,
        status: 'changed',
      } as const;
      return told(step, [JSON.stringify(shown)], { arguments: cut(shown) });
    }
    case 'run.queued':
    case 'run.steered': {
      const message = readMessage(entry.data.message, bodies);
      const text = message === undefined ? undefined : textOf(message.parts);
      const step = { kind: 'message', id: entry.run ?? '', seq: entry.seq, status: entry.kind.slice(4) } as const;
      return told(step, [JSON.stringify(message?.parts) ?? entry.data.message.digest], texts(text));
    }
    case 'turn.settled':
      return turnStep(entry, span, bodies);
    case 'call.settled':
      return callStep(side, entry, span, bodies);
    case 'run.ended': {
      const reason = 'reason' in entry.data ? entry.data.reason : undefined;
      if (reason === 'fork') {
        side.forked.push(entry.run ?? '');
        return null;
      }
      const step = { kind: 'end', id: entry.run ?? '', seq: entry.seq, status: entry.data.status } as const;
      return told(step, [entry.data.status, reason ?? ''], {
        ...(reason === undefined ? {} : { code: reason }),
        ...timed(span),
      });
    }
    default:
      return null;
  }
}

function turnStep(entry: Of<'turn.settled'>, span: Span | undefined, bodies: Bodies): Told | null {
  const { data } = entry;
  if (data.outcome === 'cancelled') return null;
  const step = { kind: 'turn', id: entry.effect ?? '', seq: entry.seq, status: data.outcome } as const;
  const more = {
    ...(span === undefined ? {} : { name: span.name }),
    usage: data.usage,
    cost: data.cost,
    ...timed(span),
  };
  if (data.outcome === 'failed') return told(step, ['failed', data.code], { ...more, code: data.code });
  const turn = readTurn(data.body, bodies);
  return told(step, [turn?.text ?? data.body.digest, data.stop], { ...more, code: data.stop, ...texts(turn?.text) });
}

function callStep(side: Side, entry: Of<'call.settled'>, span: Span | undefined, bodies: Bodies): Told {
  const id = entry.effect ?? '';
  const { outcome, code, result } = entry.data;
  const args = side.asked.get(id);
  side.asked.delete(id);
  const content = readResult(result, bodies)?.content;
  const step = { kind: 'call', id, seq: entry.seq, status: outcome } as const;
  const by = [
    span?.name ?? '',
    JSON.stringify(args) ?? '',
    outcome,
    code ?? '',
    JSON.stringify(content) ?? result?.digest ?? '',
  ];
  return told(step, by, {
    ...(span === undefined ? {} : { name: span.name }),
    ...(args === undefined ? {} : { arguments: cut(args) }),
    ...(content === undefined ? {} : { result: cut(content) }),
    ...(code === undefined ? {} : { code }),
    ...timed(span),
  });
}

const told = (step: DiffStep, by: readonly string[], more: Partial<DiffStep>): Told => ({
  ...step,
  ...more,
  sameAs: JSON.stringify([step.kind, ...by]),
});

const texts = (text: string | undefined): Partial<DiffStep> => (text === undefined ? {} : { text: String(cut(text)) });

/** A long value as the beginning of its text. */
function cut(value: unknown): unknown {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= LIMITS.diffTextChars ? value : `${text.slice(0, LIMITS.diffTextChars)}…`;
}

const timed = (span: Span | undefined): { ms?: number } =>
  span?.endedAt === undefined ? {} : { ms: Math.max(0, span.endedAt - span.startedAt) };

function viewOf(common: number, a: Side, b: Side): SessionDiff {
  const rows: DiffRow[] = paired(a.configs, b.configs);
  const [left, right] = [runsOf(a), runsOf(b)];
  for (let n = 0; n < Math.max(left.length, right.length); n += 1) rows.push(...runRows(left[n], right[n]));
  const more = a.steps >= LIMITS.diffRows || b.steps >= LIMITS.diffRows || rows.length > LIMITS.diffRows;
  return { common, a: sideOf(a), b: sideOf(b), rows: rows.slice(0, LIMITS.diffRows), more };
}

/** Runs that did something after the two went apart; of one that the fork ended, only what it did. */
const runsOf = (side: Side): ToldRun[] =>
  [...side.runs.values()].filter(
    ({ id, turns }) => !side.forked.includes(id) || turns.some(({ step }) => step !== SHARED),
  );

function runRows(a: ToldRun | undefined, b: ToldRun | undefined): DiffRow[] {
  const rows = paired(a?.messages ?? [], b?.messages ?? []);
  const [left, right] = [a?.turns ?? [], b?.turns ?? []];
  for (let n = 0; n < Math.max(left.length, right.length); n += 1) {
    const [one, two] = [left[n], right[n]];
    const steps = [one?.step, two?.step].map((step) => (step === SHARED ? undefined : step));
    rows.push(...paired(listOf(steps[0]), listOf(steps[1])), ...paired(one?.calls ?? [], two?.calls ?? []));
  }
  return [...rows, ...paired(listOf(a?.end), listOf(b?.end))];
}

const listOf = (step: Told | null | undefined): Told[] => (step === null || step === undefined ? [] : [step]);

function paired(left: readonly Told[], right: readonly Told[]): DiffRow[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, n) => {
    const [a, b] = [left[n], right[n]];
    return { kind: (a ?? b ?? SHARED).kind, same: a !== undefined && a.sameAs === b?.sameAs, a: plain(a), b: plain(b) };
  });
}

function plain(step: Told | undefined): DiffStep | null {
  if (step === undefined) return null;
  const { sameAs: _, ...rest } = step;
  return rest;
}

function sideOf(side: Side): DiffSide {
  const { trace, before, forked, head } = side;
  const [root] = trace.spans;
  const isForked = ({ id }: Span): boolean => forked.some((run) => id === run || id.startsWith(`${run}t`));
  const after = (kind: Span['kind']): Span[] => trace.spans.filter((span) => span.kind === kind && !isForked(span));
  const ms = after('run').reduce(
    (sum, { startedAt, endedAt }) => sum + Math.max(0, (endedAt ?? startedAt) - Math.max(startedAt, before.at)),
    0,
  );
  return {
    session: root?.id ?? '',
    head,
    forked,
    runs: after('run').length,
    turns: after('turn').length,
    calls: after('call').length,
    usage: minus(root?.usage, before.usage),
    cost: { nanoUsd: (root?.cost?.nanoUsd ?? 0) - before.nanoUsd, price: root?.cost?.price ?? null },
    ms,
  };
}

const NOTHING: Usage = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' };

function minus(all: Usage | undefined, before: Usage | null): Usage {
  if (all === undefined) return NOTHING;
  if (before === null) return all;
  return {
    input: all.input - before.input,
    cachedInput: all.cachedInput - before.cachedInput,
    cacheWrite: all.cacheWrite - before.cacheWrite,
    output: all.output - before.output,
    reasoning: all.reasoning - before.reasoning,
    source: all.source,
  };
}
