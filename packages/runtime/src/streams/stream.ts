/**
 * Streams of sessions: each entry once and in order, live text in between (P8). A subscriber that falls behind is not
 * waited for: it re-reads the log from its own cursor.
 */
import type { Delta, Entry as WireEntry } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Entry } from '@perdure/engine';
import type { StreamEvent } from '../api.ts';
import { LIMITS } from '../limits.ts';
import type { Body, Delta as ModelDelta, LogStore } from '../ports.ts';
import { textOf, toWire, wireFrame } from '../log/wire.ts';
import { Partials } from './partials.ts';
import type { Elsewhere, Told } from './relay.ts';

type Item = { kind: 'entries'; entries: WireEntry[] } | { kind: 'delta'; delta: Delta } | { kind: 'end'; event: End };

type Queued = { item: Item; bytes: number };
type Subscriber = { queue: Queued[]; bytes: number; lagged: boolean; wake: (() => void) | null };
type Ear = (told: Told) => void;
type Channel = {
  /** The last entry its subscribers were told of. */
  head: number;
  readonly subscribers: Set<Subscriber>;
  readonly partials: Partials;
  /** Other processes that listen to what is said here. */
  readonly ears: Set<Ear>;
  /** Subscribers that want live text. */
  listeners: number;
  /** The last entry that any of them has come to. */
  passed: number;
};

/** About what an entry weighs in memory, without its bodies. */
const ENTRY_BYTES = 512;

type End = Extract<StreamEvent, { type: 'end' }>;

export class Streams {
  readonly #channels = new Map<string, Channel>();
  readonly #elsewhere: Elsewhere | null;
  #ended: End | null = null;

  /** `elsewhere`: asked for what attempts say in other processes; without it this one has all of them. */
  constructor(elsewhere: Elsewhere | null = null) {
    this.#elsewhere = elsewhere;
  }

  #channel(session: string): Channel {
    let channel = this.#channels.get(session);
    if (channel === undefined) {
      const [subscribers, ears] = [new Set<Subscriber>(), new Set<Ear>()];
      channel = { head: 0, subscribers, partials: new Partials(), ears, listeners: 0, passed: 0 };
      this.#channels.set(session, channel);
    }
    return channel;
  }

  #tidy(session: string, { subscribers, partials, ears }: Channel): void {
    if (subscribers.size === 0 && partials.isEmpty && ears.size === 0) this.#channels.delete(session);
  }

  /** Called after each durable append, in the session's order. */
  committed(session: string, entries: readonly Entry[], hash: string, bodies: readonly Body[]): void {
    const channel = this.#channels.get(session);
    if (channel === undefined) return;
    channel.head = entries.at(-1)?.seq ?? channel.head;
    for (const entry of entries) channel.partials.passed(entry);
    for (const ear of channel.ears) ear({ session, head: channel.head });
    if (channel.subscribers.size > 0) {
      const body = textOf(bodies);
      const wire = entries.map((entry) => toWire(entry, hash, body));
      const weight = bodies.reduce((sum, { text }) => sum + text.length * 2, wire.length * ENTRY_BYTES);
      for (const subscriber of channel.subscribers) push(subscriber, { kind: 'entries', entries: wire }, weight);
    }
    this.#tidy(session, channel);
  }

  /** The log reaches to `head`, by an append whose answer was lost or by another process: subscribers read it there. */
  moved(session: string, head: number): void {
    const channel = this.#channels.get(session);
    if (channel !== undefined) tellHead(session, channel, head);
  }

  /** Looks for what nobody told of: another process writes, or a notification was lost. */
  async recheck(log: LogStore): Promise<void> {
    for (const [session, channel] of this.#channels) {
      if (channel.subscribers.size === 0) continue;
      const row = await log.get(session);
      if (row !== null) this.moved(session, row.head.seq);
    }
  }

  /** Live text of an attempt; `offset` is counted here, per part and call. */
  delta(session: string, effect: { id: string; run: string; attempt: number }, delta: ModelDelta): void {
    const channel = this.#channel(session);
    const live = channel.partials.add(effect, delta);
    if (live === null) return;
    spread(channel, live);
    for (const ear of channel.ears) ear({ session, delta: live });
  }

  /** Another process says where the log stands, or what an attempt says there. */
  told(told: Told): void {
    const channel = this.#channels.get(told.session);
    if (channel === undefined) return;
    if ('head' in told) return tellHead(told.session, channel, told.head);
    const live = channel.listeners === 0 ? null : channel.partials.hear(told.delta);
    if (live !== null) spread(channel, live);
  }

  /** Tells another process what attempts say here, all so far first, and each move of the log, until it is closed. */
  overhear(session: string, ear: Ear): { close(): void } {
    const channel = this.#channel(session);
    channel.ears.add(ear);
    if (channel.head > 0) ear({ session, head: channel.head });
    for (const delta of channel.partials.own()) ear({ session, delta });
    return {
      close: () => {
        channel.ears.delete(ear);
        if (this.#channels.get(session) === channel) this.#tidy(session, channel);
      },
    };
  }

  /** The session is parked: what its attempts were saying is over. */
  forget(session: string): void {
    const channel = this.#channels.get(session);
    if (channel === undefined) return;
    channel.partials.clear();
    this.#tidy(session, channel);
  }

  /** Ends the streams of one session, or all of them: then also those that come later. */
  end(event: End, session?: string): void {
    if (session === undefined) this.#ended = event;
    for (const [id, channel] of this.#channels) {
      if (session !== undefined && id !== session) continue;
      for (const subscriber of channel.subscribers) push(subscriber, { kind: 'end', event }, 0);
    }
  }

  /** Entries after `after` from the log, then live. Ends with `signal`, with the session, or when the server drains. */
  async *subscribe(
    log: LogStore,
    session: string,
    options: { after: number; deltas: boolean; signal: AbortSignal },
  ): AsyncGenerator<StreamEvent> {
    const channel = this.#channel(session);
    if (channel.subscribers.size >= LIMITS.subscribersPerSession)
      throw new ApiError(
        'rate_limited',
        `session ${session} has ${channel.subscribers.size} readers: come back later`,
        {
          details: { retryMs: LIMITS.retryMs },
        },
      );
    const subscriber: Subscriber = { queue: [], bytes: 0, lagged: false, wake: null };
    channel.subscribers.add(subscriber);
    if (this.#ended !== null) push(subscriber, { kind: 'end', event: this.#ended }, 0);
    const onAbort = (): void => subscriber.wake?.();
    options.signal.addEventListener('abort', onAbort, { once: true });
    if (options.deltas) this.#listens(session, channel);
    try {
      yield* follow(log, session, channel, subscriber, { ...options, pass: this.#pass(session, channel) });
    } finally {
      options.signal.removeEventListener('abort', onAbort);
      channel.subscribers.delete(subscriber);
      if (options.deltas) this.#listensNoMore(session, channel);
      this.#tidy(session, channel);
    }
  }

  #listens(session: string, channel: Channel): void {
    channel.listeners += 1;
    if (channel.listeners === 1) this.#elsewhere?.attend(session);
  }

  #listensNoMore(session: string, channel: Channel): void {
    channel.listeners -= 1;
    if (channel.listeners > 0) return;
    this.#elsewhere?.leave(session);
    channel.partials.clearHeard();
  }

  /** What is done with each entry that a subscriber comes to: another process may have written it. */
  #pass(session: string, channel: Channel): (entry: WireEntry) => void {
    const elsewhere = this.#elsewhere;
    if (elsewhere === null) return () => {};
    return (entry) => {
      if (entry.seq <= channel.passed) return;
      channel.passed = entry.seq;
      channel.partials.passed(entry);
      if ('epoch' in entry.data && entry.data.epoch !== undefined) elsewhere.named(session, entry.data.epoch);
    };
  }
}

/** `pass`: called with each entry before it is shown. */
type Follow = { after: number; deltas: boolean; signal: AbortSignal; pass: (entry: WireEntry) => void };
type Following = { cursor: number; readonly shown: Map<string, { attempt: number; offset: number }> };

async function* follow(
  log: LogStore,
  session: string,
  channel: Channel,
  subscriber: Subscriber,
  options: Follow,
): AsyncGenerator<StreamEvent> {
  const at: Following = { cursor: options.after, shown: new Map() };
  for (;;) {
    // From the log up to its head; what was committed meanwhile also waits in the queue, and is passed over there.
    subscriber.lagged = false;
    let over = false;
    for await (const entry of fromLog(log, session, at.cursor)) {
      if (options.signal.aborted) return;
      at.cursor = entry.seq;
      options.pass(entry);
      yield { type: 'entry', entry };
      over = ends(entry) || (over && !begins(entry));
    }
    if (over) return yield { type: 'end', reason: 'closed' };
    tellHead(session, channel, at.cursor, subscriber);
    // What is queued came before this moment's live text: entries first, and the text whole instead of its pieces.
    const queued = emptied(subscriber).filter(({ kind }) => kind !== 'delta');
    const partials = options.deltas ? channel.partials.all() : [];
    let ended = false;
    for (const item of queued) ended ||= yield* show(item, at, subscriber, options);
    if (ended) return;
    yield { type: 'caught-up', head: at.cursor };
    for (const delta of partials) yield* show({ kind: 'delta', delta }, at, subscriber, options);
    for (;;) {
      const item = await take(subscriber, options.signal);
      if (item === 'lagged') break;
      if (item === null || (yield* show(item, at, subscriber, options))) return;
    }
  }
}

/** Nothing of a session follows its end, unless its log goes on as a fork, or where it has moved to. */
const ends = ({ kind }: WireEntry): boolean => kind === 'session.closed' || kind === 'session.moved';
const begins = ({ kind }: WireEntry): boolean => kind === 'session.forked' || kind === 'session.arrived';

/** One item, as far as this subscriber has not seen it; true when the stream is over. */
async function* show(
  item: Item,
  at: Following,
  subscriber: Subscriber,
  { deltas, pass }: Pick<Follow, 'deltas' | 'pass'>,
): AsyncGenerator<StreamEvent, boolean> {
  if (item.kind === 'end') {
    yield item.event;
    return true;
  }
  if (item.kind === 'delta') {
    const delta = deltas ? fresh(at.shown, item.delta) : null;
    if (delta !== null) yield { type: 'delta', delta };
    return false;
  }
  for (const entry of item.entries) {
    if (entry.seq <= at.cursor) continue;
    if (entry.seq > at.cursor + 1) {
      subscriber.lagged = true;
      return false;
    }
    at.cursor = entry.seq;
    pass(entry);
    yield { type: 'entry', entry };
    if (ends(entry)) {
      yield { type: 'end', reason: 'closed' };
      return true;
    }
  }
  return false;
}

async function* fromLog(log: LogStore, session: string, after: number): AsyncGenerator<WireEntry> {
  let cursor = after;
  for (;;) {
    const frames = await log.read(session, { after: cursor, limit: LIMITS.readFrames });
    for (const frame of frames) {
      for (const entry of wireFrame(frame)) {
        if (entry.seq <= cursor) continue;
        cursor = entry.seq;
        yield entry;
      }
    }
    if (frames.length < LIMITS.readFrames) return;
  }
}

/** What of a delta this subscriber has not seen; null when all of it was shown. */
function fresh(shown: Map<string, { attempt: number; offset: number }>, delta: Delta): Delta | null {
  const key = `${delta.effect} ${delta.part} ${delta.call ?? ''}`;
  const before = shown.get(key);
  const end = delta.offset + delta.text.length;
  const from = before !== undefined && before.attempt === delta.attempt ? before.offset : 0;
  if (end <= from) return null;
  shown.set(key, { attempt: delta.attempt, offset: end });
  if (delta.offset >= from) return delta;
  return { ...delta, offset: from, text: delta.text.slice(from - delta.offset) };
}

async function take(subscriber: Subscriber, signal: AbortSignal): Promise<Item | 'lagged' | null> {
  for (;;) {
    if (signal.aborted) return null;
    if (subscriber.lagged) {
      for (const item of emptied(subscriber)) if (item.kind === 'end') push(subscriber, item, 0);
      return 'lagged';
    }
    const next = subscriber.queue.shift();
    if (next !== undefined) {
      subscriber.bytes -= next.bytes;
      return next.item;
    }
    await new Promise<void>((resolve) => {
      subscriber.wake = resolve;
    });
    subscriber.wake = null;
  }
}

function emptied(subscriber: Subscriber): Item[] {
  subscriber.bytes = 0;
  return subscriber.queue.splice(0).map(({ item }) => item);
}

/** Never waits: who is too far behind reads the log instead. */
function push(subscriber: Subscriber, item: Item, bytes: number): void {
  const { queue } = subscriber;
  const isFull = queue.length >= LIMITS.streamQueueItems || subscriber.bytes + bytes > LIMITS.streamQueueBytes;
  if (isFull && item.kind !== 'end') {
    subscriber.lagged = true;
  } else {
    queue.push({ item, bytes });
    subscriber.bytes += bytes;
  }
  subscriber.wake?.();
}

/** Whoever was not told of entries up to `head` reads them in the log. */
function tellHead(session: string, channel: Channel, head: number, knows?: Subscriber): void {
  if (head <= channel.head) return;
  channel.head = head;
  for (const ear of channel.ears) ear({ session, head });
  for (const subscriber of channel.subscribers) {
    if (subscriber === knows) continue;
    subscriber.lagged = true;
    subscriber.wake?.();
  }
}

function spread({ subscribers }: Channel, delta: Delta): void {
  for (const subscriber of subscribers) push(subscriber, { kind: 'delta', delta }, delta.text.length * 2 + 128);
}
