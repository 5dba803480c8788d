/** What a command says, within bounds: the beginning and the end of it stay. */
import { LIMITS } from '../limits.ts';

export type Kept = { text: string; bytes: number; left: number };

/** Keeps what fits; of more, the beginning and the end. Text that is no UTF-8 is shown with replacements. */
export class Output {
  readonly #head: Uint8Array[] = [];
  #headBytes = 0;
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(piece: Uint8Array): void {
    this.#bytes += piece.length;
    const fits = Math.min(piece.length, LIMITS.outputHeadBytes - this.#headBytes);
    if (fits > 0) {
      this.#head.push(piece.slice(0, fits));
      this.#headBytes += fits;
    }
    const rest = piece.subarray(Math.max(0, fits));
    if (rest.length === 0) return;
    this.#tail.push(rest.slice(-LIMITS.outputTailBytes));
    this.#tailBytes += Math.min(rest.length, LIMITS.outputTailBytes);
    if (this.#tailBytes > 2 * LIMITS.outputTailBytes) this.#tail = [this.#end()];
    this.#tailBytes = this.#tail.reduce((sum, { length }) => sum + length, 0);
  }

  #end(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#tail).subarray(-LIMITS.outputTailBytes));
  }

  kept(): Kept {
    const tail = this.#end();
    const left = this.#bytes - this.#headBytes - tail.length;
    const head = Buffer.concat(this.#head);
    if (left === 0) return { text: Buffer.concat([head, tail]).toString(), bytes: this.#bytes, left };
    return {
      text: `${head.toString()}\n[${left} bytes are left out here]\n${Buffer.from(tail).toString()}`,
      bytes: this.#bytes,
      left,
    };
  }
}
