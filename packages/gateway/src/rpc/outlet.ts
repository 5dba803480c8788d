/** What waits to go out on one socket: answers and notifications, in order and counted. */
import { LIMITS } from '../limits.ts';

/** `handed` runs when the text is given to the network; `owner`: whose waiting texts can be dropped. */
export type Outgoing = { text: string; owner?: object; handed?: () => void };

export class Outlet {
  /** Of what waits here; what the network holds does not count. */
  bytes = 0;
  readonly #send: (text: string, taken: () => void) => void;
  readonly #moved: () => void;
  #waiting: (Outgoing & { bytes: number })[] = [];
  #flying = 0;
  #rooms: (() => void)[] = [];
  #isShut = false;

  /** `send` hands a text to the network and says when that has taken it; `moved`: something was taken. */
  constructor(send: (text: string, taken: () => void) => void, moved: () => void) {
    this.#send = send;
    this.#moved = moved;
  }

  get isFull(): boolean {
    return this.bytes >= LIMITS.streamBufferBytes / 2;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Nothing waits, and the network has taken all. */
  get isIdle(): boolean {
    return this.isEmpty && this.#flying === 0;
  }

  /** Whether so much more is beyond the bound. One text alone may be as large as it is. */
  isOver(bytes: number): boolean {
    return this.bytes > 0 && this.bytes + bytes > LIMITS.streamBufferBytes;
  }

  add(outgoing: Outgoing): void {
    if (this.#isShut) return;
    const bytes = Buffer.byteLength(outgoing.text);
    this.#waiting.push({ ...outgoing, bytes });
    this.bytes += bytes;
    this.#flow();
  }

  /** Takes back what of this owner was not handed over yet. */
  drop(owner: object): void {
    this.#waiting = this.#waiting.filter((outgoing) => outgoing.owner !== owner);
    this.bytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#makeRoom();
  }

  /** Resolves when there may be room: ask again. */
  async room(): Promise<void> {
    await new Promise<void>((resolve) => this.#rooms.push(resolve));
  }

  /** The socket is gone: nothing is kept, and nobody waits for room. */
  shut(): void {
    this.#isShut = true;
    this.#waiting = [];
    this.bytes = 0;
    this.#makeRoom();
  }

  #flow(): void {
    while (this.#flying < LIMITS.streamChunkBytes) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.bytes -= next.bytes;
      this.#flying += next.bytes;
      next.handed?.();
      this.#send(next.text, () => {
        this.#flying -= next.bytes;
        this.#flow();
        this.#moved();
      });
    }
    if (!this.isFull) this.#makeRoom();
  }

  #makeRoom(): void {
    const rooms = this.#rooms;
    this.#rooms = [];
    for (const resolve of rooms) resolve();
  }
}
