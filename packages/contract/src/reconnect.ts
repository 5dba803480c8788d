/**
 * One stream over many connections. It resumes with the id it saw last; what the server asks for (`retry`) and what
 * fails in a row decides how long it waits.
 */
import { ApiError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { ServerEvent } from './sse-parser.ts';
import { createSseParser } from './sse-parser.ts';

export type StreamTimers = { set(afterMs: number, run: () => void): { cancel(): void } };
/** Opens a connection that resumes after `id`; null: from where the stream was first asked for. */
export type Connect = (id: string | null, signal: AbortSignal) => Promise<Response>;
export type StreamLine = { event: string; data: unknown; id: string | null };

/** Reasons of an `end` after which the server expects the client back. */
const RETURNING = new Set(['drain', 'slow', 'error']);

/**
 * The events of all connections, in the order they came. Ends with its signal, or after an `end` that is final; rejects
 * with ApiError when the server refuses for good or `maxAttempts` connections in a row bring nothing.
 */
export async function* followStream(
  connect: Connect,
  timers: StreamTimers,
  options: { signal?: AbortSignal; maxAttempts?: number },
): AsyncGenerator<StreamLine> {
  const { signal, maxAttempts = LIMITS.reconnectAttempts } = options;
  let id: string | null = null;
  let failures = 0;
  let retryMs: number = LIMITS.reconnectFirstMs;
  while (!isAborted(signal)) {
    const connection = openConnection(connect, timers, signal);
    try {
      for await (const event of connection.events(id)) {
        if (event.retryMs !== null) retryMs = event.retryMs;
        if (event.data === '') continue;
        const line: StreamLine = { event: event.event, data: JSON.parse(event.data) as unknown, id: event.id };
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
      connection.close();
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

type Connection = { events(id: string | null): AsyncGenerator<ServerEvent>; close(): void };

function openConnection(connect: Connect, timers: StreamTimers, signal: AbortSignal | undefined): Connection {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  signal?.addEventListener('abort', stop, { once: true });
  let idle = timers.set(LIMITS.streamIdleMs, stop);
  async function* events(id: string | null): AsyncGenerator<ServerEvent> {
    const response = await connect(id, abort.signal);
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    const parser = createSseParser();
    for (let piece = await reader?.read(); piece !== undefined && !piece.done; piece = await reader?.read()) {
      idle.cancel();
      idle = timers.set(LIMITS.streamIdleMs, stop);
      yield* parser.push(decoder.decode(piece.value, { stream: true }));
    }
  }
  const close = (): void => {
    idle.cancel();
    signal?.removeEventListener('abort', stop);
    stop();
  };
  return { events, close };
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
