/**
 * From an async iterable of events to whoever reads them, over any transport.
 *  S1 What waits for a reader is at most `streamBufferBytes`. While the log is replayed, the source is read no faster
 *     than the reader reads; once it is live it is never kept waiting: a reader who falls behind is cut.
 *  S2 Who is cut loses what waited and nothing else: the last event is an `end` with where to resume.
 *  S3 When the reader goes, the server drains or the source ends, the source's signal is aborted and its iterator closed.
 */
import { LIMITS } from './limits.ts';

/** An event as it is sent, and the id a client resumes from when it was the last it saw. */
export type Line = { text: string; id?: string; last?: true };

/** How a server ends a stream; `resume`: where to come back to, where it was cut. */
export type End = { reason: 'drain' | 'slow' | 'error'; retryMs: number; resume?: string | null };

export type Source<E> = {
  /** Each call of `open` reads from the start of the wanted range; it ends with its signal. */
  open(signal: AbortSignal): AsyncIterable<E>;
  toLine(event: E): Line;
  toEnd(end: End): Line;
  /** From this event on the source is live. */
  isLive(event: E): boolean;
  /** The id to resume from before any event was sent. */
  from: string | null;
};

/** What takes the events of one source for one reader. */
export interface Sink {
  /** Nothing is added any more: the end waits to be sent, or the reader is gone. */
  readonly isEnding: boolean;
  /** The id of the last event that was handed over to be sent. */
  readonly resume: string | null;
  /** Adds an event; past the bound, a live reader is cut. */
  push(line: Line, isLive: boolean): void;
  /** Resolves when there is room for more, or the reader is gone. */
  room(): Promise<void>;
  /** What waits is still sent, then `line`, then nothing. */
  finish(line: Line | null): void;
}

export type Begun = {
  /** Sends the events to a reader; `failed` is told what breaks the source. Called once. */
  send: (sink: Sink, failed: (error: unknown) => void) => void;
  /** The source is not needed any more. Idempotent. */
  stop: () => void;
};

/**
 * Waits for the source's first event, so that its refusal is still an answer. Rejects with what the source throws before
 * that; what it throws later ends the stream with the reason `error`.
 */
export async function begin<E>(source: Source<E>, signal?: AbortSignal): Promise<Begun> {
  const abort = new AbortController();
  const cut = (): void => abort.abort();
  signal?.addEventListener('abort', cut, { once: true });
  if (signal?.aborted === true) cut();
  const stop = (): void => {
    signal?.removeEventListener('abort', cut);
    cut();
  };
  try {
    const iterator = source.open(abort.signal)[Symbol.asyncIterator]();
    const first = await iterator.next();
    const send: Begun['send'] = (sink, failed) =>
      void pump(sink, source, iterator, first).catch((error: unknown) => {
        if (sink.isEnding) return;
        failed(error);
        sink.finish(source.toEnd({ reason: 'error', retryMs: LIMITS.retryMs, resume: sink.resume }));
      });
    return { send, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

async function pump<E>(
  sink: Sink,
  source: Source<E>,
  iterator: AsyncIterator<E>,
  first: IteratorResult<E>,
): Promise<void> {
  let isLive = false;
  try {
    for (let result = first; result.done !== true; result = await iterator.next()) {
      if (sink.isEnding) return;
      const line = source.toLine(result.value);
      if (line.last === true) return sink.finish(line);
      isLive ||= source.isLive(result.value);
      if (!isLive) await sink.room();
      sink.push(line, isLive);
    }
    sink.finish(null);
  } finally {
    await iterator.return?.();
  }
}
