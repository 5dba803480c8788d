import type { State } from './state.ts';

/** Maps stand in the state itself and in its parts, and nowhere deeper: so few values are looked at. */
const MAP_DEPTH = 2;

/** A state as text, for the droppable cache of a fold. Maps become tagged arrays; the order of keys is kept. */
export function encodeState(state: State): string {
  return JSON.stringify(tagged(state, MAP_DEPTH));
}

/** The inverse of `encodeState`. It trusts its input: callers verify the snapshot's checksum first. */
export function decodeState(text: string): State {
  return untagged(JSON.parse(text), MAP_DEPTH) as State;
}

function tagged(value: unknown, depth: number): unknown {
  if (value instanceof Map) return { $map: [...value] };
  return depth > 0 && isPart(value) ? mapMembers(value, (member) => tagged(member, depth - 1)) : value;
}

function untagged(value: unknown, depth: number): unknown {
  if (!isPart(value)) return value;
  if (Array.isArray(value['$map'])) return new Map(value['$map'] as [unknown, unknown][]);
  return depth > 0 ? mapMembers(value, (member) => untagged(member, depth - 1)) : value;
}

const isPart = (value: unknown): value is { [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const mapMembers = (part: { [name: string]: unknown }, map: (member: unknown) => unknown): object =>
  Object.fromEntries(Object.entries(part).map(([name, member]) => [name, map(member)]));
