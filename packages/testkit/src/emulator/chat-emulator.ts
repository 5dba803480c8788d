/** An OpenAI Chat Completions provider over HTTP, for tests: it speaks the wire format and keeps the provider's rules. */
import type { ServerResponse } from 'node:http';
import { wrongInHouse } from './chat-house-rules.ts';
import type { ChatHouse } from './chat-houses.ts';
import { readChatRequest, type ChatRequest } from './chat-rules.ts';
import { chatCompletion, chatEvents, errorBody, errorEvent, type ChatAnswer, type ChatError } from './chat-wire.ts';
import {
  createWireEmulator,
  jsonOf,
  writeWire,
  type WireCall,
  type WireEmulator,
  type WireFailure,
  type WireFaults,
  type WireReply,
  type WireScript,
  type WireSeen,
  type WireStep,
} from './wire-server.ts';

export type ChatFaults = WireFaults & {
  /** After so many events an error event comes, then the end of the stream. */
  errorAfter?: { events: number; error: ChatError };
  /** The stream ends properly, without `[DONE]`. */
  noDone?: boolean;
};
type Answered = ChatAnswer & ChatFaults;
export type ChatReply = WireReply<Answered>;
export type ChatStep = WireStep<ChatRequest, Answered>;
export type SeenRequest = WireSeen<ChatRequest>;
/** Its `url` ends with `/v1`: what a client takes as its base URL. */
export type ChatEmulator = WireEmulator<ChatRequest, Answered>;

export type ChatEmulatorOptions = {
  /** The key it takes; without it any Bearer token will do. */
  key?: string;
  path?: string;
  /** Whose rules it keeps; OpenAI's own without it. */
  house?: ChatHouse;
};

/** Starts the emulator on a free port of 127.0.0.1. One function as the script answers any number of requests. */
export async function createChatEmulator(
  script: WireScript<ChatRequest, Answered> = [],
  options: ChatEmulatorOptions = {},
): Promise<ChatEmulator> {
  return createWireEmulator(script, {
    base: '/v1',
    headers: { 'x-request-id': 'req_emulated' },
    read: (call) => readCall(call, options),
    answer: async (response, reply, request) => answer(response, reply, request, options.house ?? {}),
    errorBody,
  });
}

function readCall(
  call: WireCall,
  options: ChatEmulatorOptions,
): { body: unknown; request: ChatRequest } | { body: unknown; refused: WireFailure } {
  const refuse = (status: number, error: ChatError, body: unknown = null) => ({ body, refused: { status, error } });
  if (call.method !== 'POST' || call.path !== (options.path ?? '/v1/chat/completions')) {
    return refuse(404, { message: `Invalid URL (${call.method} ${call.path})`, type: 'invalid_request_error' });
  }
  const token = /^Bearer (.+)$/.exec(call.headers.authorization ?? '')?.[1];
  if (token === undefined || (options.key !== undefined && token !== options.key)) {
    const code = 'invalid_api_key';
    return refuse(401, { message: 'Incorrect API key provided.', type: 'invalid_request_error', code });
  }
  const body = jsonOf(call);
  const { house = {} } = options;
  const read = readChatRequest(body, house);
  if ('error' in read) return refuse(400, read.error, body);
  const error = wrongInHouse(body, house);
  return error === null ? { body, request: read.request } : refuse(400, error, body);
}

async function answer(
  response: ServerResponse,
  reply: Answered,
  request: ChatRequest,
  house: ChatHouse,
): Promise<void> {
  if (reply.hang === true) return;
  response.socket?.setNoDelay(true);
  response.writeHead(200, {
    'content-type': request.stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    'cache-control': 'no-cache',
    'x-request-id': 'req_emulated',
    'openai-processing-ms': '1',
  });
  const isFresh = house.cachesByKey === true && request.cacheKey === null;
  const { usage } = reply;
  const counted = isFresh && usage ? { ...reply, usage: { ...usage, cached: 0 } } : reply;
  await writeWire(response, Buffer.from(bodyOf(counted, request, house)), reply);
}

function bodyOf(reply: Answered, request: ChatRequest, house: ChatHouse): string {
  if (!request.stream) return chatCompletion(reply, request.model);
  const events = chatEvents(reply, {
    model: request.model,
    includeUsage: request.includeUsage,
    done: reply.noDone !== true,
    house,
  });
  if (reply.errorAfter === undefined) return events.join('');
  return events.slice(0, reply.errorAfter.events).join('') + errorEvent(reply.errorAfter.error);
}
