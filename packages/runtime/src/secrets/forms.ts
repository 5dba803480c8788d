/**
 * All forms of all secrets, found in one pass over a text however many there are (after S. Wu and U. Manber, "A fast
 * algorithm for multi-pattern searching", 1994): a table says of the last characters of a window how far it may move on
 * before any form can end its own there, and only where it may not are forms looked up.
 */

export type Stretch = { at: number; end: number };
/** `text` at `at` up to `end` is the secret `name`. */
export type Found = Stretch & { name: string };

type Form = { text: string; name: string; /** Where its key ends in it. */ keyEnd: number; shown: boolean };

/** No form is shorter. */
const WINDOW = 8;
/** So many characters decide how far a window moves. */
const BLOCK = 4;
/** Of a form that is as long, so many are its key: in one that spells each character out, eight say next to nothing. */
const LONG_KEY = 40;
const SMALL_TABLE_BITS = 14;
const LARGE_TABLE_BITS = 20;
/** More forms than this would fill the small table. */
const SMALL_TABLE_FORMS = 500;

export class Forms {
  readonly #forms: Form[] = [];
  readonly #byKey = new Map<string, Form[]>();
  #shifts = new Uint8Array(0);
  #bits = 0;
  /** Of the forms that count, in order: those that begin with some text lie together. */
  #sorted: string[] | null = null;
  /** How they begin, two characters: most ends of a text are none of it. */
  readonly #begins = new Set<string>();
  #longest = 0;

  /** `hidden` forms make `isIn` true and are not found otherwise. Shorter ones than eight characters are left out. */
  add(name: string, texts: readonly string[], hidden: readonly string[] = []): void {
    for (const text of texts) this.#addOne(text, name, true);
    for (const text of hidden) this.#addOne(text, name, false);
    this.#sorted = null;
    const bits = this.#forms.length > SMALL_TABLE_FORMS ? LARGE_TABLE_BITS : SMALL_TABLE_BITS;
    if (bits !== this.#bits) this.#widen(bits);
  }

  #addOne(text: string, name: string, shown: boolean): void {
    if (text.length < WINDOW) return;
    const key = text.length >= LONG_KEY ? LONG_KEY : WINDOW;
    // From the middle: many secrets begin with the name of who issued them, and many encodings end alike.
    const form: Form = { text, name, keyEnd: key + Math.floor((text.length - key) / 2), shown };
    this.#forms.push(form);
    const kept = text.slice(form.keyEnd - key, form.keyEnd);
    const others = this.#byKey.get(kept);
    if (others === undefined) this.#byKey.set(kept, [form]);
    else others.push(form);
    if (this.#bits > 0) this.#mark(form);
    if (!shown) return;
    this.#longest = Math.max(this.#longest, text.length);
    this.#begins.add(text.slice(0, 1)).add(text.slice(0, 2));
  }

  #widen(bits: number): void {
    this.#bits = bits;
    this.#shifts = new Uint8Array(2 ** bits).fill(WINDOW - BLOCK + 1);
    for (const form of this.#forms) this.#mark(form);
  }

  #mark({ text, keyEnd }: Form): void {
    for (let back = 0; back <= WINDOW - BLOCK; back += 1) {
      const slot = this.#slot(text, keyEnd - back);
      this.#shifts[slot] = Math.min(this.#shifts[slot] ?? 0, back);
    }
  }

  /** Of the block that ends at `end`. */
  #slot(text: string, end: number): number {
    const low = text.charCodeAt(end - 1) ^ (text.charCodeAt(end - 2) << 7);
    const high = text.charCodeAt(end - 3) ^ (text.charCodeAt(end - 4) << 7);
    return Math.imul(low ^ Math.imul(high, 0x9e3b), 0x9e3779b1) >>> (32 - this.#bits);
  }

  /** Whether any form is in the text. */
  isIn(text: string): boolean {
    return this.#scan(text, () => true);
  }

  /** Where the forms are that no longer one covers, in the order of the text. */
  in(text: string): Found[] {
    const all: Found[] = [];
    this.#scan(text, ({ text: { length }, name, shown }, at) => {
      if (shown) all.push({ at, end: at + length, name });
      return false;
    });
    if (all.length < 2) return all;
    all.sort((a, b) => b.end - b.at - (a.end - a.at) || a.at - b.at);
    const covered = new Uint8Array(text.length);
    // What is kept already is no shorter: where it overlaps, it has one of the ends.
    const kept = all.filter(({ at, end }) => {
      if (covered[at] === 1 || covered[end - 1] === 1) return false;
      covered.fill(1, at, end);
      return true;
    });
    return kept.toSorted((a, b) => a.at - b.at);
  }

  /** The stretches that forms cover, those that overlap as one, in the order of the text. */
  stretches(text: string): readonly Stretch[] {
    const all: Stretch[] = [];
    this.#scan(text, ({ text: { length }, shown }, at) => {
      if (shown) all.push({ at, end: at + length });
      return false;
    });
    const merged: Stretch[] = [];
    for (const found of all.toSorted((a, b) => a.at - b.at)) {
      const last = merged.at(-1);
      if (last === undefined || found.at >= last.end) merged.push(found);
      else last.end = Math.max(last.end, found.end);
    }
    return merged;
  }

  /** Calls `hit` for each form that is there, until one says that it is enough. */
  #scan(text: string, hit: (form: Form, at: number) => boolean): boolean {
    if (this.#bits === 0) return false;
    for (let end = WINDOW; end <= text.length;) {
      const shift = this.#shifts[this.#slot(text, end)] ?? 0;
      if (shift > 0) {
        end += shift;
        continue;
      }
      if (this.#hits(text, end, WINDOW, hit) || this.#hits(text, end, LONG_KEY, hit)) return true;
      end += 1;
    }
    return false;
  }

  #hits(text: string, end: number, key: number, hit: (form: Form, at: number) => boolean): boolean {
    if (end < key) return false;
    for (const form of this.#byKey.get(text.slice(end - key, end)) ?? []) {
      const at = end - form.keyEnd;
      if (at >= 0 && text.startsWith(form.text, at) && hit(form, at)) return true;
    }
    return false;
  }

  /** Where the earliest form begins that the end of the text cuts off; else the text's length. */
  open(text: string): number {
    for (let at = Math.max(0, text.length - this.#longest + 1); at < text.length; at += 1) {
      if (!this.#begins.has(text.slice(at, at + 2))) continue;
      const begun = text.slice(at);
      const next = this.#firstFrom(begun);
      if (next?.startsWith(begun) === true) return at;
    }
    return text.length;
  }

  /** The first form, in their order, that is longer than a text and not before it. */
  #firstFrom(text: string): string | undefined {
    this.#sorted ??= [...new Set(this.#forms.filter(({ shown }) => shown).map((form) => form.text))].toSorted();
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? '') <= text) low = middle + 1;
      else high = middle;
    }
    return this.#sorted[low];
  }
}
