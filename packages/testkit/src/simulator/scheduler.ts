/**
 * The only clock and the only source of order in a simulation. Whatever waits for the outside waits for a completion
 * that stands here; the seed picks which of those that are due comes next; time advances when none is due.
 */
import type { Prng } from './random.ts';

export type Handle = { cancel(): void };
export type Order =
  /** Any that is due. */
  | 'uniform'
  /** Mostly the owner with the highest of random priorities that change now and then: finds bugs of starvation. */
  | 'priority'
  /** The one that was added first: for enumerations, where nothing but the enumerated thing may vary. */
  | 'first';

type Pending = { id: number; at: number; owner: string; label: string; run(): void };

export class Scheduler {
  /** Virtual monotonic ms since the simulation began. */
  nowMs = 0;
  /** Completions so far. */
  events = 0;
  /** Set to keep what happened, line by line. */
  trace: string[] | null = null;
  readonly #random: Prng;
  readonly #order: Order;
  readonly #priorities = new Map<string, number>();
  readonly #pausedUntil = new Map<string, number>();
  #pending: Pending[] = [];
  #nextId = 0;
  #low = 0x811c9dc5;
  #high = 0x9e3779b9;

  constructor(random: Prng, order: Order) {
    this.#random = random;
    this.#order = order;
  }

  /** `run` is called once, at some turn not before `delayMs` from now, unless it is cancelled or its owner dropped. */
  add(owner: string, label: string, delayMs: number, run: () => void): Handle {
    const pending: Pending = { id: this.#nextId, at: this.nowMs + Math.max(0, Math.ceil(delayMs)), owner, label, run };
    this.#nextId += 1;
    this.#pending.push(pending);
    return {
      cancel: () => {
        const place = this.#pending.indexOf(pending);
        if (place >= 0) this.#pending.splice(place, 1);
      },
    };
  }

  /** Forgets everything of an owner: it is gone. */
  drop(owner: string): void {
    this.#pending = this.#pending.filter((pending) => pending.owner !== owner);
    this.#pausedUntil.delete(owner);
  }

  /** Nothing of this owner completes for a while, as when its process is stopped and continued. */
  pause(owner: string, forMs: number): void {
    this.#pausedUntil.set(owner, this.nowMs + forMs);
  }

  async sleep(owner: string, label: string, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.add(owner, label, ms, resolve);
    });
  }

  /** Adds to what the trace's hash covers. */
  note(text: string): void {
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      this.#low = Math.imul(this.#low ^ unit, 0x01000193);
      this.#high = Math.imul(this.#high ^ unit, 0x85ebca6b) + i;
    }
    this.trace?.push(`${String(this.nowMs).padStart(8)} ${text}`);
  }

  /** Over every completion and note so far, in order. */
  get hash(): string {
    return [this.#high, this.#low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** Lets everything that can run do so, then completes one thing. False when nothing is left to wait for. */
  async turn(): Promise<boolean> {
    await drained();
    const chosen = this.#choose();
    if (chosen === null) return false;
    this.#pending.splice(this.#pending.indexOf(chosen), 1);
    this.events += 1;
    this.note(`${chosen.id} ${chosen.owner} ${chosen.label}`);
    chosen.run();
    return true;
  }

  #choose(): Pending | null {
    let due = this.#pending.filter((pending) => this.#dueAt(pending) <= this.nowMs);
    if (due.length === 0) {
      let next = Number.POSITIVE_INFINITY;
      for (const pending of this.#pending) next = Math.min(next, this.#dueAt(pending));
      if (!Number.isFinite(next)) return null;
      this.nowMs = next;
      due = this.#pending.filter((pending) => this.#dueAt(pending) <= this.nowMs);
    }
    return this.#pick(due);
  }

  #dueAt({ at, owner }: Pending): number {
    const until = this.#pausedUntil.get(owner);
    return until === undefined ? at : Math.max(at, until);
  }

  #pick(due: Pending[]): Pending | null {
    const first = due[0] ?? null;
    if (first === null || due.length === 1 || this.#order === 'first') return first;
    if (this.#order === 'uniform' || this.#random.chance(0.1)) return this.#random.pick(due);
    if (this.#random.chance(0.03)) this.#priorities.set(this.#random.pick(due).owner, this.#random.next());
    return due.reduce((best, each) => (this.#priority(each) > this.#priority(best) ? each : best));
  }

  #priority({ owner }: Pending): number {
    const known = this.#priorities.get(owner);
    if (known !== undefined) return known;
    const priority = this.#random.next();
    this.#priorities.set(owner, priority);
    return priority;
  }
}

/** An immediate runs only when no microtask is left, and nothing in a simulation waits for anything else. */
async function drained(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
