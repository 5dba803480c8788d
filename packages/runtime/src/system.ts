/** The one place where the runtime touches time, randomness and the process. Everything else takes the ports. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, System, Timers } from './ports.ts';

const clock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Node's timers count 31 bits of milliseconds; a longer one goes in hops. */
const HOP_MS = 2 ** 31 - 1;

const timers: Timers = {
  set(afterMs, run) {
    let handle: NodeJS.Timeout;
    const arm = (restMs: number): void => {
      handle = restMs > HOP_MS ? setTimeout(() => arm(restMs - HOP_MS), HOP_MS) : setTimeout(run, Math.max(0, restMs));
    };
    arm(afterMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Drawn in blocks: one call to the system serves many small draws. */
const BLOCK_BYTES = 4096;
let block = new Uint8Array(0);

const random: Random = {
  bytes(count) {
    if (count > BLOCK_BYTES / 4) return new Uint8Array(randomBytes(count));
    if (block.length < count) block = new Uint8Array(randomBytes(BLOCK_BYTES));
    const drawn = block.subarray(0, count);
    block = block.subarray(count);
    return drawn;
  },
};

export const system: System = { clock, timers, random };

/** Environment variables, read once by whoever composes the process. */
export const environment = (): Readonly<Record<string, string | undefined>> => process.env;
