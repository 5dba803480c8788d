/** What a job says: kept up to a bound, the newest of it, without secrets. */
import { StringDecoder } from 'node:string_decoder';
import { LIMITS } from '../limits.ts';

/**
 * Whole lines are cleaned as they come, so that a secret is not missed for having come in pieces; a line that has not
 * ended is cleaned when somebody reads it.
 */
export class JobOutput {
  readonly #clean: (text: string) => string;
  #text = '';
  #from = 0;
  #line = '';
  #changed = Promise.withResolvers<void>();

  constructor(clean: (text: string) => string) {
    this.#clean = clean;
  }

  /** Takes one of its outputs to the end. */
  async take(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new StringDecoder('utf8');
    for await (const piece of pieces) this.add(decoder.write(Buffer.from(piece)));
    this.add(decoder.end());
  }

  add(text: string): void {
    if (text === '') return;
    this.#line += text;
    const end = this.#line.lastIndexOf('\n') + 1;
    if (end > 0) this.#keep(this.#line.slice(0, end));
    this.#line = this.#line.slice(end);
    if (this.#line.length > LIMITS.jobLineChars) this.#flush();
    this.wake();
  }

  #flush(): void {
    if (this.#line !== '') this.#keep(this.#line);
    this.#line = '';
  }

  #keep(text: string): void {
    this.#text += this.#clean(text);
    if (this.#text.length <= LIMITS.jobOutputChars) return;
    const dropped = this.#text.length - LIMITS.jobOutputChars / 2;
    this.#text = this.#text.slice(dropped);
    this.#from += dropped;
  }

  /** Those who wait look again. */
  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  read(after: number): { text: string; from: number; next: number } {
    this.#flush();
    return sliced(this.#text, this.#from, after);
  }
}

/** What is kept of a text that begins at `begins`, from `after` on. */
export function sliced(text: string, begins: number, after: number): { text: string; from: number; next: number } {
  const from = Math.min(Math.max(after, begins), begins + text.length);
  return { text: text.slice(from - begins), from, next: begins + text.length };
}
