import type { State } from './state.ts';

/** A state as text, for the droppable cache of a fold. Maps become tagged arrays; the order of keys is kept. */
export function encodeState(state: State): string {
  return JSON.stringify(state, (_key, value: unknown) => (value instanceof Map ? { $map: [...value] } : value));
}

/** The inverse of `encodeState`. It trusts its input: callers verify the snapshot's checksum first. */
export function decodeState(text: string): State {
  return JSON.parse(text, (_key, value: unknown) => (isTagged(value) ? new Map(value.$map) : value)) as State;
}

function isTagged(value: unknown): value is { $map: [unknown, unknown][] } {
  return typeof value === 'object' && value !== null && '$map' in value && Array.isArray(value.$map);
}
