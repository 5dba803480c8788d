/**
 * An OpenAI Responses provider over HTTP, for tests: it speaks the wire format and keeps the provider's rules. Background
 * responses go on when nobody listens: they can be asked for, streamed again from any event, and cancelled.
 */
import type { ServerResponse } from 'node:http';
import { errorBody } from './chat-wire.ts';
import { compactedBody, type CompactRequest, type ResponsesCompaction } from './responses-compaction.ts';
import { readResponsesCall, type ResponsesRequest, type ResponsesRules } from './responses-rules.ts';
import { recordResponse, responsesErrorEvent, type ResponsesAnswer, type ResponsesRecord } from './responses-wire.ts';
import {
  createWireEmulator,
  writeWire,
  type WireCall,
  type WireEmulator,
  type WireError,
  type WireFailure,
  type WireFaults,
  type WireReply,
  type WireScript,
  type WireSeen,
  type WireStep,
} from './wire-server.ts';

export type ResponsesFaults = WireFaults & {
  /** After so many events an error event comes, then the end of the stream. */
  errorAfter?: { events: number; error: WireError };
  /** The stream ends properly after so many events. */
  endAfter?: number;
  /** A background response gets only so far until the test calls `finish`. */
  holdAt?: number;
  /** What becomes of the requests that ask for this response again, in their order; then they are answered. */
  again?: readonly (WireFaults | WireFailure)[];
};
/** The answer to a turn, or to a request to compact. */
type Answered = (ResponsesAnswer | ResponsesCompaction) & ResponsesFaults;
type AnsweredTurn = ResponsesAnswer & ResponsesFaults;
export type ResponsesReply = WireReply<Answered>;
export type ResponsesStep = WireStep<ResponsesRequest, Answered>;
export type SeenResponsesRequest = WireSeen<ResponsesRequest>;

/** Its `url` ends with `/v1`: what a client takes as its base URL. Only `POST /responses` and `/responses/compact` take a step. */
export type ResponsesEmulator = WireEmulator<ResponsesRequest, Answered> & {
  /** Ids of the responses so far, in their order. */
  responses(): string[];
  status(id: string): string;
  /** Lets a held response go on to its end. */
  finish(id: string): void;
  /** The provider keeps it no longer. */
  forget(id: string): void;
};

export type ResponsesEmulatorOptions = ResponsesRules & {
  /** The key it takes; without it any Bearer token will do. */
  key?: string;
};

type Compacted = ResponsesCompaction & ResponsesFaults;
type Kept = ResponsesRecord & {
  background: boolean;
  store: boolean;
  /** Events that have happened. */
  happened: number;
  cancelled: boolean;
  again: (WireFaults | WireFailure)[];
  /** Called when more has happened. */
  waiting: (() => void)[];
};
type Create = Extract<ResponsesRequest, { kind: 'create' }>;
type Again = Exclude<ResponsesRequest, { kind: 'create' | 'compact' }>;

/** Starts the emulator on a free port of 127.0.0.1. One function as the script answers any number of requests. */
export async function createResponsesEmulator(
  script: WireScript<ResponsesRequest, Answered> = [],
  options: ResponsesEmulatorOptions = {},
): Promise<ResponsesEmulator> {
  const provider = new Provider(options);
  const emulator = await createWireEmulator<ResponsesRequest, Answered>(script, {
    base: '/v1',
    headers: { 'x-request-id': 'req_emulated' },
    read: (call) => provider.read(call),
    answer: async (response, reply, request) => {
      if (request.kind === 'create' && 'output' in reply && !('compacted' in reply))
        await provider.answer(response, reply, request);
      else if (request.kind === 'compact' && 'compacted' in reply) await provider.compact(response, reply, request);
      else
        refuse(response, {
          status: 500,
          error: { message: 'the step answers something else', type: 'emulator_error' },
        });
    },
    standing: (response, request) =>
      request.kind === 'create' || request.kind === 'compact' ? null : provider.answerAgain(response, request),
    errorBody,
  });
  return {
    ...emulator,
    responses: () => provider.ids(),
    status: (id) => provider.status(id),
    finish: (id) => provider.finish(id),
    forget: (id) => provider.forget(id),
  };
}

class Provider {
  readonly #options: ResponsesEmulatorOptions;
  readonly #kept = new Map<string, Kept | null>();
  #compactions = 0;
  readonly #minted = { after: new Map<string, string>(), stored: new Set<string>() };

  constructor(options: ResponsesEmulatorOptions) {
    this.#options = options;
  }

  read(call: WireCall): { body: unknown; request: ResponsesRequest } | { body: unknown; refused: WireFailure } {
    const token = /^Bearer (.+)$/.exec(call.headers.authorization ?? '')?.[1];
    if (token === undefined || (this.#options.key !== undefined && token !== this.#options.key)) {
      const error = { message: 'Incorrect API key provided.', type: 'invalid_request_error', code: 'invalid_api_key' };
      return { body: null, refused: { status: 401, error } };
    }
    const read = readResponsesCall(call, this.#minted, this.#options);
    if (!('request' in read)) return { body: read.body, refused: { status: read.status, error: read.error } };
    const { request } = read;
    if (request.kind === 'create' || request.kind === 'compact' || this.#kept.has(request.id)) return read;
    return { body: read.body, refused: notFound(request.id) };
  }

  async compact(response: ServerResponse, reply: Compacted, request: CompactRequest): Promise<void> {
    if (reply.hang === true) return;
    head(response, false);
    await writeWire(response, Buffer.from(compactedBody(reply, request, this.#compactions++)), reply);
  }

  async answer(response: ServerResponse, reply: AnsweredTurn, request: Create): Promise<void> {
    const kept = this.#keep(reply, request);
    if (reply.hang === true) return;
    if (!request.stream) {
      head(response, false);
      return writeWire(response, Buffer.from(this.#snapshot(kept)), reply);
    }
    head(response, true);
    const broken = brokenOff(kept.events, reply);
    await writeWire(response, broken ?? happening(kept, 0), reply);
  }

  /** A response that is asked for again, or cancelled. */
  async answerAgain(response: ServerResponse, request: Again): Promise<void> {
    const kept = this.#kept.get(request.id) ?? null;
    if (kept === null || !kept.store) return refuse(response, notFound(request.id));
    if (request.kind === 'cancel') return this.#cancel(response, kept);
    const fault = kept.again.shift() ?? {};
    if ('status' in fault) return refuse(response, fault);
    if (fault.hang === true) return;
    if (request.stream && !kept.background) {
      const message = 'Streaming is not available for a response that was not created in the background.';
      return refuse(response, { status: 400, error: { message, type: 'invalid_request_error' } });
    }
    head(response, request.stream);
    const plain = (text: string): string => (request.encrypted ? text : withoutEncrypted(text));
    if (!request.stream) return writeWire(response, Buffer.from(plain(this.#snapshot(kept))), fault);
    await writeWire(response, happening(kept, request.after + 1, plain), fault);
  }

  #cancel(response: ServerResponse, kept: Kept): void {
    const status = this.#statusOf(kept);
    if (!kept.background || status === 'completed') {
      const message = `Cannot cancel a ${kept.background ? 'completed' : 'synchronous'} response.`;
      return refuse(response, { status: 400, error: { message, type: 'invalid_request_error' } });
    }
    kept.cancelled ||= status === 'in_progress';
    tell(kept);
    head(response, false);
    response.end(this.#snapshot(kept));
  }

  ids(): string[] {
    return [...this.#kept.keys()];
  }

  status(id: string): string {
    const kept = this.#kept.get(id) ?? null;
    return kept === null ? 'forgotten' : this.#statusOf(kept);
  }

  finish(id: string): void {
    const kept = this.#kept.get(id) ?? null;
    if (kept === null || kept.cancelled) throw new Error(`response ${id} cannot go on`);
    kept.happened = kept.events.length;
    tell(kept);
  }

  forget(id: string): void {
    this.#kept.set(id, null);
  }

  #keep(reply: AnsweredTurn, request: Create): Kept {
    const id = `resp_emulated_${this.#kept.size}`;
    const { model, background, store, encrypted, obfuscation } = request;
    const record = recordResponse(reply, { id, model, background, store, encrypted, obfuscation });
    const happened = background ? Math.min(reply.holdAt ?? Infinity, record.events.length) : record.events.length;
    const again = [...(reply.again ?? [])];
    const kept: Kept = { ...record, background, store, happened, cancelled: false, again, waiting: [] };
    this.#kept.set(id, kept);
    let before: string | null = null;
    for (const item of record.response['output'] as { id: string; type: string }[]) {
      if (before !== null) this.#minted.after.set(item.id, before);
      if (store) this.#minted.stored.add(item.id);
      before = item.type === 'reasoning' ? item.id : null;
    }
    return kept;
  }

  #statusOf({ response, happened, events, cancelled }: Kept): string {
    if (cancelled) return 'cancelled';
    return happened < events.length ? 'in_progress' : response.status;
  }

  #snapshot(kept: Kept): string {
    const status = this.#statusOf(kept);
    const ended = status === kept.response.status;
    return JSON.stringify(ended ? kept.response : { ...kept.response, status, output: [], usage: null });
  }
}

/** The events as they happen, from one on; ends where the response does. */
async function* happening(kept: Kept, from: number, change = (text: string): string => text): AsyncGenerator<Buffer> {
  let at = from;
  while (at < kept.events.length) {
    const { happened, cancelled } = kept;
    if (at < happened) yield Buffer.from(change(kept.events.slice(at, happened).join('')));
    else if (cancelled) return;
    else await new Promise<void>((resolve) => kept.waiting.push(resolve));
    at = Math.max(at, happened);
  }
}

function tell(kept: Kept): void {
  for (const resolve of kept.waiting.splice(0)) resolve();
}

/** The bytes of a stream that does not come to its own end; null for one that does. */
function brokenOff(events: readonly string[], { errorAfter, endAfter }: AnsweredTurn): Buffer | null {
  if (errorAfter !== undefined) {
    const said = events.slice(0, errorAfter.events);
    return Buffer.from(said.join('') + responsesErrorEvent(errorAfter.error, said.length));
  }
  return endAfter === undefined ? null : Buffer.from(events.slice(0, endAfter).join(''));
}

function head(response: ServerResponse, stream: boolean): void {
  response.socket?.setNoDelay(true);
  response.writeHead(200, {
    'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    'cache-control': 'no-cache',
    'x-request-id': 'req_emulated',
    'openai-processing-ms': '1',
  });
}

function refuse(response: ServerResponse, { status, error, headers, body }: WireFailure): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req_emulated', ...headers });
  response.end(body ?? errorBody(error ?? { message: `emulated status ${status}`, type: 'server_error' }));
}

const notFound = (id: string): WireFailure => ({
  status: 404,
  error: { message: `Response with id '${id}' not found.`, type: 'invalid_request_error' },
});

const withoutEncrypted = (text: string): string => text.replaceAll(/,"encrypted_content":"[^"]*"/g, '');
