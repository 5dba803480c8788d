/**
 * What attempts say in other processes, for the subscribers of this one. Lossy by contract (DESIGN §4): what is lost on
 * the way shows as a gap, which all so far closes, or the entry. The log alone says what happened.
 *  R1 One connection to a node, whatever number of sessions is followed there.
 *  R2 Who holds a session is asked when somebody begins to listen, when an entry names an attempt under a later epoch,
 *     when a connection breaks, and while work is outstanding that nobody holds; never because time goes by.
 */
import type { Delta } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import type { CommittedChange, Logger, TenantStore, Timer, Timers } from '../ports.ts';

/** The log of a session reaches to `head`, or an attempt of it says something. */
export type Told = { session: string; head: number } | { session: string; delta: Delta };

/** What is asked of one other node. */
export interface Link {
  /** Tells what is said in the session, all so far first. Asked for again, it says all so far again. */
  want(session: string): void;
  drop(session: string): void;
  close(): void;
}

/**
 * Connects to a node at the address of its lease. A connection that breaks is made again until it is closed, and asks
 * again for what is wanted; `broke` is called each time. `hear` gets what is said, as it comes. Never throws.
 */
export type Reach = (address: string, heard: { hear: (told: Told) => void; broke: () => void }) => Link;

/** Whom streams ask for what they do not hear themselves. */
export interface Elsewhere {
  /** Somebody begins to listen to a session, and later nobody does. */
  attend(session: string): void;
  leave(session: string): void;
  /** An entry of the session names an attempt under this epoch. */
  named(session: string, epoch: number): void;
}

export type RelayOptions = {
  store: Pick<TenantStore, 'leases' | 'log'>;
  /** Where the others reach this process; null: they do not. */
  self: string | null;
  reach: Reach;
  tell: (told: Told) => void;
  timers: Timers;
  logger: Logger;
};

type Attended = {
  /** The latest epoch that is known of. */
  epoch: number;
  /** Where what it says is asked for; null: nowhere. */
  address: string | null;
  phase: 'idle' | 'looking' | 'look again';
  later: Timer | null;
  tries: number;
};

export class Relay implements Elsewhere {
  readonly #options: RelayOptions;
  readonly #attended = new Map<string, Attended>();
  readonly #links = new Map<string, { link: Link; sessions: Set<string> }>();
  #unwatch: (() => void) | null = null;
  #stopped = false;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  attend(session: string): void {
    if (this.#stopped || this.#attended.has(session)) return;
    this.#unwatch ??= this.#options.store.log.watch((change) => this.#changed(change));
    const attended: Attended = { epoch: 0, address: null, phase: 'idle', later: null, tries: 0 };
    this.#attended.set(session, attended);
    this.#look(session, attended);
  }

  leave(session: string): void {
    const attended = this.#attended.get(session);
    if (attended === undefined) return;
    attended.later?.cancel();
    this.#point(session, attended, null);
    this.#attended.delete(session);
    if (this.#attended.size > 0) return;
    this.#unwatch?.();
    this.#unwatch = null;
  }

  named(session: string, epoch: number): void {
    const attended = this.#attended.get(session);
    if (attended === undefined || epoch <= attended.epoch) return;
    attended.epoch = epoch;
    this.#look(session, attended);
  }

  /** Lets go of all connections; nothing is asked any more. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const session of this.#attended.keys()) this.leave(session);
  }

  #changed({ session, outstanding }: CommittedChange): void {
    const attended = this.#attended.get(session);
    if (attended === undefined || outstanding === 0 || attended.address !== null || attended.later !== null) return;
    attended.tries = 0;
    this.#look(session, attended);
  }

  #look(session: string, attended: Attended): void {
    attended.later?.cancel();
    attended.later = null;
    if (attended.phase === 'idle') void this.#ask(session, attended);
    else attended.phase = 'look again';
  }

  async #ask(session: string, attended: Attended): Promise<void> {
    attended.phase = 'looking';
    let isOpen = false;
    try {
      isOpen = !(await this.#find(session, attended));
    } catch (error) {
      // The storage is away: as if nobody were known.
      this.#options.logger.debug({ session, error: String(error) }, 'who holds a session could not be asked');
      isOpen = true;
    }
    const again = isAskedAgain(attended);
    attended.phase = 'idle';
    if (this.#attended.get(session) !== attended) return;
    if (again) this.#look(session, attended);
    else if (isOpen) this.#lookLater(session, attended);
  }

  /** Asks who holds the session; false where somebody should and nobody does, or it is not known where. */
  async #find(session: string, attended: Attended): Promise<boolean> {
    const { leases, log } = this.#options.store;
    const name = `${SESSIONS}${session}`;
    const lease = (await leases.list(name)).find((one) => one.name === name);
    if (lease === undefined) {
      this.#point(session, attended, null);
      const row = await log.get(session);
      return row === null || row.outstanding === 0;
    }
    attended.epoch = Math.max(attended.epoch, lease.epoch);
    const node = (await leases.list(lease.holder)).find((one) => one.name === lease.holder);
    const address = node?.address ?? null;
    this.#point(session, attended, address === this.#options.self ? null : address);
    // A node without an address is not one to be asked; one that is gone leaves the session to another.
    return node !== undefined;
  }

  /** Asks the node there for the session, and nobody else. */
  #point(session: string, attended: Attended, address: string | null): void {
    if (this.#attended.get(session) !== attended || attended.address === address) return;
    const before = attended.address === null ? undefined : this.#links.get(attended.address);
    if (before !== undefined && attended.address !== null) {
      before.sessions.delete(session);
      before.link.drop(session);
      if (before.sessions.size === 0) this.#disconnect(attended.address, before.link);
    }
    attended.address = address;
    attended.tries = 0;
    if (address === null) return;
    const { link, sessions } = this.#linkTo(address);
    sessions.add(session);
    link.want(session);
  }

  #linkTo(address: string): { link: Link; sessions: Set<string> } {
    let known = this.#links.get(address);
    if (known === undefined) {
      const { tell, reach } = this.#options;
      const link = reach(address, { hear: tell, broke: () => this.#broke(address) });
      known = { link, sessions: new Set() };
      this.#links.set(address, known);
    }
    return known;
  }

  #disconnect(address: string, link: Link): void {
    this.#links.delete(address);
    link.close();
  }

  /** Its sessions may be with somebody else soon. The connection is tried again meanwhile. */
  #broke(address: string): void {
    for (const session of this.#links.get(address)?.sessions ?? []) {
      const attended = this.#attended.get(session);
      if (attended !== undefined && attended.later === null) this.#lookLater(session, attended);
    }
  }

  #lookLater(session: string, attended: Attended): void {
    const afterMs = Math.min(LIMITS.relayLookMs * 2 ** attended.tries, LIMITS.relayLookMaxMs);
    attended.tries += 1;
    attended.later = this.#options.timers.set(afterMs, () => {
      attended.later = null;
      this.#look(session, attended);
    });
  }
}

const SESSIONS = 'session/';

// Read through a function where an await lies between: the phase may have moved on.
const isAskedAgain = ({ phase }: Attended): boolean => phase === 'look again';
