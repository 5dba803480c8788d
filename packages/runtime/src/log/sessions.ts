/**
 * Sessions folded in memory. One owner at a time: whatever reads or changes a hot session holds its lock, so nobody
 * sees a state whose append is still under way.
 */
import type { Located, State } from '@perdure/engine';
import { decodeState, encodeState, freshState } from '@perdure/engine';
import type { Soon } from '../soon.ts';
import { begun } from '../soon.ts';
import type { Hot } from './hot.ts';
import { blank, catchUpWith, remember } from './hot.ts';
import { LIMITS } from '../limits.ts';
import type { Marks } from './marks.ts';
import { noMarks } from './marks.ts';
import { prefixIn, snapshotChecksum, textOfPrefix } from './snapshots.ts';
import type { Clock, Digest, Logger, Snapshot, TenantStore } from '../ports.ts';

/** Content that was erased, or that the store lost. */
export class BodyMissing extends Error {
  readonly code = 'blob_missing';
}

export type SessionsOptions = {
  store: TenantStore;
  clock: Clock;
  /** Hash of the engine's sources. */
  engineHash: string;
  logger: Logger;
  /** How many stay in memory, about. */
  hotSessions?: number;
  /** Other processes write, too (default: none does). */
  isShared?: boolean;
  /** Told of each fold as it begins and ends. */
  marks?: Marks;
  /** A log was read up to `head`: it may hold what nobody here was told of. */
  loaded?: (session: string, head: number) => void;
};

/** The states that logs lead to. Snapshots by other sources of the engine are not believed. */
export class Sessions {
  readonly #store: TenantStore;
  readonly #clock: Clock;
  readonly #engine: string;
  readonly #logger: Logger;
  readonly #hot = new Map<string, Hot>();
  /** Sessions that somebody works on, each with those that wait for it; null: nobody does. */
  readonly #locks = new Map<string, (() => void)[] | null>();
  readonly #limit: number;
  #trimming = false;

  readonly #loaded: (session: string, head: number) => void;
  readonly #marks: Marks;
  readonly #isShared: boolean;

  constructor(options: SessionsOptions) {
    this.#loaded = options.loaded ?? (() => {});
    this.#isShared = options.isShared ?? false;
    this.#marks = options.marks ?? noMarks;
    this.#limit = options.hotSessions ?? LIMITS.hotSessions;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#engine = `${options.engineHash} ${SNAPSHOT_FORM}`;
    this.#logger = options.logger;
  }

  get size(): number {
    return this.#hot.size;
  }

  /**
   * The session as whoever asks must see it: what another process has shown to somebody is here, too, though nothing was
   * heard of it yet. `since` (monotonic ms; default now): when it was asked for, and what the store has confirmed after that
   * needs no second look. Call it with the lock.
   */
  shown(id: string, since: number = this.#clock.monotonicMs()): Soon<Hot> {
    return this.#isShared ? this.#shownSince(id, since) : this.current(id, LIMITS.confirmedMs);
  }

  async #shownSince(id: string, since: number): Promise<Hot> {
    const isRead = !this.#hot.has(id);
    const hot = await this.load(id);
    return isRead || hot.confirmedAt > since || (await this.isNewest(hot)) ? hot : this.load(id);
  }

  /** Runs `work` alone on this session, in the order of asking. */
  exclusive<T>(id: string, work: () => Promise<T>): Promise<T> {
    const line = this.#locks.get(id);
    if (line === undefined) {
      // What `work` asks for at once already waits for its end.
      this.#locks.set(id, null);
      return this.#inTurn(id, work);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    if (line === null) this.#locks.set(id, [resolve]);
    else line.push(resolve);
    return promise.then(() => this.#inTurn(id, work));
  }

  #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const release = (): void => {
      const next = this.#locks.get(id)?.shift();
      if (next === undefined) this.#locks.delete(id);
      else next();
    };
    const working = begun(work);
    working.then(release, release);
    return working;
  }

  /**
   * The folded session; a fresh one where the store has none. `isNew`: nobody can have written under this id, and the
   * store is not asked; should it have a log all the same, the append meets its head. Call it with the lock.
   */
  async load(id: string, isNew = false): Promise<Hot> {
    const known = this.warm(id);
    if (known !== null) return known;
    const at = this.#clock.monotonicMs();
    const row = isNew ? null : await this.#store.log.get(id);
    const hot = (row === null ? null : await this.#fromSnapshot(id)) ?? blank(id, freshState());
    hot.confirmedAt = at;
    if (row !== null) {
      await this.#catchUp(hot);
      hot.title = row.title;
    }
    hot.watched = hot.head.seq > 0 ? LIMITS.watchedTransitions : 0;
    this.#used(hot);
    this.#loaded(id, hot.head.seq);
    if (this.#hot.size > this.#limit) void this.#trim();
    return hot;
  }

  /** What `load` gives, where that is in memory. Call it with the lock. */
  warm(id: string): Hot | null {
    const known = this.#hot.get(id);
    return known === undefined ? null : this.#usedAgain(known);
  }

  /** To the end of the line of those that leave. */
  #used(hot: Hot): Hot {
    hot.usedAt = this.#clock.monotonicMs();
    hot.movedAt = hot.usedAt;
    this.#hot.delete(hot.id);
    this.#hot.set(hot.id, hot);
    return hot;
  }

  /** The line is in order to about a quarter of a second: to go to its end costs more than most else of a use. */
  #usedAgain(hot: Hot): Hot {
    const now = this.#clock.monotonicMs();
    if (now - hot.movedAt >= LIMITS.hotOrderMs) return this.#used(hot);
    hot.usedAt = now;
    return hot;
  }

  /** Keeps the number of hot sessions bounded between two sweeps. The log is the truth, so anyone idle may go. */
  async #trim(): Promise<void> {
    if (this.#trimming) return;
    this.#trimming = true;
    try {
      for (const hot of this.#hot.values()) {
        if (this.#hot.size <= this.#limit) return;
        const going = this.#locks.has(hot.id) ? undefined : this.#letGo(hot);
        if (going instanceof Promise) await going;
      }
    } finally {
      this.#trimming = false;
    }
  }

  /**
   * As `load`, and read anew where somebody else has written meanwhile: what was last confirmed by the store longer than
   * `withinMs` ago is held against it. Call it with the lock.
   */
  current(id: string, withinMs: number): Soon<Hot> {
    const hot = this.warm(id);
    const isConfirmed = hot !== null && this.#clock.monotonicMs() - hot.confirmedAt < withinMs;
    return isConfirmed ? hot : this.#confirmed(id, withinMs);
  }

  async #confirmed(id: string, withinMs: number): Promise<Hot> {
    const hot = await this.load(id);
    if (this.#clock.monotonicMs() - hot.confirmedAt < withinMs || (await this.isNewest(hot))) return hot;
    return this.load(id);
  }

  /** Whether nobody else has written to its log since. Call it with the lock; a session that is not is dropped. */
  async isNewest(hot: Hot): Promise<boolean> {
    const at = this.#clock.monotonicMs();
    const row = await this.#store.log.get(hot.id);
    if ((row?.head.seq ?? 0) !== hot.head.seq) {
      this.drop(hot.id);
      return false;
    }
    hot.confirmedAt = at;
    return true;
  }

  /** Null where there is none to believe: then the log alone says what is so. */
  async #fromSnapshot(id: string): Promise<Hot | null> {
    const snapshot = await this.#store.snapshots.load(id);
    if (snapshot === null || snapshot.engine !== this.#engine) return null;
    const [frame] = await this.#store.log.read(id, { after: snapshot.seq - 1, limit: 1 });
    const isOfLog =
      frame !== undefined && frame.hash === snapshot.hash && frame.first + frame.count - 1 === snapshot.seq;
    if (!isOfLog || snapshot.checksum !== snapshotChecksum(snapshot)) {
      this.#logger.warn({ session: id }, 'a snapshot does not fit its log and is dropped');
      await this.#store.snapshots.drop(id);
      return null;
    }
    const hot = this.alone(id, () => blank(id, decodeState(snapshot.state)));
    hot.head = { seq: snapshot.seq, hash: snapshot.hash };
    hot.prefix = prefixIn(snapshot.prefix) ?? hot.prefix;
    hot.snapshotAt = snapshot.seq;
    return hot;
  }

  async #catchUp(hot: Hot): Promise<void> {
    for (;;) {
      const frames = await this.#store.log.read(hot.id, { after: hot.head.seq, limit: LIMITS.readFrames });
      if (frames.length > 0) this.alone(hot.id, () => catchUpWith(hot, frames));
      if (frames.length < LIMITS.readFrames) return;
    }
  }

  /** Runs work in one go that is this session's alone, and is known for it if the process dies. */
  alone<T>(id: string, work: () => T): T {
    this.#marks.enter(id);
    try {
      return work();
    } finally {
      this.#marks.leave();
    }
  }

  /** The same for a transition. What kills a process again after its restart does so in the first ones after a load. */
  transit<T>(hot: Hot, work: () => T): T {
    if (hot.watched === 0) return work();
    hot.watched -= 1;
    return this.alone(hot.id, work);
  }

  /** The log reaches to `head`, as somebody told: what is behind it is held against the store by the next who reads it. */
  heard(id: string, head: number): void {
    const hot = this.#hot.get(id);
    if (hot !== undefined && hot.head.seq < head) hot.confirmedAt = OUT_OF_DATE;
  }

  /** The hot session, if it is in memory; for reading bodies only. */
  peek(id: string): Pick<Hot, 'id' | 'bodies'> | undefined {
    return this.#hot.get(id);
  }

  /**
   * The state in memory, for a look without the lock: what it says may not be in its log yet. Null where none is there, or
   * where somebody is known to have written more.
   */
  believed(id: string): State | null {
    const hot = this.#hot.get(id);
    return hot === undefined || hot.confirmedAt === OUT_OF_DATE ? null : hot.state;
  }

  /** Forgets what is in memory: its append failed, or another writer is ahead. The log is the truth. */
  drop(id: string): void {
    this.#hot.delete(id);
  }

  /** The text of a body: lately used, in its frame, or in the blob store. */
  body(hot: Pick<Hot, 'id' | 'bodies'>, located: Located): Soon<string> {
    return hot.bodies.get(located.digest) ?? this.#read(hot, located);
  }

  async #read(hot: Pick<Hot, 'id' | 'bodies'>, located: Located): Promise<string> {
    const inline = await this.#store.log.body(hot.id, located.seq, located.digest);
    if (inline !== null) return remember(hot, located.digest, inline.text);
    const blob = await this.#store.blobs.get(located.digest);
    if (blob === null) throw new BodyMissing(`body ${located.digest} of session ${hot.id} is erased or missing`);
    return remember(hot, located.digest, Buffer.from(blob).toString());
  }

  /** What a part of a message names. Throws BodyMissing. */
  async blob(digest: Digest): Promise<Uint8Array> {
    const bytes = await this.#store.blobs.get(digest);
    if (bytes === null) throw new BodyMissing(`blob ${digest} is missing`);
    return bytes;
  }

  /** Saves the fold when enough was appended since the last time. A failure costs only time. */
  snapshot(hot: Hot, afterEntries: number = LIMITS.snapshotEntries): Promise<void> {
    return hot.head.seq - hot.snapshotAt < afterEntries ? NOTHING_TO_DO : this.#save(hot);
  }

  async #save(hot: Hot): Promise<void> {
    const { seq, hash } = hot.head;
    // Also where it fails: the next try is as far away.
    hot.snapshotAt = seq;
    try {
      const state = encodeState(hot.state);
      const snapshot: Snapshot = {
        seq,
        hash,
        engine: this.#engine,
        checksum: '',
        state,
        prefix: textOfPrefix(hot.prefix),
      };
      snapshot.checksum = snapshotChecksum(snapshot);
      await this.#store.snapshots.save(hot.id, snapshot);
    } catch (error) {
      this.#logger.warn({ session: hot.id, error: String(error) }, 'a snapshot could not be saved');
    }
  }

  /** Lets sessions go that were idle for long. `busy` says which must stay. */
  async evict(busy: (id: string) => boolean): Promise<number> {
    const now = this.#clock.monotonicMs();
    const idle = [...this.#hot.values()].filter(
      ({ id, usedAt }) => now - usedAt >= LIMITS.hotIdleMs && !busy(id) && !this.#locks.has(id),
    );
    for (const hot of idle) await this.#letGo(hot);
    return idle.length;
  }

  #letGo(hot: Hot): Soon<void> {
    const isSaved = hot.head.seq - hot.snapshotAt < LIMITS.snapshotAtEvictionEntries;
    if (isSaved && !this.#locks.has(hot.id) && this.#hot.get(hot.id) === hot) return void this.#hot.delete(hot.id);
    return this.exclusive(hot.id, async () => {
      // Whoever dropped it knew that its fold is ahead of its log, or behind it.
      if (this.#hot.get(hot.id) !== hot) return;
      await this.snapshot(hot, LIMITS.snapshotAtEvictionEntries);
      this.#hot.delete(hot.id);
    });
  }

  /** Lets all hot sessions go: for an orderly end. */
  async settleAll(): Promise<void> {
    for (const hot of this.#hot.values()) await this.#letGo(hot);
  }
}

/** Raised when a snapshot is written in another way: builds that share data believe those of their own form alone. */
const SNAPSHOT_FORM = 2;

/** When the head of a session was confirmed that others are known to have moved: before anybody can have asked. */
const OUT_OF_DATE = Number.NEGATIVE_INFINITY;

const NOTHING_TO_DO = Promise.resolve();
