/**
 * REST and event streams over the table of methods. A transport is glue: it reads, checks and writes; what a request
 * means is known to the Api alone.
 */
import { ApiError, CHANNELS, LIMITS as WIRE, METHODS, buildOpenApi, buildOpenRpc } from '@perdure/contract';
import type { MethodName } from '@perdure/contract';
import type { Api, Caller } from '@perdure/runtime';
import type { Clock, Logger, Random, Timers } from '@perdure/runtime/ports';
import type { Context } from 'hono';
import { Hono } from 'hono';
import { keepAbout, knownAbout, naming } from './about.ts';
import { createAccess } from './access.ts';
import { blobRoutes } from './blobs.ts';
import { told } from './failure.ts';
import { LIMITS } from './limits.ts';
import { transferRoutes } from './transfer.ts';
import { createOpenDoor } from './open-door.ts';
import { matchPath, routePath } from './paths.ts';
import type { Answer, Bindings, Env, Reply, Route } from './routes.ts';
import { json, paramsOf } from './routes.ts';
import type { Bound, Rpc, Socket } from './rpc/index.ts';
import { createRpc, errorText, withBearer } from './rpc/index.ts';
import type { Source } from './source.ts';
import { endLine, feedLine, sessionLine } from './sse.ts';
import type { Opened } from './stream.ts';
import { openStream } from './stream.ts';

export type GatewayOptions = {
  api: Api;
  /** With a token every route but `/health/*` wants it as Bearer. */
  token?: string;
  /** Without a token: the host names (no ports) to answer to; by default those of the loopback. */
  allowedHosts?: readonly string[];
  maxBodyBytes?: number;
  logger: Logger;
  clock: Clock;
  timers: Timers;
  random: Random;
};

export type Gateway = {
  /** Fetch style, for any server. Never rejects. */
  fetch(request: Request, env?: Env): Promise<Response>;
  /** A WebSocket that wants to open, held to the checks of a request: what it is refused with, or what binds it. */
  admit(request: {
    headers: Headers;
    path: string;
    port: number;
  }): { refused: Reply } | { bind: (socket: Socket) => Bound };
  /** Ends open streams and connections with a hint to come back, and refuses new work from here on. Idempotent. */
  drain(): void;
  /** The largest request, and the largest message of a WebSocket. */
  readonly maxBytes: number;
  readonly hasToken: boolean;
  readonly timers: Timers;
  readonly logger: Logger;
};

const BASE = '/v1';
const RPC_PATH = '/rpc';

/** Makes the gateway over an Api. It holds open streams only; it owns no store, port or timer of its own. */
export function createGateway(options: GatewayOptions): Gateway {
  const { api, token, logger, clock, timers, random } = options;
  const access = createAccess({ token, allowedHosts: options.allowedHosts });
  const maxBytes = options.maxBodyBytes ?? WIRE.bodyBytes;
  const open = new Set<{ drain(): void }>();
  let isDraining = false;
  const checkRoom = (): void => {
    if (open.size >= LIMITS.streams) throw new ApiError('rate_limited', 'too many streams are open: try again later');
  };
  /** Who calls, if they may. */
  const admit = (actor: Caller['actor'], requestId: string): Caller => {
    if (isDraining) throw new ApiError('unavailable', 'the server is shutting down: try again shortly');
    return { tenant: 'default', actor, requestId };
  };
  const enter: Enter = (headers, port, requestId) => admit(access(headers, port), requestId);
  /** The address is the credential: neither a token nor the name of the host says more. */
  const enterByAddress: Enter = (_headers, _port, requestId) => admit({ kind: 'key', id: 'callback' }, requestId);

  const routeFor =
    (enter: Enter): Route =>
    (answer, form = refuse) =>
    async (context) => {
      const requestId = requestIdOf(context.req.raw.headers, random);
      const startedMs = clock.monotonicMs();
      let reply: Reply;
      try {
        reply = await answer(context, enter(context.req.raw.headers, context.env?.port, requestId));
      } catch (error) {
        reply = form(error, requestId, naming(logger, knownAbout(context.req.raw)));
      }
      const { status, body } = reply;
      const durationMs = Math.round(clock.monotonicMs() - startedMs);
      const { method, path } = context.req;
      const line = { requestId, ...knownAbout(context.req.raw), method, path, status, durationMs };
      logger.debug(line, 'request');
      const headers = { ...reply.headers, 'x-request-id': requestId };
      const send = context.env?.send;
      return send === undefined ? new Response(body, { status, headers }) : send({ status, headers, body });
    };

  const route = routeFor(enter);
  const openDoor = createOpenDoor({ clock, logger });
  const openRoute: Route = (answer, form) => routeFor(enterByAddress)(openDoor(answer), form);
  const shared = { open, checkRoom, isDraining: () => isDraining, timers, logger };
  const rpc = createRpc({ ...shared, api, clock });
  const app = new Hono<Bindings>();
  addHealth(app, api, () => isDraining);
  addMethods(app, { api, route, openRoute, stream: streamer(shared), maxBytes });
  blobRoutes(app, BASE, api, route);
  transferRoutes(app, BASE, api, route);
  addRpc(app, rpc, route, maxBytes);
  addDocuments(app, route);
  app.notFound(route(missing));

  return {
    fetch: async (request, env = {}) => app.fetch(request, env),
    admit: admission({ enter, rpc, random, logger }),
    drain: () => {
      isDraining = true;
      for (const one of open) one.drain();
      rpc.drain();
    },
    maxBytes,
    hasToken: token !== undefined,
    timers,
    logger,
  };
}

type Enter = (headers: Headers, port: number | undefined, requestId: string) => Caller;

function admission(given: { enter: Enter; rpc: Rpc; random: Random; logger: Logger }): Gateway['admit'] {
  const { enter, rpc, random, logger } = given;
  return ({ headers, path, port }) => {
    const requestId = requestIdOf(headers, random);
    try {
      const caller = enter(withBearer(headers), port, requestId);
      if (path !== `${BASE}${RPC_PATH}`) throw new ApiError('not_found', `no WebSocket opens at ${path.slice(0, 200)}`);
      rpc.checkOpening(headers);
      return { bind: (socket) => rpc.connect(socket, caller) };
    } catch (error) {
      return { refused: refuseRpc(error, requestId, logger) };
    }
  };
}

type Streaming = {
  open: Set<{ drain(): void }>;
  checkRoom: () => void;
  isDraining: () => boolean;
  timers: Timers;
  logger: Logger;
};

function streamer({ open, checkRoom, isDraining, timers, logger }: Streaming): Wiring['stream'] {
  return async (context, caller, source) => {
    if (context.req.raw.method === 'HEAD') return { status: 200, headers: STREAM_HEADERS, body: null };
    checkRoom();
    const { signal } = context.req.raw;
    const about = knownAbout(context.req.raw);
    const failed = (error: unknown): void =>
      logger.error({ requestId: caller.requestId, ...about, error: String(error) }, 'a stream failed');
    const opened: Opened = await openStream(source, { signal, timers, failed, closed: () => open.delete(opened) });
    open.add(opened);
    if (isDraining()) opened.drain();
    return { status: 200, headers: STREAM_HEADERS, body: opened.body };
  };
}

/** Each is built when it is first asked for: it seldom is, and that takes longer than all the rest of a start. */
function addDocuments(app: Hono<Bindings>, route: Route): void {
  for (const [name, build] of Object.entries({ openapi: buildOpenApi, openrpc: buildOpenRpc })) {
    let document: string | null = null;
    app.get(
      `${BASE}/${name}.json`,
      route(() => json(200, (document ??= JSON.stringify(build())))),
    );
  }
}

function addRpc(app: Hono<Bindings>, rpc: Rpc, route: Route, maxBytes: number): void {
  const answer: Answer = async (context, caller) => {
    const { status, body } = await rpc.post(context.req.raw, caller, maxBytes);
    return body === null ? { status, headers: { 'cache-control': 'no-store' }, body } : json(status, body);
  };
  app.post(`${BASE}${RPC_PATH}`, route(answer, refuseRpc));
}

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
};

type Wiring = {
  api: Api;
  route: Route;
  /** For rows that are `open`. */
  openRoute: Route;
  stream: <E>(context: Context<Bindings>, caller: Caller, source: Source<E>) => Promise<Reply>;
  maxBytes: number;
};

function addMethods(app: Hono<Bindings>, wiring: Wiring): void {
  const { api, route, openRoute } = wiring;
  const streamed = sessionStream(wiring);
  for (const name of Object.keys(METHODS) as MethodName[]) {
    const row = METHODS[name];
    const read = paramsOf(row, wiring.maxBytes);
    const handler = ('open' in row ? openRoute : route)(async (context, caller) => {
      if (name === 'events.list' && wantsStream(context)) return streamed(context, caller);
      const params = await read(context);
      const { status, result } = await api.call(caller, name, params);
      keepAbout(context.req.raw, params, result);
      return json(status, JSON.stringify(result));
    });
    app.on(row.verb, `${BASE}${routePath(row.path)}`, handler);
  }
  const feed = CHANNELS['feed.stream'];
  app.on(feed.verb, `${BASE}${routePath(feed.path)}`, route(feedStream(wiring)));
}

const wantsStream = (context: Context<Bindings>): boolean =>
  (context.req.raw.headers.get('accept') ?? '').includes('text/event-stream');

function sessionStream({ api, stream }: Wiring): Answer {
  const row = CHANNELS['events.stream'];
  const read = paramsOf(row, 0);
  return async (context, caller) => {
    const { session, after, deltas } = await read(context);
    const start = resumeSeq(context) ?? after;
    return stream(context, caller, {
      open: (signal) => api.events(caller, session, { after: start, deltas, signal }),
      toLine: sessionLine,
      toEnd: endLine,
      isLive: ({ type }) => type === 'caught-up',
      from: String(start),
    });
  };
}

function feedStream({ api, stream }: Wiring): Answer {
  const row = CHANNELS['feed.stream'];
  const read = paramsOf(row, 0);
  return async (context, caller) => {
    const { after, agent } = await read(context);
    const start = lastEventId(context) ?? after ?? null;
    return stream(context, caller, {
      open: (signal) => api.feed(caller, { after: start, signal, ...(agent === undefined ? {} : { agent }) }),
      toLine: feedLine,
      toEnd: endLine,
      isLive: ({ type }) => type === 'caught-up',
      from: start,
    });
  };
}

/** What a client that comes back saw last; it wins over what its address says. */
function lastEventId(context: Context<Bindings>): string | null {
  const id = context.req.raw.headers.get('last-event-id');
  if (id === null || id === '') return null;
  if (id.length > WIRE.cursorChars) throw new ApiError('invalid_request', 'Last-Event-ID is not an id of this stream');
  return id;
}

function resumeSeq(context: Context<Bindings>): number | null {
  const id = lastEventId(context);
  if (id === null) return null;
  if (/^\d{1,15}$/.test(id)) return Number(id);
  throw new ApiError('invalid_request', 'Last-Event-ID is not a seq', { details: { lastEventId: id.slice(0, 50) } });
}

function addHealth(app: Hono<Bindings>, api: Api, isDraining: () => boolean): void {
  const headers = { 'cache-control': 'no-store' };
  app.get('/health/live', () => Response.json({ live: true }, { headers }));
  app.get('/health/ready', () => {
    const state = isDraining() ? { ready: false, reason: 'draining' } : api.ready();
    return Response.json(state, { status: state.ready ? 200 : 503, headers });
  });
}

/** 404, or 405 with what is allowed where the address exists for other verbs. */
function missing(context: Context<Bindings>, caller: Caller): Reply {
  const { method, path } = context.req;
  const allowed = path.startsWith(`${BASE}/`) ? matchPath(path.slice(BASE.length)) : [];
  if (allowed.length === 0) throw new ApiError('not_found', `there is nothing at ${method} ${path.slice(0, 200)}`);
  const error = new ApiError('method_not_allowed', `${method} is not for this address`, { details: { allowed } });
  return json(error.status, JSON.stringify(error.toBody(caller.requestId)), { allow: allowed.join(', ') });
}

function refuse(error: unknown, requestId: string, logger: Logger): Reply {
  const refused = told(error, requestId, logger);
  return json(refused.status, JSON.stringify(refused.toBody(requestId)), HINTS[refused.code]);
}

/** The same in the form of JSON-RPC, under no id: no message was read. */
function refuseRpc(error: unknown, requestId: string, logger: Logger): Reply {
  const refused = told(error, requestId, logger);
  return json(refused.status, errorText(null, refused, requestId), HINTS[refused.code]);
}

const HINTS: { [code: string]: { [name: string]: string } } = {
  unauthorized: { 'www-authenticate': 'Bearer' },
  rate_limited: { 'retry-after': '1' },
  unavailable: { 'retry-after': '1' },
};

const REQUEST_ID = new RegExp(`^[A-Za-z0-9._:-]{1,${LIMITS.requestIdChars}}$`);

function requestIdOf(headers: Headers, random: Random): string {
  const given = headers.get('x-request-id');
  if (given !== null && REQUEST_ID.test(given)) return given;
  return `req_${Buffer.from(random.bytes(12)).toString('hex')}`;
}
