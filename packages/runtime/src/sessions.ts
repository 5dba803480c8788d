/**
 * Sessions folded in memory. One owner at a time: whatever reads or changes a hot session holds its lock, so nobody
 * sees a state whose append is still under way.
 */
import type { Located, State } from '@perdure/engine';
import { decodeState, encodeState, fold, freshState } from '@perdure/engine';
import type { Prefix } from './assemble.ts';
import { emptyPrefix } from './assemble.ts';
import { sha256 } from './digest.ts';
import { decodeFrame } from './frame.ts';
import { LIMITS } from './limits.ts';
import type { Clock, Head, Logger, Snapshot, TenantStore } from './ports.ts';

export type Hot = {
  id: string;
  state: State;
  head: Head;
  prefix: Prefix;
  /** Bodies that were written or read lately, by digest. */
  bodies: Map<string, string>;
  /** Status of each run as its row in the index has it. */
  rows: Map<string, string>;
  title: string;
  snapshotAt: number;
  usedAt: number;
};

/** Content that was erased, or that the store lost. */
export class BodyMissing extends Error {
  readonly code = 'blob_missing';
}

/** The state a log leads to, and what this build calls its fold: snapshots of other sources are not believed. */
export class Sessions {
  readonly #store: TenantStore;
  readonly #clock: Clock;
  readonly #engineHash: string;
  readonly #logger: Logger;
  readonly #hot = new Map<string, Hot>();
  readonly #locks = new Map<string, Promise<void>>();

  constructor(options: { store: TenantStore; clock: Clock; engineHash: string; logger: Logger }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#engineHash = options.engineHash;
    this.#logger = options.logger;
  }

  get size(): number {
    return this.#hot.size;
  }

  /** Runs `work` alone on this session, in the order of asking. */
  async exclusive<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#locks.get(id);
    let release = (): void => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#locks.set(id, mine);
    if (before !== undefined) await before;
    try {
      return await work();
    } finally {
      if (this.#locks.get(id) === mine) this.#locks.delete(id);
      release();
    }
  }

  /** The folded session; a fresh one where the store has none. Call it with the lock. */
  async load(id: string): Promise<Hot> {
    const known = this.#hot.get(id);
    if (known !== undefined) {
      known.usedAt = this.#clock.monotonicMs();
      return known;
    }
    const hot = (await this.#fromSnapshot(id)) ?? blank(id, freshState());
    await this.#catchUp(hot);
    if (hot.state.head > 0) {
      const row = await this.#store.log.get(id);
      hot.title = row?.title ?? '';
    }
    hot.usedAt = this.#clock.monotonicMs();
    this.#hot.set(id, hot);
    return hot;
  }

  /** Whether nobody else has written to its log since. Call it with the lock; a session that is not is dropped. */
  async isNewest(hot: Hot): Promise<boolean> {
    const row = await this.#store.log.get(hot.id);
    if ((row?.head.seq ?? 0) === hot.head.seq) return true;
    this.drop(hot.id);
    return false;
  }

  async #fromSnapshot(id: string): Promise<Hot | null> {
    const snapshot = await this.#store.snapshots.load(id);
    if (snapshot === null || snapshot.engine !== this.#engineHash || snapshot.checksum !== checksumOf(snapshot))
      return null;
    const frames = await this.#store.log.read(id, { after: snapshot.seq - 1, limit: 1 });
    const frame = frames[0];
    if (frame === undefined || frame.hash !== snapshot.hash || frame.first + frame.count - 1 !== snapshot.seq) {
      this.#logger.warn({ session: id }, 'a snapshot does not fit its log and is dropped');
      await this.#store.snapshots.drop(id);
      return null;
    }
    const hot = blank(id, decodeState(snapshot.state));
    hot.head = { seq: snapshot.seq, hash: snapshot.hash };
    hot.prefix = JSON.parse(snapshot.prefix) as Prefix;
    hot.snapshotAt = snapshot.seq;
    return hot;
  }

  async #catchUp(hot: Hot): Promise<void> {
    for (;;) {
      const frames = await this.#store.log.read(hot.id, { after: hot.head.seq, limit: LIMITS.readFrames });
      for (const frame of frames) {
        fold(decodeFrame(frame), hot.state);
        hot.head = { seq: frame.first + frame.count - 1, hash: frame.hash };
        for (const { digest, text } of frame.bodies) remember(hot, digest, text);
      }
      if (frames.length < LIMITS.readFrames) return;
    }
  }

  /** The hot session, if it is in memory; for reading bodies only. */
  peek(id: string): Pick<Hot, 'id' | 'bodies'> | undefined {
    return this.#hot.get(id);
  }

  /** Forgets what is in memory: its append failed, or another writer is ahead. The log is the truth. */
  drop(id: string): void {
    this.#hot.delete(id);
  }

  /** The text of a body: lately used, in its frame, or in the blob store. */
  async body(hot: Pick<Hot, 'id' | 'bodies'>, located: Located): Promise<string> {
    const known = hot.bodies.get(located.digest);
    if (known !== undefined) return known;
    const inline = await this.#store.log.body(hot.id, located.seq, located.digest);
    if (inline !== null) return remember(hot, located.digest, inline.text);
    const blob = await this.#store.blobs.get(located.digest);
    if (blob === null) throw new BodyMissing(`body ${located.digest} of session ${hot.id} is erased or missing`);
    return remember(hot, located.digest, Buffer.from(blob).toString());
  }

  /** Saves the fold when enough was appended since the last time, or always with `force`. A failure costs only time. */
  async snapshot(hot: Hot, force = false): Promise<void> {
    const since = hot.head.seq - hot.snapshotAt;
    if (since === 0 || (!force && since < LIMITS.snapshotEntries)) return;
    const snapshot: Snapshot = {
      seq: hot.head.seq,
      hash: hot.head.hash,
      engine: this.#engineHash,
      checksum: '',
      state: encodeState(hot.state),
      prefix: JSON.stringify(hot.prefix),
    };
    snapshot.checksum = checksumOf(snapshot);
    hot.snapshotAt = snapshot.seq;
    try {
      await this.#store.snapshots.save(hot.id, snapshot);
    } catch (error) {
      this.#logger.warn({ session: hot.id, error: String(error) }, 'a snapshot could not be saved');
    }
  }

  /** Lets idle sessions go, snapshots first. `busy` says which must stay. */
  async evict(busy: (id: string) => boolean): Promise<number> {
    const now = this.#clock.monotonicMs();
    const over = this.#hot.size - LIMITS.hotSessions;
    const idle = [...this.#hot.values()]
      .filter((hot) => !busy(hot.id) && !this.#locks.has(hot.id))
      .sort((a, b) => a.usedAt - b.usedAt)
      .filter((hot, index) => index < over || now - hot.usedAt >= LIMITS.hotIdleMs);
    for (const hot of idle) {
      await this.exclusive(hot.id, async () => {
        if (this.#hot.get(hot.id) !== hot) return;
        if (hot.head.seq - hot.snapshotAt >= SNAPSHOT_AT_EVICTION_ENTRIES) await this.snapshot(hot, true);
        this.#hot.delete(hot.id);
      });
    }
    return idle.length;
  }

  /** Saves every hot session's fold: for an orderly end. */
  async settleAll(): Promise<void> {
    for (const hot of this.#hot.values()) {
      if (hot.head.seq - hot.snapshotAt >= SNAPSHOT_AT_EVICTION_ENTRIES)
        await this.exclusive(hot.id, async () => this.snapshot(hot, true));
    }
  }
}

/** Below this a log is folded faster than its snapshot is read. */
const SNAPSHOT_AT_EVICTION_ENTRIES = 64;

const checksumOf = (snapshot: Snapshot): string =>
  sha256(`${snapshot.engine}\n${snapshot.seq}\n${snapshot.hash}\n${snapshot.state}\n${snapshot.prefix}`);

function blank(id: string, state: State): Hot {
  return {
    id,
    state,
    head: { seq: 0, hash: '' },
    prefix: emptyPrefix(''),
    bodies: new Map(),
    rows: new Map(),
    title: '',
    snapshotAt: 0,
    usedAt: 0,
  };
}

/** Keeps the newest bodies only. */
export function remember(hot: Pick<Hot, 'bodies'>, digest: string, text: string): string {
  hot.bodies.delete(digest);
  hot.bodies.set(digest, text);
  if (hot.bodies.size > LIMITS.hotBodies) {
    const oldest = hot.bodies.keys().next();
    if (!oldest.done) hot.bodies.delete(oldest.value);
  }
  return text;
}
