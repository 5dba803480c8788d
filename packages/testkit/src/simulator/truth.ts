/**
 * What is committed, as the simulation itself saw it happen: the logs, their folds, and which attempts they name.
 * Everything the system says or does is held against this.
 */
import assert from 'node:assert/strict';
import type { Amount, EffectClass, Entry, EffectId, RunId, State } from '@perdure/engine';
import {
  fold,
  freshState,
  isCallId,
  isCompactionId,
  outstanding,
  runOf,
  sessionAccount,
  wakeAt,
} from '@perdure/engine';
import { chainHash, decodeFrame, effectKey } from '@perdure/runtime';
import type { Append, Frame, Origin } from '@perdure/runtime/ports';
import { Invariants } from '../invariants.ts';
import type { Purses } from './purses.ts';
import type { Disk } from './sim.ts';

const REQUESTS: ReadonlySet<Entry['kind']> = new Set(['turn.requested', 'call.requested', 'compaction.requested']);

/** An effect that a log names, with everything that gives leave to dispatch it. */
export type Named = {
  key: string;
  session: string;
  /** Null: of a compaction between two runs. */
  run: RunId | null;
  effect: EffectId;
  class: EffectClass;
  tool: string;
  /** Of the arguments that may run: as asked, or as an approver edited them. */
  digest: string;
  /** Attempts that an entry names. */
  attempts: Set<number>;
  /** The epoch that may dispatch what was named last. */
  epoch: number;
  asks: boolean;
  /** The wait whose approval let it go ahead. */
  approvedBy: string | null;
  /** Answers that the log says can be asked for again, with the attempt that was given each. */
  answers: Map<string, number>;
  /** The last attempt that was charged without an answer. */
  writtenOff: number;
  /** How often a person said that it is to be done again. */
  retriesByPerson: number;
  settled: { seq: number; outcome: string; code: string | null } | null;
};

export type Log = {
  id: string;
  frames: Frame[];
  entries: Entry[];
  /** By seq, from 1: the hash of the frame that holds it. */
  hashes: string[];
  state: State;
  invariants: Invariants;
  /** The accepted cancel of each run that has one. */
  cancels: Map<RunId, Extract<Entry, { kind: 'run.cancelling' }>>;
  ends: Map<RunId, Extract<Entry, { kind: 'run.ended' }>>;
};

const TENANT = 'default';
/** What says who may dispatch. */
const NAMING: ReadonlySet<string> = new Set(['turn.requested', 'turn.attempted', 'call.requested', 'call.attempted']);

export class Truth {
  readonly logs = new Map<string, Log>();
  readonly effects = new Map<string, Named>();
  /** Called for each entry, in order, after it was folded. */
  readonly #seen: (log: Log, entry: Entry, named: Named | undefined) => void;

  constructor(seen: (log: Log, entry: Entry, named: Named | undefined) => void) {
    this.#seen = seen;
  }

  /** Takes what a store has just committed; `hot` is the state that the writer holds, null where it is gone. */
  commit(request: Append, hot: State | null, store: Committing): void {
    const { origin } = store;
    if (origin !== null && 'session' in origin) this.#begin(origin.session, request);
    const log = this.#log(request.session);
    const { frame } = request;
    const previous = log.frames.at(-1);
    assert.equal(frame.first, log.entries.length + 1, 'a frame begins where the log ends [P2]');
    assert.equal(frame.hash, chainHash(previous?.hash ?? '', frame.bytes), 'a frame is chained to the one before [P2]');
    const entries = decodeFrame(frame);
    assert.equal(entries.length, frame.count, 'a frame holds as many entries as it says [P2]');
    const { index } = request;
    log.frames.push({ ...frame, bytes: frame.bytes.slice() });
    const before = log.state.head;
    const flying = store.purses.flying(log.state);
    const spent = { ...log.state.spent };
    fold(entries, log.state);
    assert.equal(log.state.head, before + entries.length);
    try {
      log.invariants.observe(entries, hot);
    } catch (error) {
      // What a wrong state led to says less than that it was wrong.
      if (hot !== null && origin === null)
        assert.deepStrictEqual(hot, log.state, 'what was written comes of a state that is the fold [P3]');
      throw error;
    }
    assert.equal(index.outstanding, outstanding(log.state).length, 'the index says how much is outstanding [P7]');
    assert.equal(index.dueAt, wakeAt(log.state), 'the index says when the session wakes [P7]');
    checkBooks(log.state, store.disk.account(sessionAccount(log.state)));
    store.purses.committed(log.state, entries, flying, spent, store.disk);
    for (const entry of entries) {
      if ('epoch' in entry.data && NAMING.has(entry.kind))
        checkFence(log.id, entry.data.epoch ?? 0, request.fence, store);
      log.entries.push(entry);
      log.hashes[entry.seq] = frame.hash;
      this.#seen(log, entry, this.#name(log, entry));
    }
  }

  #log(id: string): Log {
    const known = this.logs.get(id);
    if (known !== undefined) return known;
    const log: Log = {
      id,
      frames: [],
      entries: [],
      hashes: [],
      state: freshState(),
      invariants: new Invariants(),
      cancels: new Map(),
      ends: new Map(),
    };
    this.logs.set(id, log);
    return log;
  }

  /** A fork begins with the frames of another log. None of their effects is named by it: they are that log's [F1]. */
  #begin(from: string, { session, expectedHead }: Append): void {
    assert.ok(!this.logs.has(session), `${session} is made once`);
    const log = this.#log(session);
    for (const frame of this.logs.get(from)?.frames ?? []) {
      if (frame.first > expectedHead.seq) break;
      const entries = decodeFrame(frame);
      log.frames.push(frame);
      fold(entries, log.state);
      log.invariants.observe(entries, null);
      for (const entry of entries) {
        log.entries.push(entry);
        log.hashes[entry.seq] = frame.hash;
        if (entry.kind === 'run.ended' && entry.run !== undefined) log.ends.set(entry.run, entry);
      }
    }
    assert.deepEqual([log.entries.length, log.frames.at(-1)?.hash], [expectedHead.seq, expectedHead.hash], '[P2]');
  }

  /** Whether a frame ends here: the one with this hash, where one is given. */
  isBoundary(session: string, seq: number, hash?: string): boolean {
    const frame = this.logs.get(session)?.frames.find(({ first, count }) => first + count - 1 === seq);
    return frame !== undefined && frame.hash === (hash ?? frame.hash);
  }

  /** The effect an entry is about, with what the entry says of it. */
  #name(log: Log, entry: Entry): Named | undefined {
    if (entry.kind === 'run.cancelling' && entry.run !== undefined) log.cancels.set(entry.run, entry);
    if (entry.kind === 'run.ended' && entry.run !== undefined) log.ends.set(entry.run, entry);
    if (entry.kind === 'wait.resolved') return this.#answered(log, entry);
    if (entry.effect === undefined) return undefined;
    const key = effectKey(TENANT, log.id, entry.effect);
    const named = this.effects.get(key) ?? this.#first(log, key, entry);
    if (named === undefined) return undefined;
    if ('epoch' in entry.data) named.epoch = entry.data.epoch ?? named.epoch;
    switch (entry.kind) {
      case 'turn.requested':
      case 'compaction.requested':
        named.attempts.add(1);
        break;
      case 'turn.attempted':
      case 'compaction.attempted':
        named.attempts.add(entry.data.n);
        if (entry.data.charged !== undefined) named.writtenOff = entry.data.n - 1;
        break;
      case 'turn.accepted':
        named.answers.set(entry.data.response, entry.data.attempt);
        break;
      case 'turn.failed':
      case 'compaction.failed':
        if (entry.data.spent.kind !== 'none') named.writtenOff = entry.data.attempt;
        break;
      case 'call.requested':
        named.digest = entry.data.digest;
        if (entry.data.decision === 'allow' && entry.data.class !== 'unsafe') named.attempts.add(1);
        break;
      case 'call.attempted':
        named.attempts.add(entry.data.n);
        if (entry.data.reason === 'person') named.retriesByPerson += 1;
        break;
      case 'call.settled':
        named.settled = { seq: entry.seq, outcome: entry.data.outcome, code: entry.data.code ?? null };
        break;
      case 'turn.settled':
      case 'compaction.settled':
        named.settled = {
          seq: entry.seq,
          outcome: entry.data.outcome,
          code: entry.data.outcome === 'failed' ? entry.data.code : null,
        };
        break;
      default:
    }
    return named;
  }

  #first(log: Log, key: string, entry: Entry): Named | undefined {
    const { effect } = entry;
    if (effect === undefined || !REQUESTS.has(entry.kind)) return undefined;
    const call = entry.kind === 'call.requested' ? entry.data : null;
    const named: Named = {
      key,
      session: log.id,
      run: isCompactionId(effect) ? (entry.run ?? null) : runOf(effect),
      effect,
      class: call?.class ?? 'pure',
      tool: call?.name ?? '',
      digest: call?.digest ?? '',
      attempts: new Set(),
      epoch: 0,
      asks: call?.decision === 'ask',
      approvedBy: null,
      answers: new Map(),
      writtenOff: 0,
      retriesByPerson: 0,
      settled: null,
    };
    this.effects.set(key, named);
    return named;
  }

  #answered(log: Log, entry: Extract<Entry, { kind: 'wait.resolved' }>): Named | undefined {
    const { answer, wait } = entry.data;
    const call = log.state.resolved.get(wait)?.call;
    if (call === null || call === undefined || !isCallId(call)) return undefined;
    const named = this.effects.get(effectKey(TENANT, log.id, call));
    if (named === undefined || answer?.kind !== 'approval' || answer.decision !== 'approve') return named;
    assert.equal(answer.digest, named.digest, 'an approval is of what was asked [P14]');
    assert.equal(named.approvedBy, null, 'an approval is used once [P14]');
    named.approvedBy = wait;
    named.epoch = entry.data.epoch ?? named.epoch;
    if (answer.edited !== undefined) named.digest = answer.edited.digest;
    if (named.class !== 'unsafe') named.attempts.add(1);
    return named;
  }

  entry(session: string, seq: number): Entry | undefined {
    return this.logs.get(session)?.entries[seq - 1];
  }

  head(session: string): number {
    return this.logs.get(session)?.entries.length ?? 0;
  }

  /** Whether nothing is left to do anywhere. */
  isAtRest(): boolean {
    for (const { state } of this.logs.values()) if (state.runs.size > 0 || state.compaction !== null) return false;
    return true;
  }
}

/** What the store was as it committed; `epoch` null: leases decide, at this time of its clock. */
export type Committing = { epoch: number | null; now: number; disk: Disk; origin: Origin | null; purses: Purses };

/** An attempt is named by whoever may dispatch it, or under an offer that nobody has taken. */
function checkFence(
  session: string,
  epoch: number,
  fence: Append['fence'],
  { epoch: own, now, disk }: Committing,
): void {
  if (own !== null) return assert.equal(epoch, own, 'only the process that has the data names an attempt [P6, fence]');
  const lease = disk.lease(`session/${session}`);
  assert.deepEqual(
    [epoch, fence?.holder, fence?.epoch],
    [lease?.epoch, lease?.holder, lease?.epoch],
    `an attempt of ${session} is named under its lease [P6, fence]`,
  );
  if (lease?.holder !== '')
    assert.ok(isHeld(disk, session, epoch, now), `whoever may dispatch in ${session} lives [P6, fence]`);
}

/** Whether a process lives that may dispatch the session's attempts of this epoch. */
export function isHeld(disk: Disk, session: string, epoch: number, now: number): boolean {
  const lease = disk.lease(`session/${session}`);
  if (lease?.holder === undefined || lease.holder === null || lease.holder === '' || lease.epoch !== epoch)
    return false;
  const node = disk.lease(lease.holder);
  return node?.holder === lease.holder && (node.expiresAt ?? 0) > now;
}

/** The ledger and the log cannot disagree on what a session has spent and reserved (P9). */
function checkBooks(state: State, account: { spent: Amount; reserved: Amount } | undefined): void {
  if (account === undefined) return;
  assert.deepEqual(account.spent, state.spent, `the ledger has what the log of ${state.id} says was spent [P9]`);
  assert.deepEqual(account.reserved, state.reserved, `the ledger has what ${state.id} has reserved [P9]`);
}

/** Whatever was accepted is in the conversation, once, unless its run never began. */
export function checkMessages({ entries, state }: Log): void {
  const started = new Set(entries.filter(({ kind }) => kind === 'run.started').map(({ run }) => run));
  for (const entry of entries) {
    if (entry.kind !== 'run.steered' && entry.kind !== 'run.queued') continue;
    const { digest } = entry.data.message;
    const said = state.context.items.filter((item) => item.kind === 'message' && item.body.digest === digest).length;
    const expected = entry.kind === 'run.steered' || started.has(entry.run) ? 1 : 0;
    // A summary may stand for it by now.
    if (entry.seq < state.context.compactedAt && said < expected) continue;
    assert.equal(said, expected, `${entry.data.submission} is in the conversation ${expected} times`);
  }
}
