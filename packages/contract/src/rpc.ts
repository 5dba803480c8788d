/**
 * JSON-RPC 2.0 at `/v1/rpc`: the methods of the table by their names, parameters by name, over POST and over a
 * WebSocket. Only a WebSocket has the rows below: subscriptions, whose events come as notifications on the log's own
 * cursor, under the laws of the event streams (P8).
 */
import { z } from 'zod';
import type { Channel } from './channels.ts';
import { CHANNELS } from './channels.ts';
import type { ErrorCode } from './errors.ts';
import { deltaSchema, entrySchema, feedChangeSchema } from './stream.ts';

/** The subprotocol of the WebSocket; a client that offers any offers this one. */
export const RPC_PROTOCOL = 'perdure.v1';
/** A browser sets no header on a WebSocket: it offers this, followed by its token in base64url, as one more subprotocol. */
export const RPC_BEARER = 'perdure.bearer.';

/** The codes of the specification, and one for what this server refuses: `data.code` says why. */
export const RPC_CODES = {
  parseError: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internalError: -32_603,
  refused: -32_000,
} as const;

/** The number of a stable code, where the specification has no closer word. */
export function rpcCodeOf(code: ErrorCode): number {
  if (code === 'invalid_request') return RPC_CODES.invalidParams;
  return code === 'internal' ? RPC_CODES.internalError : RPC_CODES.refused;
}

/** What stands in `error` of an answer. `data` is what a refusal over HTTP says, without its message. */
export const rpcErrorSchema = z.strictObject({
  code: z.int(),
  message: z.string(),
  data: z.strictObject({
    code: z.string(),
    details: z.record(z.string(), z.unknown()).exactOptional(),
    requestId: z.string().exactOptional(),
  }),
});
export type RpcError = z.output<typeof rpcErrorSchema>;

const subscription = z.string();
/** Nothing follows under this subscription. With `retryMs`: subscribe again after so long, `after` what was seen last. */
const over = {
  subscription,
  type: z.literal('end'),
  reason: z.enum(['closed', 'drain', 'slow', 'error']),
  retryMs: z.int().exactOptional(),
};

/** What the server sends by itself. */
export const NOTIFICATIONS = {
  'events.event': {
    summary: 'An event of a session: entries, whose seq is the cursor, live deltas, and where the stream stands',
    params: z.discriminatedUnion('type', [
      z.strictObject({ subscription, type: z.literal('entry'), entry: entrySchema }),
      z.strictObject({ subscription, type: z.literal('delta'), delta: deltaSchema }),
      z.strictObject({ subscription, type: z.literal('caught-up'), head: z.int() }),
      z.strictObject({ subscription, type: z.literal('resync'), after: z.int(), reason: z.string() }),
      z.strictObject({ ...over, resume: z.int().exactOptional() }),
    ]),
  },
  'feed.event': {
    summary: 'A change of a session, whose cursor is the feed’s, and where the feed stands',
    params: z.discriminatedUnion('type', [
      z.strictObject({ subscription, type: z.literal('change'), cursor: z.string(), change: feedChangeSchema }),
      z.strictObject({ subscription, type: z.literal('caught-up'), cursor: z.string() }),
      z.strictObject({ subscription, type: z.literal('resync'), cursor: z.string() }),
      z.strictObject({ ...over, resume: z.string().exactOptional() }),
    ]),
  },
  heartbeat: {
    summary: 'Comes while there is nothing else to send, so that silence means a broken connection',
    params: z.strictObject({}),
  },
} as const;
export type NotificationName = keyof typeof NOTIFICATIONS;
export type Notification<K extends NotificationName> = z.output<(typeof NOTIFICATIONS)[K]['params']>;

export type Subscription = Pick<Channel, 'params' | 'errors' | 'summary' | 'scope'> & {
  result: z.ZodType;
  notification?: NotificationName;
};
const opened = z.strictObject({ subscription });
const events = CHANNELS['events.stream'];
const feed = CHANNELS['feed.stream'];

/** The methods that only a WebSocket has. */
export const SUBSCRIPTIONS = {
  'events.subscribe': {
    params: events.params,
    result: opened,
    errors: events.errors,
    scope: events.scope,
    summary: 'A session’s entries after a seq, then live, as notifications under the subscription that this gives',
    notification: 'events.event',
  },
  'feed.subscribe': {
    params: feed.params,
    result: opened,
    errors: feed.errors,
    scope: feed.scope,
    summary: 'Where each session stands after a cursor, then each change, as notifications',
    notification: 'feed.event',
  },
  unsubscribe: {
    params: opened,
    result: opened,
    errors: ['not_found'],
    scope: 'read',
    summary: 'Ends a subscription of this connection: nothing of it follows the answer',
  },
} as const satisfies { [name: string]: Subscription };
export type SubscriptionName = keyof typeof SUBSCRIPTIONS;
