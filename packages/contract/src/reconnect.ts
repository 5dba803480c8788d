/**
 * One stream over many connections, whatever they are. It resumes with the id it saw last; what the server asks for and
 * what fails in a row decides how long it waits.
 */
import { ApiError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { createSseParser } from './sse-parser.ts';

export type StreamTimers = { set(afterMs: number, run: () => void): { cancel(): void } };
export type StreamLine = { event: string; data: unknown; id: string | null };
/**
 * One connection: what comes after `id`; null: from where the stream was first asked for. `retryMs`: what the server asks
 * a client to wait before the next. Ends or throws when it breaks; ends with its signal.
 */
export type Attempt = (
  id: string | null,
  signal: AbortSignal,
) => AsyncIterable<StreamLine & { retryMs: number | null }>;

/** Reasons of an `end` after which the server expects the client back. */
const RETURNING = new Set(['drain', 'slow', 'error']);

/**
 * The events of all connections, in the order they came. Ends with its signal, or after an `end` that is final; rejects
 * with ApiError when the server refuses for good or `maxAttempts` connections in a row bring nothing.
 */
export async function* followStream(
  attempt: Attempt,
  timers: StreamTimers,
  options: { signal?: AbortSignal; maxAttempts?: number },
): AsyncGenerator<StreamLine> {
  const { signal, maxAttempts = LIMITS.reconnectAttempts } = options;
  let id: string | null = null;
  let failures = 0;
  let retryMs: number = LIMITS.reconnectFirstMs;
  while (!isAborted(signal)) {
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      for await (const line of attempt(id, abort.signal)) {
        if (line.retryMs !== null) ({ retryMs } = line);
        if (line.data === null) continue;
        if (line.event === 'end' && RETURNING.has((line.data as { reason: string }).reason)) break;
        failures = 0;
        id = resumeId(line) ?? id;
        yield line;
        if (line.event === 'end') return;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      if (!isPassing(error)) throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      stop();
    }
    failures += 1;
    if (failures >= maxAttempts)
      throw new ApiError('unavailable', `the stream was lost: ${failures} connections failed`);
    await sleep(Math.min(retryMs * 2 ** (failures - 1), LIMITS.reconnectMaxMs), timers, signal);
  }
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/** An event's own id; what says where the stream stands instead moves the place to go on from. */
function resumeId({ event, data, id }: StreamLine): string | null {
  if (event !== 'resync' && event !== 'caught-up') return id;
  const { after, cursor } = data as { after?: number; cursor?: string };
  return cursor ?? (after === undefined ? null : String(after));
}

/** Worth another connection: the network, a restart, too many at once. What the server refuses stays refused. */
function isPassing(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status >= 500 || error.status === 429;
}

/** Opens a connection of server-sent events that resumes after `id`. */
export type Connect = (id: string | null, signal: AbortSignal) => Promise<Response>;

/** Connections of server-sent events: one that is silent for too long is broken. */
export function overSse(connect: Connect, timers: StreamTimers): Attempt {
  return async function* sse(id, signal) {
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    signal.addEventListener('abort', stop, { once: true });
    let idle = timers.set(LIMITS.streamIdleMs, stop);
    try {
      const response = await connect(id, abort.signal);
      const reader = response.body?.getReader();
      const decoder = new TextDecoder();
      const parser = createSseParser();
      for (let piece = await reader?.read(); piece !== undefined && !piece.done; piece = await reader?.read()) {
        idle.cancel();
        idle = timers.set(LIMITS.streamIdleMs, stop);
        for (const { data, ...rest } of parser.push(decoder.decode(piece.value, { stream: true })))
          yield { ...rest, data: data === '' ? null : (JSON.parse(data) as unknown) };
      }
    } finally {
      idle.cancel();
      signal.removeEventListener('abort', stop);
      stop();
    }
  };
}

function sleep(ms: number, timers: StreamTimers, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = timers.set(ms, done);
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted === true) done();
  });
}
