/**
 * The step: load, fold, transition, append. It is the only writer of logs. One input, one append; a stale head folds
 * again, a refusal of the ledger is folded again as a fact. Nothing is acknowledged before the append is durable.
 */
import type { Actor, Command, Effect, EffectId, Entry, Input, Receipt, Rejection, Run, State } from '@perdure/engine';
import { outstanding, transition, wakeAt } from '@perdure/engine';
import type { Agents } from '../definitions/agents.ts';
import type { Told } from '../definitions/mounted-sources.ts';
import { mountsAhead, readMounted, toldNothing } from '../definitions/mounted-sources.ts';
import type { Breaker } from '../effects/breaker.ts';
import { fingerprintOf, sealOf } from '../effects/assemble.ts';
import { sealOfCompaction } from '../effects/compaction.ts';
import { clipped } from '../effects/clip.ts';
import { encodeFrame, FrameTooLarge } from './frame.ts';
import type { Draws } from './ledger.ts';
import { drawsOf, ledgerOps } from './ledger.ts';
import { LIMITS } from '../limits.ts';
import type { PreparedTurn } from '../policy/turn.ts';
import { preparedOf, ruled } from '../policy/turn.ts';
import type { Budgets } from '../budgets/budgets.ts';
import { lastWords } from '../budgets/refusals.ts';
import type { Holding } from '../drive/holding.ts';
import type { Append, AppendResult, Body, Clock, Fence, Head, Shortage, TenantStore } from '../ports.ts';
import type { Base, Birth } from './prefix.ts';
import type { Hot } from './hot.ts';
import type { Sessions } from './sessions.ts';
import { remember } from './hot.ts';
import { notAppended } from './refused.ts';
import type { Space } from './space.ts';
import { StorageUnavailable, storageTrouble } from './storage.ts';
import type { Workspaces } from '../workspaces/workspaces.ts';
import { changedRows, indexOf } from './views.ts';

export type StepCommand = Command | { kind: 'settle'; effect: string; attempt: number; outcome: PreparedTurn };

/** An input: its id makes a doubled delivery harmless; `bodies` and `blobs` are what its command refers to. */
export type StepInput = {
  id: string;
  by: Actor;
  command: StepCommand;
  bodies: readonly Body[];
  /** Larger bodies: flushed before the append that refers to them. */
  blobs?: readonly Uint8Array[];
  title?: string;
  /** The session's id was drawn for this very input. */
  isNew?: boolean;
  /** The session begins with frames that are there already, and this input is its first of its own. */
  birth?: Birth;
};

export type StepResult =
  | { ok: true; receipt: Receipt; entries: readonly Entry[]; effects: Effect[]; wakeAt: number | null; agent: string }
  | { ok: false; rejection: Rejection };

/** Told of each durable append, in the session's order. `bodies` are those of this append. */
export type Committed = (session: string, entries: readonly Entry[], hash: string, bodies: readonly Body[]) => void;
export type Step = (session: string, input: StepInput) => Promise<StepResult>;

export type StepOptions = {
  store: TenantStore;
  sessions: Sessions;
  agents: Agents;
  breaker: Breaker;
  clock: Clock;
  /** What requests draw on above their session. */
  budgets: Pick<Budgets, 'of'>;
  /** Says under which fence attempts are named. */
  holding: Pick<Holding, 'fence' | 'born' | 'refused'>;
  committed: Committed;
  space: Space;
  workspaces: Workspaces;
  /** What must appear nowhere does not come in by a workspace either (P13). */
  redact: (text: string) => string;
};

/** Throws StorageUnavailable, KeyTaken, FrameTooLarge; what else it throws is the session's own fault. */
export function createStep(options: StepOptions): Step {
  const stepping: Step = (session, input) => options.sessions.exclusive(session, () => steps(options, session, input));
  return (session, input) => {
    const { blobs = [] } = input;
    return blobs.length === 0
      ? stepping(session, input)
      : put(options, session, blobs).then(() => stepping(session, input));
  };
}

async function put(options: StepOptions, session: string, blobs: readonly Uint8Array[]): Promise<void> {
  try {
    await Promise.all(blobs.map((blob) => options.store.blobs.put(blob)));
  } catch (error) {
    throw troubleOf(options, session, error);
  }
}

/** What a step throws for this; a full storage is told. */
function troubleOf({ space }: StepOptions, session: string, error: unknown): unknown {
  const trouble = storageTrouble(error);
  if (trouble?.code === 'storage_full') space.full(session);
  return trouble ?? error;
}

async function steps(options: StepOptions, session: string, given: StepInput): Promise<StepResult> {
  let input = given;
  const refusals: Shortage[] = [];
  for (let tries = 0; tries < LIMITS.appendTries; tries += 1) {
    try {
      const result = await attempt(options, session, input, lastWords(refusals), tries > 0);
      if (result === 'again') continue;
      if (!('ok' in result)) refusals.push(result);
      else {
        // What stops work is written into room that is kept for it: it says nothing of the rest.
        if (result.ok && result.entries.length > 0 && !STOPPING.has(input.command.kind)) options.space.taken(session);
        return result;
      }
    } catch (error) {
      // An answer that asks for more than a frame can name is refused whole; it was paid for.
      const smaller = error instanceof FrameTooLarge ? tooLarge(input) : null;
      if (smaller === null) throw troubleOf(options, session, error);
      input = smaller;
    }
  }
  const tried = `session ${session} did not come to rest after ${LIMITS.appendTries} tries`;
  throw new StorageUnavailable('unavailable', `${tried}: try again`);
}

/** The same outcome as a failed turn; null for what no smaller input can stand for. */
function tooLarge(input: StepInput): StepInput | null {
  const { command } = input;
  const prepared = preparedOf(command);
  if (prepared === null) return null;
  const detail = 'what the model asked for does not fit into one entry of the log';
  const { usage } = prepared.outcome;
  const outcome = {
    type: 'turn-failed',
    code: 'too_large',
    detail,
    retry: 'no',
    spent: { kind: 'usage', usage },
  } as const;
  return { ...input, bodies: [], command: { ...prepared, effect: prepared.effect as EffectId, outcome } };
}

/** One fold of the input: stepped, or the ledger's refusal, or `again` because the head had moved. */
async function attempt(
  options: StepOptions,
  session: string,
  step: StepInput,
  refusals: readonly Shortage[],
  isAgain: boolean,
): Promise<StepResult | Shortage | 'again'> {
  const { sessions, agents, breaker, budgets, clock, holding } = options;
  const hot = sessions.warm(session) ?? (await sessions.load(session, step.isNew === true && !isAgain));
  const base = step.birth === undefined ? null : await begin(options, hot, step.birth);
  const { state } = hot;
  // Whatever is here under this name, it is not where a sealed log arrives.
  if (base === null && step.command.kind === 'arrive') return { ok: false, rejection: isHere(session) };
  const agent = agentOf(state.agent, step);
  // What was assumed of a session that begins may be why it did not: then the store is asked.
  const isBorn = hot.head.seq === 0 || base !== null;
  const asked = holding.fence(session, isBorn && !isAgain ? agent : null);
  const fence = asked instanceof Promise ? await asked : asked;
  const { epoch } = fence;
  // As the transition takes it: time does not go back.
  const at = Math.max(clock.now(), state.at);
  const asking = budgets.of(session, agent, at);
  const drawing = asking instanceof Promise ? await asking : asking;
  const mounted = toldTo(options, agent, state, step.command);
  const told = mounted instanceof Promise ? await mounted : mounted;
  const facts: Input['facts'] = {
    pin: (config) => agents.pin(agent, config, told),
    breaker: (model) => breaker.verdict(model),
  };
  facts.budgets = drawing;
  if (refusals.length > 0) facts.refusals = refusals;
  const drawn = drawsOf(state);
  const runs = new Map<string, Run>(state.runs);
  let moved: ReturnType<typeof transition>;
  try {
    const command = ruled(hot.state, step.command, at);
    moved = sessions.transit(hot, () => transition(state, { id: step.id, at, by: step.by, epoch, command, facts }));
  } catch (error) {
    sessions.drop(session);
    throw error;
  }
  if (moved.ok && moved.entries.length > 0) {
    for (const run of state.runs.values()) runs.set(run.id, run);
    return await commit(options, hot, runs, moved, step, base, fence, drawn);
  }
  if (base !== null) sessions.drop(session);
  // Nothing follows from this input, or it is refused: that is said of the newest head only (DESIGN §3).
  else if (!(await sessions.isNewest(hot))) return 'again';
  if (state.phase === 'fresh') sessions.drop(session);
  return moved.ok ? stepped(state, moved.receipt, []) : moved;
}

/** What is mounted in runs that may begin, as far as the agent hears of it. */
function toldTo(
  { agents, workspaces, store: { blobs }, redact }: StepOptions,
  agent: string,
  state: State,
  command: StepCommand,
): Told | Promise<Told> {
  const sources = agents.get(agent)?.sources.filter(({ mounted }) => mounted !== undefined) ?? [];
  const ahead = sources.length === 0 ? [] : mountsAhead(state, command);
  return ahead.length === 0 ? toldNothing : readMounted(sources, ahead, { workspaces, blobs, redact });
}

/** A session that is to be born and is not here yet begins as what its frames lead to. */
async function begin({ sessions }: StepOptions, hot: Hot, birth: Birth): Promise<Base | null> {
  if (hot.state.phase !== 'fresh') return null;
  try {
    const base = await birth.base();
    Object.assign(hot, { state: base.state, head: base.head, title: base.title });
    return base;
  } catch (error) {
    sessions.drop(hot.id);
    throw error;
  }
}

const isHere = (session: string): Rejection => ({
  code: 'invalid_state',
  message: `session ${session} is here already, or was`,
});
/** The model that a turn goes to; '' where its run has ended by now. */
const modelOf = (state: State, { run, data }: Extract<Entry, { kind: 'turn.requested' }>): string =>
  data.model ?? (run === undefined ? undefined : state.runs.get(run)?.pin?.model) ?? '';

const stepped = (state: State, receipt: Receipt, entries: readonly Entry[]): StepResult => ({
  ok: true,
  receipt,
  entries,
  effects: outstanding(state),
  wakeAt: wakeAt(state),
  agent: state.agent,
});

async function commit(
  options: StepOptions,
  hot: Hot,
  runs: Map<string, Run>,
  moved: { entries: Entry[]; receipt: Receipt },
  step: StepInput,
  base: Base | null,
  fence: Fence,
  drawn: Draws,
): Promise<StepResult | Shortage | 'again'> {
  const { store, sessions, agents } = options;
  const { state } = hot;
  const { entries, receipt } = moved;
  const isBorn = base !== null || hot.head.seq === 0;
  if (hot.title === '' && step.title !== undefined) hot.title = clipped(step.title, LIMITS.titleChars);
  const confirmedAt = options.clock.monotonicMs();
  let isFenced = false;
  let result: AppendResult;
  try {
    seal(hot, entries);
    for (const { kind, data } of entries) {
      if (kind !== 'run.started' || data.pin === undefined) continue;
      const saving = agents.save(data.pin.manifest, store.blobs);
      if (saving instanceof Promise) await saving;
    }
    const append = appendOf(hot, runs, entries, step, fence, drawn);
    isFenced = append.fence !== undefined;
    if (base === null || step.birth === undefined) result = await store.log.append(append);
    else result = await store.log.fork(step.birth.origin, { ...append, runs: [...base.rows, ...append.runs] });
  } catch (error) {
    sessions.drop(hot.id);
    throw error;
  }
  if (!result.ok) {
    sessions.drop(hot.id);
    if (result.code === 'conflict' && (await isTombstone(store, hot, base === null ? hot.head.seq : 0, result.head)))
      return { ok: false, rejection: deleted };
    if (result.code === 'fenced' && options.holding.refused(hot.id)) return 'again';
    return notAppended(result);
  }
  if (isBorn && isFenced) options.holding.born(hot.id, fence);
  hot.head = result.head;
  hot.confirmedAt = confirmedAt;
  for (const { digest, text } of step.bodies) remember(hot, digest, text);
  for (const entry of entries) if (entry.kind === 'turn.requested') options.breaker.taken(modelOf(state, entry));
  options.committed(hot.id, entries, result.head.hash, step.bodies);
  // Written down here, saved in its own time: nobody waits for a cache.
  void sessions.snapshot(hot);
  return stepped(state, receipt, entries);
}

function appendOf(
  hot: Hot,
  runs: Map<string, Run>,
  entries: readonly Entry[],
  { bodies, command }: StepInput,
  fence: Fence,
  drawn: Draws,
): Append {
  const { state } = hot;
  const request: Append = {
    session: hot.id,
    expectedHead: hot.head,
    frame: encodeFrame(entries, hot.head.hash),
    bodies,
    ledger: ledgerOps(state, runs, entries, drawn),
    index: indexOf(state, hot.title),
    runs: changedRows(hot, runs, entries),
  };
  // Whoever says that an attempt is lost speaks as the holder, too.
  if (command.kind === 'attempt' || entries.some(namesAttempt)) request.fence = fence;
  if (STOPPING.has(command.kind)) request.urgent = true;
  return request;
}

/** What stops work is written on a full disk, too. */
export const STOPPING: ReadonlySet<StepCommand['kind']> = new Set(['cancel', 'close', 'hold', 'unqueue']);

const deleted: Rejection = { code: 'session_closed', message: 'the session was deleted: its id is not used again' };

/** A log that nobody can read, and that has a head. */
async function isTombstone(store: TenantStore, hot: Hot, known: number, head: Head): Promise<boolean> {
  return known === 0 && head.seq > 0 && (await store.log.get(hot.id)) === null;
}

/** The session's agent; of one that this very input opens, the one it names. */
function agentOf(known: string, { command }: StepInput): string {
  if (known !== '') return known;
  if (command.kind === 'open') return command.agent;
  return command.kind === 'send' ? (command.open?.agent ?? '') : '';
}

/** Entries that say who may dispatch: these carry the fence (DESIGN §7). */
const namesAttempt = ({ data }: Entry): boolean => 'epoch' in data && data.epoch !== undefined;

/** A requested turn or compaction is sealed over the context it will be built from. */
function seal(hot: Hot, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.kind === 'compaction.requested') sealCompaction(hot, entry);
    if (entry.kind !== 'turn.requested' || entry.run === undefined) continue;
    const run = hot.state.runs.get(entry.run);
    const { context } = hot.state;
    const sealed = fingerprintOf(context, run?.turn?.slots ?? context.slots, hot.prefix);
    const fingerprint = sealOf(sealed, run?.pin?.hash ?? '', entry.data.maxOutputTokens, entry.data.passed?.length);
    entry.data.fingerprint = fingerprint;
    if (run?.turn) run.turn.fingerprint = fingerprint;
  }
}

function sealCompaction(hot: Hot, entry: Extract<Entry, { kind: 'compaction.requested' }>): void {
  const { compaction, runs } = hot.state;
  if (compaction === null) return;
  const run = compaction.run === null ? undefined : runs.get(compaction.run);
  compaction.fingerprint = sealOfCompaction(hot, compaction, run ?? null);
  entry.data.fingerprint = compaction.fingerprint;
}
