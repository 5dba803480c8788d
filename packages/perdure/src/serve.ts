/** The gateway over a runtime: as a fetch-style handler for any program's own server, or on a port of its own. */
import type { Listening } from '@perdure/gateway';
import { createGateway } from '@perdure/gateway';
import type { Gateway } from '@perdure/gateway';
import { checked, system } from '@perdure/runtime';
import { z } from 'zod';
import type { Runtime } from './runtime.ts';
import { SETTINGS } from './settings.ts';

export type HandlerOptions = {
  /** Every route but `/health/*` then wants it as Bearer. */
  token?: string;
  /** Without a token: the host names, without ports, that requests may name; by default those of the loopback. */
  allowedHosts?: readonly string[];
};
export type ServeOptions = {
  /** Default 127.0.0.1. Any host but the loopback needs a token. */
  host?: string;
  /** Default 7420; 0 takes a free one. */
  port?: number;
  token?: string;
};

const token = z.string().min(1).optional();
const handlerSchema = z
  .strictObject({ token, allowedHosts: z.array(z.string()).optional() })
  .refine((given) => given.token === undefined || given.allowedHosts === undefined, {
    path: ['allowedHosts'],
    error: 'counts only without a token',
  });
const serveSchema = z.strictObject({
  host: z.string().min(1).optional(),
  port: z.int().min(0).max(65_535).optional(),
  token,
});

/**
 * Answers requests of the HTTP API (base `/v1`, `/health/*`). Never rejects. A request without a Host header, as a
 * program makes for itself, counts as addressed to the host of its URL. Throws ConfigError for a wrong option.
 */
export function handler(runtime: Runtime, options: HandlerOptions = {}): (request: Request) => Promise<Response> {
  checked(handlerSchema, options, 'invalid_config', 'handler');
  const gateway = gatewayOf(runtime, options);
  return async (request) => gateway.fetch(withHost(request));
}

/** Serves the HTTP API until `close`. Throws ListenError (`port_in_use`, `token_required`, ...) or ConfigError. */
export async function serve(runtime: Runtime, options: ServeOptions = {}): Promise<Listening> {
  checked(serveSchema, options, 'invalid_config', 'serve');
  // Loaded when a port is wanted: most commands want none.
  const { listen } = await import('@perdure/gateway/listen');
  const { host = SETTINGS.host.initial, port = SETTINGS.port.initial, token: wanted } = options;
  return listen(gatewayOf(runtime, wanted === undefined ? {} : { token: wanted }), { host, port });
}

function gatewayOf({ host }: Runtime, options: HandlerOptions): Gateway {
  return createGateway({ api: host, ...options, logger: host.parts.logger, ...system });
}

function withHost(request: Request): Request {
  if (request.headers.has('host')) return request;
  const headers = new Headers(request.headers);
  headers.set('host', new URL(request.url).host);
  return new Request(request, { headers });
}
