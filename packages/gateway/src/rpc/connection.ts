/**
 * One WebSocket of JSON-RPC, whatever carries it.
 *  C1 At most `rpcInFlight` calls are under way; one more is refused.
 *  C2 While more waits to go out than `streamBufferBytes`, nothing is read from the socket.
 *  C3 The first notification of a subscription follows the answer that opened it; nothing of it follows the answer that
 *     ended it.
 *  C4 A peer that is not heard for `stalledHeartbeats`, or reads nothing for so long, is taken for gone.
 */
import { ApiError, SUBSCRIPTIONS } from '@perdure/contract';
import type { Api, Caller } from '@perdure/runtime';
import type { Timer, Timers } from '@perdure/runtime/ports';
import { createChecker } from '../input.ts';
import { LIMITS } from '../limits.ts';
import type { Source } from '../source.ts';
import { begin } from '../source.ts';
import type { Answerer, Given, Perform } from './answer.ts';
import type { Call } from './message.ts';
import { notificationText } from './message.ts';
import { Outlet } from './outlet.ts';
import { feedForm, sessionForm, Subscription } from './subscription.ts';

/** What carries text both ways. */
export interface Socket {
  /** `taken` runs when the network has it, or never will. */
  send(text: string, taken: () => void): void;
  ping(): void;
  /** No more is read until `resume`. */
  pause(): void;
  resume(): void;
  /** After what was sent. */
  close(code: number, reason: string): void;
  terminate(): void;
}

/** What a connection shares with the others of its server. */
export type Shared = {
  api: Api;
  answer: Answerer;
  methods: Perform;
  timers: Timers;
  /** What the server drains: streams and subscriptions of all connections. */
  open: Set<{ drain(): void }>;
  /** Throws `rate_limited` when too many of them are open. */
  checkRoom: () => void;
  isDraining: () => boolean;
  failed: (requestId: string, error: unknown) => void;
};

/** The close codes of RFC 6455, section 7.4.1, that a server says. */
const GOING_AWAY = 1001;
const HEARTBEAT = notificationText('heartbeat', {});

const checkEvents = createChecker({ ...SUBSCRIPTIONS['events.subscribe'], path: '/{session}' });
const checkFeed = createChecker({ ...SUBSCRIPTIONS['feed.subscribe'], path: '' });
const checkLeave = createChecker({ ...SUBSCRIPTIONS.unsubscribe, path: '' });

export class Connection {
  readonly #socket: Socket;
  readonly #caller: Caller;
  readonly #shared: Shared;
  readonly #outlet: Outlet;
  readonly #subscriptions = new Map<string, Subscription>();
  #opened = 0;
  #messages = 0;
  #inFlight = 0;
  #opening = 0;
  #isPaused = false;
  #isOver = false;
  #unheard = 0;
  #beat: Timer;
  readonly #gone = new AbortController();

  /** `caller`: who shook hands; each message gets a request id under that of the handshake. */
  constructor(socket: Socket, caller: Caller, shared: Shared) {
    this.#socket = socket;
    this.#caller = caller;
    this.#shared = shared;
    this.#outlet = new Outlet(
      (text, taken) => socket.send(text, taken),
      () => this.#moved(),
    );
    this.#beat = this.#beats();
  }

  /** A message came in. */
  async received(text: string): Promise<void> {
    this.heard();
    if (this.#isOver) return;
    this.#messages += 1;
    const caller = { ...this.#caller, requestId: `${this.#caller.requestId}.${this.#messages}` };
    const answered = await this.#shared.answer(text, caller, this.#perform);
    if (answered.text !== null) this.#say(answered.text);
    for (const start of answered.begin) start();
    this.#rest();
  }

  /** The peer gave a sign of life. */
  heard(): void {
    this.#unheard = 0;
  }

  /** The socket is gone. Idempotent. */
  closed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#beat.cancel();
    this.#gone.abort();
    this.#outlet.shut();
    for (const subscription of this.#subscriptions.values()) subscription.leave();
  }

  /** The server stops: the connection ends after what is under way. Its subscriptions are drained by themselves. */
  drain(): void {
    this.#rest();
  }

  /** The peer has not gone by itself in time. */
  terminate(): void {
    this.#socket.terminate();
    this.closed();
  }

  readonly #perform: Perform = async (caller, call) => {
    if (this.#shared.isDraining())
      throw new ApiError('unavailable', 'the server is shutting down: connect again shortly');
    if (this.#inFlight >= LIMITS.rpcInFlight)
      throw new ApiError('rate_limited', `more than ${LIMITS.rpcInFlight} calls are under way on this connection`, {
        details: { maxInFlight: LIMITS.rpcInFlight },
      });
    this.#inFlight += 1;
    try {
      return Object.hasOwn(SUBSCRIPTIONS, call.method)
        ? await this.#subscribing(caller, call)
        : await this.#shared.methods(caller, call);
    } finally {
      this.#inFlight -= 1;
    }
  };

  async #subscribing(caller: Caller, { id, method, params = {} }: Call): Promise<Given> {
    const { api } = this.#shared;
    if (method === 'unsubscribe') return this.#unsubscribe(checkLeave(params).subscription);
    if (id === undefined)
      throw new ApiError('invalid_request', 'nobody would learn the subscription of a notification');
    const name = `s${(this.#opened += 1)}`;
    if (method === 'events.subscribe') {
      const { session, after, deltas } = checkEvents(params);
      return this.#subscribe(caller, name, {
        ...sessionForm(name),
        open: (signal) => api.events(caller, session, { after, deltas, signal }),
        isLive: ({ type }) => type === 'caught-up',
        from: String(after),
      });
    }
    const { after = null, agent } = checkFeed(params);
    return this.#subscribe(caller, name, {
      ...feedForm(name),
      open: (signal) => api.feed(caller, { after, signal, ...(agent === undefined ? {} : { agent }) }),
      isLive: ({ type }) => type === 'caught-up',
      from: after,
    });
  }

  async #subscribe<E>(caller: Caller, name: string, source: Source<E>): Promise<Given> {
    if (this.#subscriptions.size + this.#opening >= LIMITS.rpcSubscriptions)
      throw new ApiError('rate_limited', `this connection has ${LIMITS.rpcSubscriptions} subscriptions: end one first`);
    this.#shared.checkRoom();
    this.#opening += 1;
    const begun = await begin(source, this.#gone.signal).finally(() => (this.#opening -= 1));
    if (this.#isOver || this.#shared.isDraining()) {
      begun.stop();
      throw new ApiError('unavailable', 'the server is shutting down: connect again shortly');
    }
    const subscription: Subscription = new Subscription(this.#outlet, source, () => {
      this.#subscriptions.delete(name);
      this.#shared.open.delete(subscription);
      begun.stop();
    });
    this.#subscriptions.set(name, subscription);
    this.#shared.open.add(subscription);
    const failed = (error: unknown): void => this.#shared.failed(caller.requestId, error);
    const start = (): void => {
      subscription.start();
      begun.send(subscription, failed);
    };
    return { result: { subscription: name }, begin: start };
  }

  #unsubscribe(name: string): Given {
    const subscription = this.#subscriptions.get(name);
    if (subscription === undefined)
      throw new ApiError(
        'not_found',
        `there is no subscription ${name.slice(0, LIMITS.rpcNameChars)} on this connection`,
      );
    subscription.leave();
    return { result: { subscription: name } };
  }

  #say(text: string): void {
    this.#outlet.add({ text });
    if (this.#isPaused || this.#outlet.bytes <= LIMITS.streamBufferBytes) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  /** The network took something. */
  #moved(): void {
    if (this.#isPaused) {
      this.heard();
      if (!this.#outlet.isFull) {
        this.#isPaused = false;
        this.#socket.resume();
      }
    }
    this.#rest();
  }

  /** A server that stops closes what has nothing more to say. */
  #rest(): void {
    if (!this.#shared.isDraining() || this.#isOver || this.#inFlight > 0 || !this.#outlet.isIdle) return;
    this.#socket.close(GOING_AWAY, 'the server stops');
  }

  #beats(): Timer {
    return this.#shared.timers.set(LIMITS.heartbeatMs, () => {
      if (this.#isOver) return;
      this.#unheard += 1;
      if (this.#unheard > LIMITS.stalledHeartbeats) return this.terminate();
      this.#socket.ping();
      if (this.#outlet.isEmpty) this.#outlet.add({ text: HEARTBEAT });
      this.#beat = this.#beats();
    });
  }
}
