import type { Soon } from '../soon.ts';

/** A bound on what is under way at once, shared fairly: sessions that wait are served in turn. */
export class Slots {
  #free: number;
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(count: number) {
    this.#free = count;
  }

  /** True when a slot is `owner`'s, to release; false when `signal` aborts first: then there is none. */
  acquire(owner: string, signal: AbortSignal): Soon<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return new Promise<boolean>((resolve) => {
      const granted = (): void => {
        signal.removeEventListener('abort', aborted);
        resolve(true);
      };
      const aborted = (): void => {
        this.#leave(owner, granted);
        resolve(false);
      };
      signal.addEventListener('abort', aborted, { once: true });
      const queue = this.#waiting.get(owner);
      if (queue === undefined) this.#waiting.set(owner, [granted]);
      else queue.push(granted);
    });
  }

  #leave(owner: string, granted: () => void): void {
    const queue = this.#waiting.get(owner)?.filter((other) => other !== granted) ?? [];
    if (queue.length === 0) this.#waiting.delete(owner);
    else this.#waiting.set(owner, queue);
  }

  release(): void {
    const next = this.#waiting.entries().next();
    if (next.done) {
      this.#free += 1;
      return;
    }
    const [owner, queue] = next.value;
    // To the back of the line: the next slot is another session's.
    this.#waiting.delete(owner);
    const granted = queue.shift();
    if (queue.length > 0) this.#waiting.set(owner, queue);
    granted?.();
  }
}
