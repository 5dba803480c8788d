/** An Anthropic Messages provider over HTTP, for tests: it speaks the wire format and keeps the provider's rules. */
import type { ServerResponse } from 'node:http';
import { createPromptCache, type PromptCache } from './messages-cache.ts';
import { isFields, type Fields } from './messages-history.ts';
import { readMessagesRequest, type MessagesRequest } from './messages-rules.ts';
import { prefixOf, sign } from './messages-signature.ts';
import {
  errorBody,
  errorEvent,
  messageBody,
  messageEvents,
  type MessagesAnswer,
  type MessagesFrame,
} from './messages-wire.ts';
import {
  createWireEmulator,
  jsonOf,
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

export type MessagesFaults = WireFaults & {
  /** After so many events an error event comes, then the end of the stream. */
  errorAfter?: { events: number; error: WireError };
  /** The stream ends properly after so many events. */
  endAfter?: number;
};
type Answered = MessagesAnswer & MessagesFaults;
export type MessagesReply = WireReply<Answered>;
export type MessagesStep = WireStep<MessagesRequest, Answered>;
export type SeenMessagesRequest = WireSeen<MessagesRequest>;
/** Its `url` has no `/v1`: what the official client takes as its base URL. */
export type MessagesEmulator = WireEmulator<MessagesRequest, Answered>;

export type MessagesEmulatorOptions = {
  /** The key it takes, as a Bearer token or in `x-api-key`; without it any will do. */
  key?: string;
  /** Prompts with fewer tokens than this are not cached; default 1,024. */
  cacheFromTokens?: number;
  /** Requests with more tokens than this are refused as too long. */
  windowTokens?: number;
};

/** Starts the emulator on a free port of 127.0.0.1. One function as the script answers any number of requests. */
export async function createMessagesEmulator(
  script: WireScript<MessagesRequest, Answered> = [],
  options: MessagesEmulatorOptions = {},
): Promise<MessagesEmulator> {
  const cache = createPromptCache(options.cacheFromTokens ?? 1_024);
  return createWireEmulator(script, {
    base: '',
    headers: { 'request-id': 'req_emulated' },
    read: (call) => readCall(call, options),
    answer: (response, reply, request, seen) => answer(response, reply, request, frameOf(seen, request, cache)),
    errorBody,
  });
}

function readCall(
  call: WireCall,
  options: MessagesEmulatorOptions,
): { body: unknown; request: MessagesRequest } | { body: unknown; refused: WireFailure } {
  const refuse = (status: number, type: string, message: string, body: unknown = null) => ({
    body,
    refused: { status, error: { type, message } },
  });
  if (call.method !== 'POST' || call.path !== '/v1/messages') return refuse(404, 'not_found_error', 'Not found');
  const { authorization = '', 'x-api-key': own, 'anthropic-beta': beta = '' } = call.headers;
  const token = own ?? /^Bearer (.+)$/.exec(authorization)?.[1];
  if (token === undefined || (options.key !== undefined && token !== options.key)) {
    return refuse(401, 'authentication_error', 'invalid API key');
  }
  if (call.headers['anthropic-version'] === undefined) {
    return refuse(400, 'invalid_request_error', 'anthropic-version: header is required');
  }
  const body = jsonOf(call);
  const read = readMessagesRequest(body, String(beta).split(','));
  if ('error' in read) return { body, refused: read };
  const tokens = Math.ceil(call.text.length / 4);
  if (options.windowTokens !== undefined && tokens > options.windowTokens) {
    const message = `prompt is too long: ${tokens} tokens > ${options.windowTokens} maximum`;
    return refuse(400, 'invalid_request_error', message, body);
  }
  return { body, request: read.request };
}

function frameOf({ body }: SeenMessagesRequest, request: MessagesRequest, cache: PromptCache): MessagesFrame {
  const fields: Fields = isFields(body) ? body : {};
  const { model, messages, dropped, reports, omitThinking } = request;
  const prefix = prefixOf(fields, messages);
  return {
    model,
    usage: cache.count(fields, messages, 12),
    sign: (thinking) => sign({ model, prefix }, thinking),
    omitThinking,
    transformed: reports ? dropped : null,
  };
}

async function answer(
  response: ServerResponse,
  reply: Answered,
  { stream, compacts }: MessagesRequest,
  frame: MessagesFrame,
): Promise<void> {
  if (reply.hang === true) return;
  if (compacts !== (reply.compaction !== undefined) && reply.content === undefined) {
    response.writeHead(500, { 'content-type': 'application/json' });
    response.end(errorBody({ type: 'emulator_error', message: 'the step answers something else' }));
    return;
  }
  response.socket?.setNoDelay(true);
  response.writeHead(200, {
    'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    'cache-control': 'no-cache',
    'request-id': 'req_emulated',
  });
  await writeWire(response, Buffer.from(stream ? streamOf(reply, frame) : messageBody(reply, frame)), reply);
}

function streamOf(reply: Answered, frame: MessagesFrame): string {
  const events = messageEvents(reply, frame);
  if (reply.endAfter !== undefined) return events.slice(0, reply.endAfter).join('');
  if (reply.errorAfter === undefined) return events.join('');
  return events.slice(0, reply.errorAfter.events).join('') + errorEvent(reply.errorAfter.error);
}
