/** A scripted Api and a virtual clock: what a gateway needs and nothing behind it. */
import type { MethodName } from '@perdure/contract';
import type { Api, Caller, FeedEvent, StreamEvent } from '@perdure/runtime';
import type { Timers } from '@perdure/runtime/ports';
import type { Gateway, GatewayOptions } from '../src/gateway.ts';
import { createGateway } from '../src/gateway.ts';

export const SESSION = `ses_${'a'.repeat(26)}`;

/** Timers that pass only when told. */
export class ManualTimers implements Timers {
  nowMs = 0;
  #pending = new Set<{ dueMs: number; run: () => void }>();
  set(afterMs: number, run: () => void) {
    const entry = { dueMs: this.nowMs + afterMs, run };
    this.#pending.add(entry);
    return { cancel: () => void this.#pending.delete(entry) };
  }
  get pending(): number {
    return this.#pending.size;
  }
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.#pending].filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      this.#pending.delete(next);
      this.nowMs = next.dueMs;
      next.run();
    }
    this.nowMs = untilMs;
  }
}

/** An event stream that a test feeds. */
export class Channel<E> {
  readonly signals: AbortSignal[] = [];
  returned = 0;
  taken = 0;
  #queue: (E | Error)[] = [];
  #ended = false;
  #wake: (() => void) | null = null;
  push(...events: (E | Error)[]): void {
    this.#queue.push(...events);
    this.#wake?.();
  }
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }
  async *open(signal: AbortSignal): AsyncGenerator<E> {
    this.signals.push(signal);
    const wake = (): void => this.#wake?.();
    signal.addEventListener('abort', wake);
    try {
      for (;;) {
        const next = this.#queue.shift();
        if (next instanceof Error) throw next;
        if (next !== undefined) {
          this.taken += 1;
          yield next;
        } else if (this.#ended || signal.aborted) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.returned += 1;
      signal.removeEventListener('abort', wake);
    }
  }
}

export type Call = { caller: Caller; method: MethodName; params: unknown };

export class FakeApi implements Api {
  readonly calls: Call[] = [];
  readonly blobs = new Map<string, Uint8Array>();
  readonly channel = new Channel<StreamEvent>();
  readonly feedChannel = new Channel<FeedEvent>();
  /** What the last stream was asked for. */
  asked: unknown;
  /** What the next calls answer; may throw. */
  answer: (call: Call) => { status: number; result: unknown } = () => ({ status: 200, result: {} });
  isReady = true;

  async call(caller: Caller, method: MethodName, params: unknown): Promise<never> {
    const call = { caller, method, params };
    this.calls.push(call);
    return this.answer(call) as never;
  }
  events(_caller: Caller, session: string, options: { after: number; deltas: boolean; signal: AbortSignal }) {
    const { signal, ...rest } = options;
    this.asked = { session, ...rest };
    return this.channel.open(signal);
  }
  feed(_caller: Caller, options: { after: string | null; agent?: string; signal: AbortSignal }) {
    const { signal, ...rest } = options;
    this.asked = rest;
    return this.feedChannel.open(signal);
  }
  async putBlob(_caller: Caller, bytes: Uint8Array): Promise<string> {
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))).toString('base64url');
    this.blobs.set(digest, bytes);
    return digest;
  }
  async getBlob(_caller: Caller, digest: string): Promise<Uint8Array | null> {
    return this.blobs.get(digest) ?? null;
  }
  /** What an export gives; an error breaks it off. */
  lines: (string | Error)[] = [];
  imported: string[] = [];
  async exportSession(): Promise<AsyncGenerator<Uint8Array>> {
    const { lines } = this;
    return (async function* () {
      for (const line of lines) {
        if (line instanceof Error) throw line;
        yield Buffer.from(line);
      }
    })();
  }
  async importSession(_caller: Caller, open: () => AsyncIterable<Uint8Array>): Promise<never> {
    for (let times = 0; times < 2; times += 1) {
      let text = '';
      for await (const chunk of open()) text += Buffer.from(chunk).toString();
      this.imported.push(text);
    }
    return { session: { id: SESSION }, seq: 1 } as never;
  }
  ready() {
    return this.isReady ? { ready: true } : { ready: false, reason: 'the disk is full' };
  }
}

export type World = { api: FakeApi; timers: ManualTimers; logged: string[]; gateway: Gateway; request: Requester };
export type Requester = (
  path: string,
  init?: RequestInit & { json?: unknown; env?: { port: number } },
) => Promise<Response>;

export function createWorld(options: Partial<GatewayOptions> = {}): World {
  const api = new FakeApi();
  const timers = new ManualTimers();
  const logged: string[] = [];
  const log = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const gateway = createGateway({
    api,
    logger: { debug: () => undefined, info: log, warn: log, error: log },
    clock: { now: () => 0, monotonicMs: () => 0 },
    timers,
    random: { bytes: (count) => new Uint8Array(count).fill(7) },
    ...options,
  });
  const request: Requester = async (path, { json, env, ...init } = {}) => {
    const headers = new Headers({ host: 'localhost:7420', ...(init.headers as Record<string, string>) });
    const body = json === undefined ? init.body : JSON.stringify(json);
    if (json !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json');
    if (typeof body === 'string') headers.set('content-length', String(Buffer.byteLength(body)));
    const method = init.method ?? (body === undefined ? 'GET' : 'POST');
    const given = {
      ...init,
      method,
      headers,
      ...(body === undefined || body === null ? {} : { body, duplex: 'half' }),
    };
    return gateway.fetch(new Request(`http://localhost:7420${path}`, given as RequestInit), env);
  };
  return { api, timers, logged, gateway, request };
}

export async function errorOf(
  response: Response,
): Promise<{ code: string; message: string; details?: unknown; requestId: string }> {
  const body = (await response.json()) as {
    error: { code: string; message: string; details?: unknown; requestId: string };
  };
  return body.error;
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Reads a stream event by event. */
export class EventReader {
  text = '';
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  constructor(response: Response) {
    this.#reader = response.body!.getReader();
  }
  /** The text of the next block; null at the end. */
  async next(): Promise<string | null> {
    for (;;) {
      const end = this.text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.text.slice(0, end);
        this.text = this.text.slice(end + 2);
        return block;
      }
      const { done, value } = await this.#reader.read();
      if (done) return null;
      this.text += this.#decoder.decode(value, { stream: true });
    }
  }
  async take(count: number): Promise<string[]> {
    const blocks: string[] = [];
    while (blocks.length < count) blocks.push((await this.next()) ?? '<end>');
    return blocks;
  }
  async rest(): Promise<string[]> {
    const blocks: string[] = [];
    for (let block = await this.next(); block !== null; block = await this.next()) blocks.push(block);
    return blocks;
  }
  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
