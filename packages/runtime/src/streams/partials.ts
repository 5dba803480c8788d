/** What the attempts of one session have said so far: what a late joiner of its stream gets first, at offset 0. */
import type { Delta, Entry } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import type { Delta as ModelDelta } from '../ports.ts';

/** All of one part of an attempt so far. `isHere`: the attempt runs in this process. */
type Part = { said: Omit<Delta, 'text' | 'offset'>; text: string; isHere: boolean };

/** Effects whose last attempt is remembered as over. */
const KEPT = 16;

export class Partials {
  readonly #parts = new Map<string, Part>();
  /** Up to which attempt an effect is over: what still comes of it is heard no more. */
  readonly #over = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#parts.size === 0;
  }

  /** Each part whole. */
  all(): Delta[] {
    return [...this.#parts.values()].map(({ said, text }) => ({ ...said, offset: 0, text }));
  }

  /** The same of attempts that run in this process. */
  own(): Delta[] {
    return [...this.#parts.values()].flatMap(({ said, text, isHere }) =>
      isHere ? [{ ...said, offset: 0, text }] : [],
    );
  }

  /** What an attempt says here, with its offset; null: nobody is to hear it. */
  add(effect: { id: string; run: string; attempt: number }, delta: ModelDelta): Delta | null {
    const call = delta.part === 'arguments' ? `${effect.id}c${delta.call}` : undefined;
    const key = keyOf(effect.id, delta.part, call);
    let part = this.#parts.get(key);
    // An attempt that was given up may go on talking: nobody listens.
    if (effect.attempt <= (this.#over.get(effect.id) ?? 0)) return null;
    if (part !== undefined && effect.attempt < part.said.attempt) return null;
    if (part === undefined || part.said.attempt !== effect.attempt) {
      const said: Part['said'] = { run: effect.run, effect: effect.id, attempt: effect.attempt, part: delta.part };
      if (call !== undefined) said.call = call;
      if (delta.part === 'arguments') said.name = delta.name;
      part = { said, text: '', isHere: true };
      this.#parts.set(key, part);
    }
    return grown(part, delta.text);
  }

  /** What an attempt says elsewhere, perhaps for the second time: what of it is new. After a gap nothing is, until all comes again. */
  hear({ offset, text, ...said }: Delta): Delta | null {
    if (said.attempt <= (this.#over.get(said.effect) ?? 0)) return null;
    const key = keyOf(said.effect, said.part, said.call);
    let part = this.#parts.get(key);
    if (part !== undefined && (part.isHere || said.attempt < part.said.attempt)) return null;
    if (part === undefined || part.said.attempt !== said.attempt) {
      if (offset > 0) return null;
      part = { said, text: '', isHere: false };
      this.#parts.set(key, part);
    }
    const known = part.text.length - offset;
    return known < 0 || known >= text.length ? null : grown(part, text.slice(known));
  }

  /** An entry ends attempts: what they were saying stands in the log, or counts no more. */
  passed(entry: Pick<Entry, 'kind' | 'effect' | 'data'>): void {
    const { kind, effect = '' } = entry;
    if (kind !== 'turn.settled' && kind !== 'turn.failed' && kind !== 'turn.attempted') return;
    const upTo = lastOver(kind, entry.data);
    for (const [key, { said }] of this.#parts)
      if (said.effect === effect && said.attempt <= upTo) this.#parts.delete(key);
    this.#over.delete(effect);
    this.#over.set(effect, upTo);
    for (const oldest of this.#over.keys()) if (this.#over.size > KEPT) this.#over.delete(oldest);
  }

  clear(): void {
    this.#parts.clear();
  }

  /** Nobody listens to other processes any more. */
  clearHeard(): void {
    for (const [key, { isHere }] of this.#parts) if (!isHere) this.#parts.delete(key);
  }
}

const keyOf = (effect: string, part: string, call: string | undefined): string => `${effect} ${part} ${call ?? ''}`;

function grown(part: Part, text: string): Delta | null {
  const offset = part.text.length;
  if (offset > LIMITS.liveTextChars) return null;
  part.text += text;
  return { ...part.said, offset, text };
}

function lastOver(kind: string, data: object): number {
  if (kind === 'turn.attempted') return 'n' in data && typeof data.n === 'number' ? data.n - 1 : 0;
  return kind === 'turn.failed' && 'attempt' in data && typeof data.attempt === 'number' ? data.attempt : Infinity;
}
