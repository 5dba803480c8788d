/**
 * Snapshots as processes find them: what a disk keeps may have been damaged, be old, be another engine's, or belong to
 * something else. Only time may be lost by it: whatever writes is held against the log at each commit, and what is not
 * of the log must have been dropped by then.
 */
import { sha256, snapshotChecksum } from '@perdure/runtime';
import type { Snapshot, SnapshotStore } from '@perdure/runtime/ports';
import { stateOf } from './coverage.ts';
import type { FaultName } from './plan.ts';
import type { Prng } from './random.ts';
import type { Sim } from './sim.ts';

export const SNAPSHOT_FAULTS = ['snapshotDamaged', 'snapshotForeign', 'snapshotOld', 'snapshotOtherEngine'] as const;
type SnapshotFault = Extract<FaultName, (typeof SNAPSHOT_FAULTS)[number]>;
/** What a snapshot on the disk is. */
type Kept = SnapshotFault | 'sound';

type Call = <T>(label: string, work: () => Promise<T>) => Promise<T>;

/** The disk's. */
export class Shelf {
  readonly #sim: Sim;
  readonly #random: Prng;
  /** All that were ever saved, by session. */
  readonly #saved = new Map<string, Snapshot[]>();
  readonly #kept = new Map<string, Kept>();

  constructor(sim: Sim) {
    this.#sim = sim;
    this.#random = sim.random.fork('snapshots');
  }

  async save(store: SnapshotStore, session: string, snapshot: Snapshot): Promise<void> {
    const saved = this.#saved.get(session) ?? [];
    saved.push({ ...snapshot });
    this.#saved.set(session, saved);
    this.#kept.set(session, 'sound');
    await store.save(session, snapshot);
  }

  /** With what it is by now: something may have befallen it since it was saved. */
  async load(store: SnapshotStore, session: string): Promise<{ snapshot: Snapshot; is: Kept } | null> {
    const kept = await store.load(session);
    const is = this.#kept.get(session);
    if (kept === null || is === undefined) return null;
    for (const fault of is === 'sound' ? SNAPSHOT_FAULTS : []) {
      const snapshot = this.#made(fault, session, kept);
      if (snapshot === null || !this.#sim.fault(fault, session)) continue;
      await store.save(session, snapshot);
      this.#kept.set(session, fault);
      return { snapshot, is: fault };
    }
    return { snapshot: kept, is };
  }

  async drop(store: SnapshotStore, session: string): Promise<void> {
    this.#kept.delete(session);
    await store.drop(session);
  }

  #made(fault: SnapshotFault, session: string, kept: Snapshot): Snapshot | null {
    switch (fault) {
      case 'snapshotDamaged':
        return this.#damaged(kept);
      case 'snapshotForeign':
        return this.#foreign(session, kept);
      case 'snapshotOld':
        return this.#old(session, kept);
      case 'snapshotOtherEngine':
        // It is well formed, and what stands in it means something to that engine alone.
        return sealed({ ...kept, engine: 'another', state: '{"another":"form"}' });
    }
  }

  /** One bit is another. */
  #damaged(kept: Snapshot): Snapshot {
    const part = this.#random.pick(['state', 'state', 'prefix', 'checksum'] as const);
    const place = this.#random.between(0, kept[part].length - 1);
    const flipped = String.fromCharCode(kept[part].charCodeAt(place) ^ 1);
    return { ...kept, [part]: kept[part].slice(0, place) + flipped + kept[part].slice(place + 1) };
  }

  /** Well formed, and not of the frame that the log has there. */
  #foreign(session: string, kept: Snapshot): Snapshot {
    const others = [...this.#saved].flatMap(([id, snapshots]) => (id === session ? [] : snapshots));
    const other = others.length === 0 ? kept : this.#random.pick(others);
    if (!this.#isOfLog(session, other) && this.#random.chance(0.5)) return other;
    const moved = { ...kept, seq: kept.seq + this.#random.pick([-1, 1, 1_000]) };
    const isElsewhere = moved.seq > 0 && this.#random.chance(0.5);
    return sealed(isElsewhere ? moved : { ...kept, hash: sha256(kept.hash) });
  }

  /** A fork has the snapshots of what it was forked from in common with it. */
  #isOfLog(session: string, { seq, hash }: Snapshot): boolean {
    return this.#sim.truth.logs.get(session)?.hashes[seq] === hash;
  }

  #old(session: string, kept: Snapshot): Snapshot | null {
    const older = (this.#saved.get(session) ?? []).filter(({ seq }) => seq < kept.seq);
    return older.length === 0 ? null : this.#random.pick(older);
  }
}

const sealed = (snapshot: Snapshot): Snapshot => ({ ...snapshot, checksum: snapshotChecksum(snapshot) });

/** The snapshots that one process reaches: it must drop what is not of its log, and nothing else. */
export class ShelfPort {
  readonly #sim: Sim;
  readonly #shelf: Shelf;
  /** By session: what it loaded last and has not dropped. */
  readonly #loaded = new Map<string, Kept>();

  constructor(sim: Sim, shelf: Shelf) {
    this.#sim = sim;
    this.#shelf = shelf;
  }

  port(inner: () => SnapshotStore, call: Call): SnapshotStore {
    return {
      save: async (session, snapshot) =>
        call('snapshots.save', async () => this.#shelf.save(inner(), session, snapshot)),
      load: async (session) => call('snapshots.load', async () => this.#load(inner(), session)),
      drop: async (session) => call('snapshots.drop', async () => this.#drop(inner(), session)),
    };
  }

  async #load(inner: SnapshotStore, session: string): Promise<Snapshot | null> {
    this.#loaded.delete(session);
    const found = await this.#shelf.load(inner, session);
    if (found === null) return null;
    this.#loaded.set(session, found.is);
    const log = this.#sim.truth.logs.get(session);
    if (found.is === 'sound' && log !== undefined) this.#sim.coverage.hit('restore', stateOf(log.state));
    return found.snapshot;
  }

  async #drop(inner: SnapshotStore, session: string): Promise<void> {
    const is = this.#loaded.get(session);
    this.#loaded.delete(session);
    if (is === 'sound' || is === 'snapshotOld')
      this.#sim.fail(new Error(`a snapshot of ${session} that is of its log is caught up, and not dropped`));
    await this.#shelf.drop(inner, session);
  }

  /** Called before an append to the session leaves. */
  checkDropped(session: string): void {
    const is = this.#loaded.get(session);
    if (is === 'snapshotDamaged' || is === 'snapshotForeign')
      this.#sim.fail(
        new Error(`a snapshot that is not of the log of ${session} is dropped before more is written [P3]`),
      );
  }
}
