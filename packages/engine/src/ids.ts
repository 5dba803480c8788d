/** Counters of one session: `r3` a run, `r3t2` its second turn, `r3t2c0` that turn's first call, `w5` a wait, `k2` a compaction. */
export type RunId = `r${number}`;
export type TurnId = `${RunId}t${number}`;
export type CallId = `${TurnId}c${number}`;
export type WaitId = `w${number}`;
export type CompactionId = `k${number}`;
/** What an effect is called in its session; its idempotency key is derived from it outside the engine. */
export type EffectId = TurnId | CallId | CompactionId;

export const runId = (n: number): RunId => `r${n}`;
export const turnId = (run: RunId, n: number): TurnId => `${run}t${n}`;
export const callId = (turn: TurnId, n: number): CallId => `${turn}c${n}`;
export const waitId = (n: number): WaitId => `w${n}`;
export const compactionId = (n: number): CompactionId => `k${n}`;

/** The run an effect belongs to: `r3t2c0` → `r3`. */
export function runOf(effect: TurnId | CallId): RunId {
  return effect.slice(0, effect.indexOf('t')) as RunId;
}

/** The turn a call belongs to: `r3t2c0` → `r3t2`. */
export function turnOf(call: CallId): TurnId {
  return call.slice(0, call.indexOf('c')) as TurnId;
}

export function isCallId(effect: EffectId): effect is CallId {
  return effect.includes('c');
}

/** A compaction is the session's; which run waits for it, if any does, stands in its entries. */
export function isCompactionId(effect: EffectId): effect is CompactionId {
  return effect.startsWith('k');
}
