/**
 * What the emulated providers share: the HTTP server, the script, the faults of an answer on its way, and the verdict.
 * Strict: a request nobody scripted, or one the provider would refuse, fails the test at `verify`; so does a step that
 * was never used.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How an answer goes wrong on its way. Offsets count bytes of the response body. */
export type WireFaults = {
  /** The connection is destroyed after so many bytes. */
  cutAt?: number;
  /** Nothing is sent: not even headers. */
  hang?: boolean;
  /** So many bytes are sent, then silence. */
  stallAt?: number;
  /** Written in pieces of so many bytes, each flushed by itself: 1 splits every character and line end. */
  bytesPerWrite?: number;
  delayPerWriteMs?: number;
};
export type WireError = { message: string; type: string; code?: string | null; param?: string | null };
/** An answer with a status of its own; `body` takes the place of the provider's error object. */
export type WireFailure = { status: number; error?: WireError; headers?: { [name: string]: string }; body?: string };

/** A request as it came in. */
export type WireCall = { method: string; path: string; headers: IncomingHttpHeaders; text: string };
/** A request as the emulator read it; `request` is null when the provider would refuse it. */
export type WireSeen<R> = WireCall & { body: unknown; request: R | null; n: number };
export type WireReply<A> = A | WireFailure;
export type WireStep<R, A> = WireReply<A> | ((seen: WireSeen<R>) => WireReply<A> | Promise<WireReply<A>>);
/** One function as the script answers any number of requests. */
export type WireScript<R, A> =
  | readonly WireStep<R, A>[]
  | ((seen: WireSeen<R>) => WireReply<A> | Promise<WireReply<A>>);

/** What sets one provider apart. */
export type WireProtocol<R, A> = {
  /** What a client takes as its base URL ends with this. */
  base: string;
  /** Headers of every failure. */
  headers: { [name: string]: string };
  read(call: WireCall): { body: unknown; request: R } | { body: unknown; refused: WireFailure };
  answer(response: ServerResponse, reply: A, request: R, seen: WireSeen<R>): Promise<void>;
  errorBody(error: WireError): string;
  /** Answers a request that needs no step of the script; null where it needs one. */
  standing?(response: ServerResponse, request: R): Promise<void> | null;
};

export type WireEmulator<R, A> = {
  url: string;
  requests: readonly WireSeen<R>[];
  expect(...steps: WireStep<R, A>[]): void;
  /** Resolves with request number `n` (from 0) as soon as it is read. */
  requested(n: number): Promise<WireSeen<R>>;
  /** How many connections were opened so far. */
  connections(): number;
  verify(): void;
  /** Ends every connection; then verifies. */
  close(): Promise<void>;
};

/** Starts an emulator on a free port of 127.0.0.1. */
export async function createWireEmulator<R, A extends object>(
  script: WireScript<R, A>,
  protocol: WireProtocol<R, A>,
): Promise<WireEmulator<R, A>> {
  const steps = typeof script === 'function' ? [] : [...script];
  const requests: WireSeen<R>[] = [];
  const watchers: { n: number; seen(request: WireSeen<R>): void }[] = [];
  const problems: string[] = [];
  let connections = 0;

  const take = async (seen: WireSeen<R>): Promise<WireReply<A>> => {
    const step = typeof script === 'function' ? script : steps.shift();
    if (step !== undefined) return typeof step === 'function' ? step(seen) : step;
    problems.push(`request ${seen.n} was not expected`);
    return { status: 500, error: { message: `no step for request ${seen.n}`, type: 'emulator_error' } };
  };

  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url: path = '', headers } = message;
    const call: WireCall = { method, path, headers, text: await textOf(message) };
    const read = protocol.read(call);
    const request = 'request' in read ? read.request : null;
    const seen: WireSeen<R> = { ...call, body: read.body, request, n: requests.length };
    requests.push(seen);
    for (const watcher of watchers) if (watcher.n === seen.n) watcher.seen(seen);
    if ('refused' in read) {
      problems.push(`request ${seen.n} was refused: ${read.refused.error?.message ?? read.refused.status}`);
      return fail(response, read.refused, protocol);
    }
    const standing = protocol.standing?.(response, read.request) ?? null;
    if (standing !== null) return standing;
    const reply = await take(seen).catch((error: unknown): WireFailure => {
      problems.push(`the step of request ${seen.n} threw: ${String(error)}`);
      return { status: 500, error: { message: String(error), type: 'emulator_error' } };
    });
    return isFailure(reply) ? fail(response, reply, protocol) : protocol.answer(response, reply, read.request, seen);
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
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${protocol.base}`,
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

const isFailure = <A extends object>(reply: WireReply<A>): reply is WireFailure => 'status' in reply;

function fail<R, A>(response: ServerResponse, failure: WireFailure, protocol: WireProtocol<R, A>): void {
  const error = failure.error ?? { message: `emulated status ${failure.status}`, type: 'server_error' };
  response.writeHead(failure.status, { 'content-type': 'application/json', ...protocol.headers, ...failure.headers });
  response.end(failure.body ?? protocol.errorBody(error));
}

async function textOf(message: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

/** The body of a request that says it is JSON; undefined where it is none. */
export function jsonOf({ headers, text }: WireCall): unknown {
  if (!(headers['content-type'] ?? '').startsWith('application/json')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sends a body, or what comes of it piece by piece, with its faults; the head has been written. */
export async function writeWire(
  response: ServerResponse,
  body: Buffer | AsyncIterable<Buffer>,
  faults: WireFaults,
): Promise<void> {
  const end = Math.min(faults.cutAt ?? Infinity, faults.stallAt ?? Infinity);
  let sent = 0;
  response.flushHeaders();
  for await (const bytes of Buffer.isBuffer(body) ? [body] : body) {
    const last = Math.min(bytes.length, end - sent);
    const step = faults.bytesPerWrite ?? Math.max(1, last);
    for (let at = 0; at < last && !response.destroyed; at += step) {
      // Waiting for each write to leave keeps the pieces apart on the wire.
      await new Promise((resolve) => response.write(bytes.subarray(at, Math.min(last, at + step)), resolve));
      if (faults.delayPerWriteMs !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, faults.delayPerWriteMs));
      }
    }
    sent += last;
    if (sent >= end || response.destroyed) break;
  }
  if (faults.stallAt !== undefined) return;
  if (faults.cutAt === undefined) response.end();
  else response.destroy();
}
