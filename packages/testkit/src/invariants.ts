/**
 * The engine's numbered invariants, checked entry by entry on a log and, after each append, against the state that
 * wrote it. The names in brackets are those at the head of the engine's files and the promises of the design.
 */
import assert from 'node:assert/strict';
import type { Amount, CallId, Caps, Entry, EventKind, Pin, Run, RunId, State, TurnId, WaitId } from '@perdure/engine';
import {
  attemptsOf,
  callId,
  evolve,
  failedOver,
  flying,
  freshState,
  isClosedTo,
  membersOf,
  outstanding,
  sessionCaps,
} from '@perdure/engine';
import { Books, NOTHING } from './books.ts';

/** What one entry may weigh, whatever came before it. */
const ENTRY_MAX_CHARS = 4_096;

const DISPATCHING: ReadonlySet<EventKind> = new Set([
  'turn.requested',
  'turn.attempted',
  'call.attempted',
  'compaction.requested',
  'compaction.attempted',
]);

/** What is heard of a run when it has ended. */
const AFTERWARDS: ReadonlySet<EventKind> = new Set(['effect.late', 'workspace.changed']);

export class Invariants {
  readonly #folded: State = freshState();
  readonly #submissions = new Set<string>();
  readonly #cancelled = new Set<RunId>();
  readonly #ended = new Set<RunId>();
  /** Calls and the workspaces they are on record to have changed. */
  readonly #changed = new Set<string>();
  readonly #waits = new Map<WaitId, 'open' | 'resolved'>();
  /** How many calls the answer in the frame of this seq asked for. */
  readonly #asked = new Map<number, { turn: TurnId; calls: number }>();
  readonly #books = new Books();
  /** Before the last compaction: what the active run had been asked, and the bytes of the context. */
  #question: string[] = [];
  #bytes = 0;

  /**
   * Folds the entries and throws where one breaks an invariant. `state`: what the writer holds after them; null in the
   * middle of an append. `defined`: the session's agent can start runs here.
   */
  observe(entries: readonly Entry[], state: State | null, defined = true): void {
    for (const entry of entries) {
      try {
        this.#before(entry);
        evolve(this.#folded, entry);
        this.#after(entry);
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        assert.fail(`${said}\nbroken by ${JSON.stringify(entry)}`);
      }
    }
    if (entries.some(({ kind }) => kind === 'session.forked')) checkForked(this.#folded);
    if (state === null) return;
    assert.deepStrictEqual(this.#folded, state, 'the fold of the entries is the state that wrote them [P3]');
    checkParked(state);
    checkLive(state, defined);
  }

  #before(entry: Entry): void {
    const { run } = entry;
    assert.equal(entry.seq, this.#folded.head + 1, 'seq has no gap [P2]');
    assert.ok(entry.at >= this.#folded.at, 'at never goes back');
    assert.ok(JSON.stringify(entry).length <= ENTRY_MAX_CHARS, 'an entry is small');
    checkRefs(entry);
    this.#beforeCompaction(entry);
    if (run === undefined) return;
    if (!AFTERWARDS.has(entry.kind)) assert.ok(!this.#ended.has(run), 'run.ended is the last entry of its run');
    if (DISPATCHING.has(entry.kind)) assert.ok(!this.#cancelled.has(run), 'no attempt after a cancel [R3, P10]');
    this.#beforeRun(entry);
    const before = this.#folded.runs.get(run);
    if (before !== undefined) beforeEffect(this.#folded, before, entry);
  }

  #beforeRun(entry: Entry): void {
    switch (entry.kind) {
      case 'run.queued':
      case 'run.steered':
        assert.ok(!this.#submissions.has(entry.data.submission), 'a submission is accepted once [R2]');
        this.#submissions.add(entry.data.submission);
        break;
      case 'run.started':
        assert.equal(this.#folded.active, null, 'at most one run is active [R1]');
        break;
      case 'run.cancelling':
        this.#cancelled.add(entry.run as RunId);
        break;
      case 'run.ended':
        this.#beforeEnd(entry.run as RunId);
        break;
      case 'wait.opened':
        assert.ok(!this.#waits.has(entry.data.wait), 'a wait is opened once');
        this.#waits.set(entry.data.wait, 'open');
        break;
      case 'wait.resolved':
        assert.equal(this.#waits.get(entry.data.wait), 'open', 'a wait is resolved once [W1]');
        this.#waits.set(entry.data.wait, 'resolved');
        break;
      case 'workspace.changed':
        this.#beforeChanged(entry);
        break;
      case 'turn.settled':
        if (entry.data.outcome === 'done')
          this.#asked.set(entry.seq, { turn: entry.effect as TurnId, calls: entry.data.calls });
        break;
      default:
    }
  }

  #beforeChanged({ effect, data }: Extract<Entry, { kind: 'workspace.changed' }>): void {
    const what = `${effect ?? ''} ${data.workspace}`;
    assert.ok(!this.#changed.has(what), `what ${what} was changed is told once [S5]`);
    this.#changed.add(what);
  }

  #beforeCompaction(entry: Entry): void {
    const { active, runs, compaction, context } = this.#folded;
    const run = active === null ? undefined : runs.get(active);
    switch (entry.kind) {
      case 'turn.requested':
        assert.equal(compaction, null, 'a turn waits for the compaction that is under way [M1]');
        assert.ok(!isClosedTo(context, entry.data.model ?? run?.pin?.model ?? ''), 'its model reads the context [C5]');
        break;
      case 'context.restored':
        assert.ok(isClosedTo(context, entry.data.model), 'what it can read is not undone for a model [M7]');
        break;
      case 'compaction.requested':
        assert.equal(compaction, null, 'one compaction at a time [M1]');
        assert.equal(run?.id, entry.run, 'a compaction is the active run’s, or there is none [M1]');
        assert.deepEqual(run === undefined ? [] : flying(run), [], 'a compaction begins when nothing flies [M1]');
        for (const call of run?.asked ?? []) assert.equal(call.phase.at, 'settled', `${call.id} has its answer [M1]`);
        break;
      case 'compaction.attempted':
        assert.equal(entry.data.n, (compaction?.phase.attempt ?? 0) + 1, 'attempts follow one another [M2]');
        break;
      case 'compaction.settled':
        assert.equal(entry.data.attempt, compaction?.phase.attempt ?? 0, 'only what flies is settled [M2]');
        break;
      case 'context.compacted':
        this.#question = context.items.flatMap((item) =>
          item.kind === 'message' && item.run === active ? [item.body.digest] : [],
        );
        this.#bytes = context.totalBytes;
        break;
      default:
    }
  }

  /** [C4, M3, M4] */
  #afterCompacted(): void {
    const { context, active } = this.#folded;
    const kept = context.items.flatMap((item) =>
      item.kind === 'message' && item.run === active ? [item.body.digest] : [],
    );
    assert.deepEqual(kept, this.#question, 'what the user asked of the active run stays [M3]');
    assert.equal(context.items[0]?.kind, 'summary', 'a compacted context begins with its summary');
    assert.ok(context.totalBytes < this.#bytes, 'a compaction makes the context smaller [M4]');
    this.#checkHistory();
  }

  #beforeEnd(id: RunId): void {
    const run = this.#folded.runs.get(id);
    assert.ok(run, 'only a run that is there ends');
    assert.notEqual(this.#folded.compaction?.run, id, 'a run ends when its compaction has ended [R3]');
    assert.deepEqual(flying(run), [], 'a run ends when nothing of it flies [R3]');
    for (const call of run.asked) assert.equal(call.phase.at, 'settled', `${call.id} has its answer [C2]`);
    for (const wait of this.#folded.waits.values()) assert.notEqual(wait.run, id, 'no wait of an ended run is open');
    this.#ended.add(id);
  }

  #after(entry: Entry): void {
    const run = entry.run === undefined ? undefined : this.#folded.runs.get(entry.run);
    if (entry.kind === 'run.ended') this.#checkHistory();
    if (entry.kind === 'context.compacted') this.#afterCompacted();
    if (entry.kind === 'session.forked') this.#submissions.clear();
    if (run !== undefined) checkOrder(run);
    this.#books.enter(entry, run ?? null, this.#folded);
    if (!DISPATCHING.has(entry.kind) || entry.kind === 'call.attempted') return;
    checkBudget(this.#folded, run ?? null, run?.pin ?? this.#folded.compaction?.pin ?? null);
    this.#checkHistory();
  }

  /** Each call of each turn is answered once, directly behind its turn [C1, C2]. */
  #checkHistory(): void {
    let owed: CallId[] = [];
    for (const item of this.#folded.context.items) {
      if (item.kind === 'result') {
        assert.equal(item.call, owed.shift(), 'results stand behind their turn, in the order it asked [C1]');
        continue;
      }
      assert.deepEqual(owed, [], 'every call has its answer before the next item [C2]');
      const asked = item.kind === 'turn' ? this.#asked.get(item.body.seq) : undefined;
      if (asked !== undefined) owed = Array.from({ length: asked.calls }, (_, n) => callId(asked.turn, n));
    }
  }
}

/** Every body that data names is in refs: collection, export and forks know no kinds. */
function checkRefs(entry: Entry): void {
  const named: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('digest' in value && 'bytes' in value) named.push(String(value.digest));
    if ('manifest' in value) named.push(String(value.manifest));
    Object.values(value).forEach(visit);
  };
  visit(entry.data);
  for (const digest of named) assert.ok(entry.refs?.includes(digest), `refs name ${digest}`);
}

function beforeEffect(state: State, run: Run, entry: Entry): void {
  switch (entry.kind) {
    case 'turn.requested':
      assert.deepEqual(flying(run), [], 'a turn is requested when nothing flies');
      for (const call of run.asked) assert.equal(call.phase.at, 'settled', `${call.id} has its answer [C2]`);
      checkRoute(run, entry);
      if (entry.data.closing === undefined) {
        const counted = run.turns - failedOver(entry.data.passed ?? []);
        assert.ok(counted < (run.pin?.limits.turns ?? 0), 'turns are within their limit [R4]');
      } else assert.equal(run.turn?.closing ?? null, null, 'one closing turn [R4]');
      return;
    case 'turn.attempted':
    case 'turn.settled': {
      const phase = run.turn?.phase;
      assert.ok(phase?.at === 'flying' && run.turn?.id === entry.effect, 'only a flying turn goes on [T1]');
      const named = entry.kind === 'turn.settled' ? entry.data.attempt : entry.data.n - 1;
      assert.equal(named, phase.attempt, 'attempts follow one another [T2]');
      return;
    }
    case 'call.attempted':
    case 'call.settled':
      beforeCall(state, run, entry);
      return;
    default:
  }
}

/** A run goes along its route and never back; each turn says where it stands, and reserves there [M1, M2]. */
function checkRoute(run: Run, { data }: Extract<Entry, { kind: 'turn.requested' }>): void {
  const passed = data.passed ?? [];
  const members = run.pin === null ? [] : membersOf(run.pin);
  assert.deepEqual(passed.slice(0, run.passed.length), run.passed, 'what was passed over stays so [M1]');
  const member = members[passed.length];
  assert.ok(member, 'a turn is with a model of its route [M1]');
  assert.equal(data.model, passed.length === 0 ? undefined : member.model, 'a turn names the model it is with [M2]');
  assert.ok(data.maxOutputTokens <= member.maxOutputTokens, 'a turn asks its model for no more than it can give');
}

function beforeCall(state: State, run: Run, entry: Extract<Entry, { kind: 'call.attempted' | 'call.settled' }>): void {
  const call = run.asked.find(({ id }) => id === entry.effect);
  assert.ok(call, 'the call is one of the turn');
  assert.notEqual(call.phase.at, 'settled', 'a call has one outcome [K1]');
  if (entry.kind === 'call.attempted') {
    const { n, reason } = entry.data;
    const named = call.phase.at === 'verifying' ? attemptsOf(call) - 1 : attemptsOf(call);
    assert.equal(n, named + 1, 'attempts follow one another');
    assert.equal(run.phase.at, 'active', 'only an active run attempts a call');
    if (call.class === 'unsafe' && n > 1)
      assert.ok(['person', 'tool back'].includes(reason), 'an unsafe call is repeated only by a person [K3]');
    return;
  }
  const { outcome, code, attempt } = entry.data;
  const doubted = (state.unheard.get(call.id) ?? []).some((n) => n !== attempt);
  if (outcome === 'failed' && call.class !== 'pure' && doubted && code !== 'by_person')
    assert.equal(call.phase.at, 'verifying', 'what may have happened has not failed [K3, P6]');
}

/** Of the calls that are not pure, only the first unsettled one may fly [K4]; an unsafe one only once it was named [K2]. */
function checkOrder(run: Run): void {
  const ordered = run.asked.filter((call) => call.class !== 'pure');
  const next = ordered.findIndex((call) => call.phase.at !== 'settled');
  for (const [i, call] of ordered.entries()) {
    if (call.phase.at === 'flying' || call.phase.at === 'verifying') assert.equal(i, next, 'one after another [K4]');
  }
}

function checkBudget(state: State, run: Run | null, pin: Pin | null): void {
  const within = (caps: Caps, spent: Amount, whose: string): void => {
    if (caps.tokens !== undefined)
      assert.ok(spent.tokens + state.reserved.tokens <= caps.tokens, `the ${whose} keeps its tokens [B1, P9]`);
    if (caps.nanoUsd !== undefined)
      assert.ok(spent.nanoUsd + state.reserved.nanoUsd <= caps.nanoUsd, `the ${whose} keeps its money [B1, P9]`);
  };
  if (run !== null) within(pin?.limits ?? {}, run.spent, 'run');
  within(sessionCaps(state, pin), state.spent, 'session');
  assert.ok(run === null || run.overrun === null, 'a closed account reserves nothing [B3]');
}

function checkParked(state: State): void {
  for (const run of state.runs.values()) {
    for (const { id, phase } of run.asked) {
      if (phase.at === 'parked') assert.equal(state.waits.get(phase.wait)?.call, id, 'a parked call has its wait [W3]');
    }
  }
  for (const wait of state.waits.values()) {
    const call = state.runs.get(wait.run)?.asked.find(({ id }) => id === wait.call);
    if (wait.call !== null) assert.equal(call?.phase.at, 'parked', 'an open wait has its parked call [W3]');
  }
}

/** A fork begins with nothing that the session it comes from had open [F1]. */
function checkForked(state: State): void {
  assert.deepEqual([...state.runs.keys()], [], 'a fork has ended the runs of its prefix [F1, P5]');
  assert.deepEqual([...state.waits.keys()], [], 'a fork has closed the waits of its prefix [F1]');
  assert.deepEqual(outstanding(state), [], 'nothing of a prefix is outstanding in a fork [F1, P5]');
  assert.deepEqual(state.reserved, NOTHING, 'a fork reserves nothing for its prefix [F2]');
}

/** What has not ended makes progress, or waits for something with a name [P7]. */
function checkLive(state: State, defined: boolean): void {
  const run = state.active === null ? undefined : state.runs.get(state.active);
  if (run !== undefined) {
    const waits = [...state.waits.values()].some((wait) => wait.run === run.id);
    assert.ok(outstanding(state).length > 0 || waits || run.held, `${run.id} is live [P7]`);
    return;
  }
  const startable = state.queue.filter((id) => state.runs.get(id)?.held === false);
  if (defined && state.phase === 'open') assert.deepEqual(startable, [], 'a queued run starts when it can [P7]');
  if (state.phase === 'closing' && state.compaction === null)
    assert.fail('a closing session with no active run is closed [S3]');
}
