/** A bound on what is under way at once, shared fairly: sessions that wait are served in turn. */
export class Slots {
  #free: number;
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when a slot is free for `owner`; the caller releases it. */
  async acquire(owner: string): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve) => {
      const queue = this.#waiting.get(owner);
      if (queue === undefined) this.#waiting.set(owner, [resolve]);
      else queue.push(resolve);
    });
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
    const resolve = queue.shift();
    if (queue.length > 0) this.#waiting.set(owner, queue);
    resolve?.();
  }
}
