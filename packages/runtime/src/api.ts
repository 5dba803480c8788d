/** What a gateway asks of the runtime: the contract's methods, two streams and blobs. */
import type {
  Delta as WireDelta,
  Entry as WireEntry,
  FeedChange,
  MethodName,
  Params,
  Result,
  SessionView,
} from '@perdure/contract';

/** Who calls, from the credential alone. `requestId` is on every log line and error of the call. */
export type Caller = { tenant: string; actor: { kind: 'user' | 'key' | 'system'; id: string }; requestId: string };

/** What a stream of one session gives. `resync`: the range cannot be served; fetch the views and go on from `after`. */
export type StreamEvent =
  | { type: 'entry'; entry: WireEntry }
  | { type: 'delta'; delta: WireDelta }
  | { type: 'caught-up'; head: number }
  | { type: 'resync'; after: number; reason: string }
  /** The session is closed or deleted, or the server drains: nothing follows. `retryMs`: come back. */
  | { type: 'end'; reason: 'closed' | 'drain'; retryMs?: number };

export type FeedEvent =
  | { type: 'change'; cursor: string; change: FeedChange }
  | { type: 'caught-up'; cursor: string }
  | { type: 'resync'; cursor: string }
  | { type: 'end'; reason: 'drain'; retryMs?: number };

export interface Api {
  /**
   * One method of the contract's table; `params` have passed its schema. `status` is the HTTP status of success (a
   * replayed submission answers with the first one). Refusals and failures throw `ApiError`.
   */
  call<K extends MethodName>(
    caller: Caller,
    method: K,
    params: Params<K>,
  ): Promise<{ status: number; result: Result<K> }>;
  /** Entries after `after`, each once and in order, then live; deltas in between when asked for. Ends with its signal. */
  events(
    caller: Caller,
    session: string,
    options: { after: number; deltas: boolean; signal: AbortSignal },
  ): AsyncIterable<StreamEvent>;
  feed(
    caller: Caller,
    options: { after: string | null; agent?: string; signal: AbortSignal },
  ): AsyncIterable<FeedEvent>;
  putBlob(caller: Caller, bytes: Uint8Array): Promise<string>;
  getBlob(caller: Caller, digest: string): Promise<Uint8Array | null>;
  /**
   * A session as a file (see transfer/format.ts), up to where its log stands now, in chunks. Rejects with `not_found`
   * before the first; what fails on the way rejects the chunk, and the file is then no export.
   */
  exportSession(caller: Caller, session: string): Promise<AsyncGenerator<Uint8Array>>;
  /**
   * Brings an exported session. `open` gives the file from its beginning and is called more than once: it is checked whole
   * before anything is written. Rejects with `invalid_request` for what is no export, damaged or cut; `invalid_state`
   * for a sealed one that is here already.
   */
  importSession(caller: Caller, open: () => AsyncIterable<Uint8Array>): Promise<{ session: SessionView; seq: number }>;
  /** Ready to take work; `reason` says what is wrong when not. */
  ready(): { ready: boolean; reason?: string };
}
