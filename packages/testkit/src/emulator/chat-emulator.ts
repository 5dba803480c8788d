/**
 * An OpenAI Chat Completions provider over HTTP, for tests: it speaks the wire format, keeps the provider's rules, and
 * fails on request. Strict: a request nobody scripted, or one the provider would refuse, fails the test at `verify`;
 * so does a step that was never used.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readChatRequest, type ChatRequest } from './chat-rules.ts';
import { chatCompletion, chatEvents, errorBody, errorEvent, type ChatAnswer, type ChatError } from './chat-wire.ts';

/** How an answer goes wrong on its way. Offsets count bytes of the response body. */
export type ChatFaults = {
  /** The connection is destroyed after so many bytes. */
  cutAt?: number;
  /** Nothing is sent: not even headers. */
  hang?: boolean;
  /** So many bytes are sent, then silence. */
  stallAt?: number;
  /** Written in pieces of so many bytes, each flushed by itself: 1 splits every character and line end. */
  bytesPerWrite?: number;
  delayPerWriteMs?: number;
  /** After so many events an error event comes, then the end of the stream. */
  errorAfter?: { events: number; error: ChatError };
  /** The stream ends properly, without `[DONE]`. */
  noDone?: boolean;
};
export type ChatFailure = { status: number; error?: ChatError; headers?: { [name: string]: string }; body?: string };
export type ChatReply = (ChatAnswer & ChatFaults) | ChatFailure;
export type ChatStep = ChatReply | ((seen: SeenRequest) => ChatReply | Promise<ChatReply>);

export type SeenRequest = {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** As it came in. */
  text: string;
  body: unknown;
  /** Null when the provider would refuse it. */
  request: ChatRequest | null;
  n: number;
};

export type ChatEmulator = {
  /** With `/v1`: what a client takes as its base URL. */
  url: string;
  requests: readonly SeenRequest[];
  expect(...steps: ChatStep[]): void;
  /** Resolves with request number `n` (from 0) as soon as it is read. */
  requested(n: number): Promise<SeenRequest>;
  /** How many connections were opened so far. */
  connections(): number;
  verify(): void;
  /** Ends every connection; then verifies. */
  close(): Promise<void>;
};

export type ChatEmulatorOptions = {
  /** The key it takes; without it any Bearer token will do. */
  key?: string;
  path?: string;
};

/** Starts the emulator on a free port of 127.0.0.1. One function as the script answers any number of requests. */
export async function createChatEmulator(
  script: readonly ChatStep[] | ((seen: SeenRequest) => ChatReply | Promise<ChatReply>) = [],
  options: ChatEmulatorOptions = {},
): Promise<ChatEmulator> {
  const steps = typeof script === 'function' ? [] : [...script];
  const requests: SeenRequest[] = [];
  const watchers: { n: number; seen(request: SeenRequest): void }[] = [];
  const problems: string[] = [];
  let connections = 0;

  const take = async (seen: SeenRequest, refused: ChatFailure | null): Promise<ChatReply> => {
    if (refused !== null) {
      problems.push(`request ${seen.n} was refused: ${refused.error?.message ?? refused.status}`);
      return refused;
    }
    const step = typeof script === 'function' ? script : steps.shift();
    if (step !== undefined) return typeof step === 'function' ? step(seen) : step;
    problems.push(`request ${seen.n} was not expected`);
    return { status: 500, error: { message: `no step for request ${seen.n}`, type: 'emulator_error' } };
  };

  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { seen, refused } = readSeen(message, await textOf(message), requests.length, options);
    requests.push(seen);
    for (const watcher of watchers) if (watcher.n === seen.n) watcher.seen(seen);
    const reply = await take(seen, refused).catch((error: unknown): ChatFailure => {
      problems.push(`the step of request ${seen.n} threw: ${String(error)}`);
      return { status: 500, error: { message: String(error), type: 'emulator_error' } };
    });
    await answer(response, reply, seen.request);
  };

  const server = createServer((message, response) => {
    // A client that goes away in the middle of its request is not the emulator's concern.
    serve(message, response).catch(() => response.destroy());
  });
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const verify = (): void => {
    const left = steps.length === 0 ? [] : [`${steps.length} steps were not used`];
    const all = [...problems, ...left];
    if (all.length > 0) throw new Error(`the emulator is not satisfied: ${all.join('; ')}`);
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    expect: (...more) => void steps.push(...more),
    requested: (n) => {
      const seen = requests[n];
      return seen === undefined ? new Promise((resolve) => watchers.push({ n, seen: resolve })) : Promise.resolve(seen);
    },
    connections: () => connections,
    verify,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      verify();
    },
  };
}

async function textOf(message: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

function readSeen(
  message: IncomingMessage,
  text: string,
  n: number,
  options: ChatEmulatorOptions,
): { seen: SeenRequest; refused: ChatFailure | null } {
  const seen = { method: message.method ?? '', path: message.url ?? '', headers: message.headers, text, n };
  const bare = { ...seen, body: null, request: null };
  const invalid = (status: number, error: ChatError): ChatFailure => ({ status, error });
  const expected = options.path ?? '/v1/chat/completions';
  if (seen.method !== 'POST' || seen.path !== expected) {
    const error = { message: `Invalid URL (${seen.method} ${seen.path})`, type: 'invalid_request_error' };
    return { seen: bare, refused: invalid(404, error) };
  }
  const token = /^Bearer (.+)$/.exec(message.headers.authorization ?? '')?.[1];
  if (token === undefined || (options.key !== undefined && token !== options.key)) {
    const error = { message: 'Incorrect API key provided.', type: 'invalid_request_error', code: 'invalid_api_key' };
    return { seen: bare, refused: invalid(401, error) };
  }
  const type = message.headers['content-type'] ?? '';
  const body = type.startsWith('application/json') ? parse(text) : undefined;
  const read = readChatRequest(body);
  if ('error' in read) return { seen: { ...bare, body }, refused: invalid(400, read.error) };
  return { seen: { ...seen, body, request: read.request }, refused: null };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function answer(response: ServerResponse, reply: ChatReply, request: ChatRequest | null): Promise<void> {
  if ('status' in reply) {
    const error = reply.error ?? { message: `emulated status ${reply.status}`, type: 'server_error' };
    response.writeHead(reply.status, {
      'content-type': 'application/json',
      'x-request-id': 'req_emulated',
      ...reply.headers,
    });
    response.end(reply.body ?? errorBody(error));
    return;
  }
  if (reply.hang === true || request === null) return;
  response.socket?.setNoDelay(true);
  response.writeHead(200, {
    'content-type': request.stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    'cache-control': 'no-cache',
    'x-request-id': 'req_emulated',
    'openai-processing-ms': '1',
  });
  await write(response, Buffer.from(bodyOf(reply, request)), reply);
}

function bodyOf(reply: ChatAnswer & ChatFaults, request: ChatRequest): string {
  if (!request.stream) return chatCompletion(reply, request.model);
  const events = chatEvents(reply, {
    model: request.model,
    includeUsage: request.includeUsage,
    done: reply.noDone !== true,
  });
  if (reply.errorAfter === undefined) return events.join('');
  return events.slice(0, reply.errorAfter.events).join('') + errorEvent(reply.errorAfter.error);
}

async function write(response: ServerResponse, bytes: Buffer, faults: ChatFaults): Promise<void> {
  const end = Math.min(bytes.length, faults.cutAt ?? Infinity, faults.stallAt ?? Infinity);
  const step = faults.bytesPerWrite ?? Math.max(1, end);
  if (end === 0) response.flushHeaders();
  for (let at = 0; at < end && !response.destroyed; at += step) {
    // Waiting for each write to leave keeps the pieces apart on the wire.
    await new Promise((resolve) => response.write(bytes.subarray(at, Math.min(end, at + step)), resolve));
    if (faults.delayPerWriteMs !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, faults.delayPerWriteMs));
    }
  }
  if (faults.stallAt !== undefined) return;
  if (faults.cutAt === undefined) response.end();
  else response.destroy();
}
