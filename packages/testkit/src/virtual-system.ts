/**
 * A system whose time stands still until a test moves it. Timers run in the order of their times (and of their setting
 * where these are equal); between two of them everything that follows in microtasks has run.
 */
import type { Clock, Random, System, Timers } from '@perdure/runtime/ports';

type Pending = { id: number; at: number; run(): void };

export type VirtualSystem = System & {
  /** Moves both clocks on, and runs what comes due on the way. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock forward or back; durations do not notice. */
  jump(ms: number): void;
  /** How many timers are set. */
  readonly timersSet: number;
  /** Lets everything run that waits for no time. */
  settle(): Promise<void>;
};

export type VirtualOptions = {
  /** Wall time at the beginning, ms. */
  startsAt?: number;
  seed?: number;
};

/** 2030-01-01T00:00:00Z: a wall clock that no test mistakes for a duration. */
const STARTS_AT = 1_893_456_000_000;
/** Turns of the event loop that a chain of promises may need where nothing waits for time. */
const SETTLE_TURNS = 20;

export function createVirtualSystem({ startsAt = STARTS_AT, seed = 1 }: VirtualOptions = {}): VirtualSystem {
  let nowMs = 0;
  let offsetMs = startsAt;
  let lastId = 0;
  let pending: Pending[] = [];
  const clock: Clock = { now: () => nowMs + offsetMs, monotonicMs: () => nowMs };
  const timers: Timers = {
    set(afterMs, run) {
      const timer: Pending = { id: ++lastId, at: nowMs + Math.max(0, Math.ceil(afterMs)), run };
      pending.push(timer);
      return { cancel: () => void (pending = pending.filter((other) => other !== timer)) };
    },
  };
  const next = (until: number): Pending | undefined =>
    pending.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at || a.id - b.id)[0];
  return {
    clock,
    timers,
    random: createRandom(seed),
    get timersSet() {
      return pending.length;
    },
    settle,
    jump(ms) {
      offsetMs += ms;
    },
    async advance(ms) {
      const until = nowMs + ms;
      await settle();
      for (let timer = next(until); timer !== undefined; timer = next(until)) {
        const due = timer;
        pending = pending.filter((other) => other !== due);
        nowMs = Math.max(nowMs, due.at);
        due.run();
        await settle();
      }
      nowMs = until;
    },
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** The same bytes for the same seed (splitmix32). */
function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const word = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  return { bytes: (count) => Uint8Array.from({ length: count }, () => word() & 0xff) };
}
