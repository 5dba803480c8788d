/**
 * What models are saying right now, put together from deltas (DESIGN §4): each part grows by its offset, a higher
 * attempt drops what the lower one said, a gap waits for the entry. `apply` changes the state it is given.
 */
import type { Delta, Entry } from './stream.ts';

export type LiveCall = { name: string; arguments: string };
export type LiveTurn = { run: string; attempt: number; text: string; reasoning: string; calls: Map<string, LiveCall> };
/** By effect. */
export type Live = Map<string, LiveTurn>;

/** Adds a delta to the live text of its attempt: what has gone by is dropped, a gap waits for the entry. Changes `state`. */
export function applyDelta(state: Live, delta: Delta): Live {
  const known = state.get(delta.effect);
  if (known !== undefined && known.attempt > delta.attempt) return state;
  const isNew = known === undefined || known.attempt < delta.attempt;
  const turn = isNew ? { run: delta.run, attempt: delta.attempt, text: '', reasoning: '', calls: new Map() } : known;
  state.set(delta.effect, turn);
  if (delta.part !== 'arguments') {
    turn[delta.part] = grow(turn[delta.part], delta);
    return state;
  }
  const id = delta.call ?? '';
  const call = turn.calls.get(id) ?? { name: '', arguments: '' };
  turn.calls.set(id, { name: delta.name ?? call.name, arguments: grow(call.arguments, delta) });
  return state;
}

/** What was said is recorded, or will not be: the entry has the last word. */
export function applyToLive(state: Live, entry: Entry): Live {
  if (entry.kind === 'turn.settled' || entry.kind === 'turn.attempted') state.delete(entry.effect ?? '');
  if (entry.kind === 'run.ended') for (const [effect, turn] of state) if (turn.run === entry.run) state.delete(effect);
  return state;
}

/** Text from its offset on: what is there already is written again, what would leave a gap is left out. */
function grow(text: string, { offset, text: more }: Delta): string {
  return offset > text.length ? text : text.slice(0, offset) + more + text.slice(offset + more.length);
}
