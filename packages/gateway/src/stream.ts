/** A source as the body of a response, bounded on both sides (S1 to S3 of source.ts). */
import type { Timer, Timers } from '@perdure/runtime/ports';
import { LIMITS } from './limits.ts';
import type { Line, Sink, Source } from './source.ts';
import { begin } from './source.ts';
import { endLine, HEARTBEAT, retryHint } from './sse.ts';

export type Opened = { body: ReadableStream<Uint8Array>; drain(): void };

const encoder = new TextEncoder();

/** Rejects with what the source throws before its first event. `closed`: the reader has had all, or is gone. */
export async function openStream<E>(
  source: Source<E>,
  given: { signal: AbortSignal; timers: Timers; closed: () => void; failed: (error: unknown) => void },
): Promise<Opened> {
  const begun = await begin(source, given.signal);
  const pipe = new Pipe(given.timers, source.from, { ended: begun.stop, closed: given.closed });
  begun.send(pipe, given.failed);
  return { body: pipe.body, drain: () => pipe.finish(endLine({ reason: 'drain', retryMs: LIMITS.retryMs })) };
}

/** `ended`: the source is not needed any more. `closed`: the reader has had all, or is gone. Each once. */
type Notify = { ended: () => void; closed: () => void };

/** What waits for one reader. */
class Pipe implements Sink {
  readonly body: ReadableStream<Uint8Array>;
  isEnding = false;
  resume: string | null;
  readonly #timers: Timers;
  readonly #notify: Notify;
  #isClosed = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #waiting: { line: Line; bytes: number }[] = [];
  #bytes = 0;
  /** The reader asked for more and there was nothing. */
  #pulled: (() => void) | null = null;
  #roomed: (() => void) | null = null;
  #heartbeat: Timer;
  #stalled = 0;

  constructor(timers: Timers, from: string | null, notify: Notify) {
    this.#timers = timers;
    this.#notify = notify;
    this.resume = from;
    this.#add({ text: retryHint(LIMITS.retryMs) });
    this.#heartbeat = this.#beat();
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#pull(),
        cancel: () => this.#close(),
      },
      { highWaterMark: 0 },
    );
  }

  get isFull(): boolean {
    return this.#bytes >= LIMITS.streamBufferBytes / 2;
  }

  /** One event alone may be as large as it is. */
  push(line: Line, isLive: boolean): void {
    if (this.isEnding) return;
    const bytes = Buffer.byteLength(line.text);
    const isOver = this.#bytes > 0 && this.#bytes + bytes > LIMITS.streamBufferBytes;
    if (isOver && isLive) return this.#cut();
    this.#add(line, bytes);
    this.#wake();
  }

  async room(): Promise<void> {
    while (this.isFull && !this.isEnding) await new Promise<void>((resolve) => (this.#roomed = resolve));
  }

  finish(line: Line | null): void {
    if (this.isEnding) return;
    if (line !== null) this.#add(line);
    this.#end();
    this.#wake();
  }

  #end(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.#notify.ended();
    this.#makeRoom();
  }

  #cut(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.finish(endLine({ reason: 'slow', retryMs: LIMITS.retryMs, resume: this.resume }));
  }

  #add(line: Line, bytes = Buffer.byteLength(line.text)): void {
    this.#waiting.push({ line, bytes });
    this.#bytes += bytes;
  }

  #wake(): void {
    const pulled = this.#pulled;
    this.#pulled = null;
    pulled?.();
  }

  async #pull(): Promise<void> {
    this.#stalled = 0;
    while (this.#waiting.length === 0 && !this.isEnding) {
      await new Promise<void>((resolve) => (this.#pulled = resolve));
    }
    if (this.#isClosed) return;
    this.#hand();
    if (this.isEnding && this.#waiting.length === 0) {
      this.#controller?.close();
      this.#close();
    }
  }

  /** Hands over the next piece: as many events as fit into it, at least one. */
  #hand(): void {
    let size = 0;
    let count = 0;
    for (const { bytes } of this.#waiting) {
      if (count > 0 && size + bytes > LIMITS.streamChunkBytes) break;
      size += bytes;
      count += 1;
    }
    if (count === 0) return;
    const taken = this.#waiting.splice(0, count);
    this.#bytes -= size;
    for (const { line } of taken) this.resume = line.id ?? this.resume;
    this.#controller?.enqueue(encoder.encode(taken.map(({ line }) => line.text).join('')));
    if (!this.isFull) this.#makeRoom();
  }

  #makeRoom(): void {
    const roomed = this.#roomed;
    this.#roomed = null;
    roomed?.();
  }

  #beat(): Timer {
    return this.#timers.set(LIMITS.heartbeatMs, () => {
      if (this.#isClosed) return;
      if (this.#waiting.length === 0 && !this.isEnding) {
        this.#add({ text: HEARTBEAT });
        this.#wake();
      } else {
        this.#stalled += 1;
        if (this.#stalled >= LIMITS.stalledHeartbeats) return this.#abandon();
      }
      this.#heartbeat = this.#beat();
    });
  }

  /** The reader has taken nothing for so long that it is taken for gone: the connection is broken off. */
  #abandon(): void {
    this.#waiting = [];
    this.#bytes = 0;
    this.#controller?.error(new Error('the reader of this stream stopped reading'));
    this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#heartbeat.cancel();
    this.#end();
    this.#wake();
    this.#notify.closed();
  }
}
