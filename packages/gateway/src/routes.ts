/** What each route is made of: what it is given, how its parameters are read, what it answers with. */
import type { Caller } from '@perdure/runtime';
import type { Logger } from '@perdure/runtime/ports';
import type { Context } from 'hono';
import { keepAbout } from './about.ts';
import { createReader, readJson } from './input.ts';
import type { ParamsOf, Row } from './input.ts';
import { createSplitter } from './paths.ts';

/** What the server that calls `fetch` knows of the connection. */
export type Env = {
  port?: number;
  /** Sends the reply itself: spares the server the way through a Response. */
  send?: (reply: Reply) => Response;
};

export type Bindings = { Bindings: Env };
export type Reply = {
  status: number;
  headers: { [name: string]: string };
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
};
/** Answers one authorised request. */
export type Answer = (context: Context<Bindings>, caller: Caller) => Promise<Reply> | Reply;
/** `form`: how what it is refused with looks; by default as REST says it. */
export type Route = (answer: Answer, form?: Refuse) => (context: Context<Bindings>) => Promise<Response>;
type Refuse = (error: unknown, requestId: string, logger: Logger) => Reply;

export function json(status: number, body: string, more: { [name: string]: string } = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...more }, body };
}

/** Reads a request's parameters by its row of the table; from then on it is known what the request is about. */
export function paramsOf<R extends Row>(
  row: R,
  maxBytes: number,
): (context: Context<Bindings>) => Promise<ParamsOf<R>> {
  const read = createReader(row);
  const split = createSplitter(row.path);
  return async (context) => {
    const { raw } = context.req;
    const mark = raw.url.indexOf('?');
    const params = await read({
      path: split(context.req.param()),
      query: mark === -1 ? '' : raw.url.slice(mark + 1),
      body: () => readJson(raw, maxBytes),
    });
    keepAbout(raw, params);
    return params;
  };
}
