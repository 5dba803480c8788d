/** Bytes in and out. What a digest names never changes. */
import { ApiError, CHANNELS, LIMITS as WIRE } from '@perdure/contract';
import type { Api } from '@perdure/runtime';
import type { Hono } from 'hono';
import type { Bindings, Reply, Route } from './routes.ts';
import { json, paramsOf } from './routes.ts';
import { readBytes } from './input.ts';
import { routePath } from './paths.ts';

export function blobRoutes(app: Hono<Bindings>, base: string, api: Api, route: Route): void {
  const put = CHANNELS['blobs.put'];
  const get = CHANNELS['blobs.get'];
  const read = paramsOf(get, 0);
  app.on(
    put.verb,
    `${base}${routePath(put.path)}`,
    route(async (context, caller) => {
      const bytes = await readBytes(context.req.raw, WIRE.blobBytes);
      const digest = await api.putBlob(caller, bytes);
      return json(201, JSON.stringify({ digest, bytes: bytes.length }));
    }),
  );
  app.on(
    get.verb,
    `${base}${routePath(get.path)}`,
    route(async (context, caller): Promise<Reply> => {
      const { digest } = await read(context);
      const bytes = await api.getBlob(caller, digest);
      if (bytes === null) throw new ApiError('not_found', `there is no blob ${digest} here`);
      const headers = headersOf(digest);
      if (context.req.raw.headers.get('if-none-match') === headers.etag) return { status: 304, headers, body: null };
      const body = new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
      return { status: 200, headers: { ...headers, 'content-length': String(bytes.length) }, body };
    }),
  );
}

/** Nothing that was sent here is shown as a page of this origin, whatever is in it. */
const headersOf = (digest: string) => ({
  'content-type': 'application/octet-stream',
  'content-disposition': 'attachment',
  'content-security-policy': "default-src 'none'; sandbox",
  'x-content-type-options': 'nosniff',
  'cache-control': 'private, max-age=31536000, immutable',
  etag: `"${digest}"`,
});
