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

type Item = { kind: 'entries'; entries: WireEntry[] } | { kind: 'delta'; delta: Delta } | { kind: 'end'; event: End };

/** All of one part of an attempt so far: what a late joiner gets first, at offset 0. */
type Partial = Omit<Delta, 'text' | 'offset'> & { text: string };

type Queued = { item: Item; bytes: number };
type Subscriber = { queue: Queued[]; bytes: number; lagged: boolean; wake: (() => void) | null };
/** `head`: the last entry its subscribers were told of. */
type Channel = { head: number; subscribers: Set<Subscriber>; partials: Map<string, Partial> };

/** About what an entry weighs in memory, without its bodies. */
const ENTRY_BYTES = 512;

type End = Extract<StreamEvent, { type: 'end' }>;

export class Streams {
  readonly #channels = new Map<string, Channel>();
  #ended: End | null = null;

  #channel(session: string): Channel {
    let channel = this.#channels.get(session);
    if (channel === undefined) {
      channel = { head: 0, subscribers: new Set(), partials: new Map() };
      this.#channels.set(session, channel);
    }
    return channel;
  }

  #tidy(session: string, channel: Channel): void {
    if (channel.subscribers.size === 0 && channel.partials.size === 0) this.#channels.delete(session);
  }

  /** Called after each durable append, in the session's order. */
  committed(session: string, entries: readonly Entry[], hash: string, bodies: readonly Body[]): void {
    const channel = this.#channels.get(session);
    if (channel === undefined) return;
    channel.head = entries.at(-1)?.seq ?? channel.head;
    for (const entry of entries) if (endsAttempt(entry)) forget(channel, entry.effect ?? '');
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
    if (channel !== undefined) tellHead(channel, head);
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
    const call = delta.part === 'arguments' ? `${effect.id}c${delta.call}` : undefined;
    const key = `${effect.id} ${delta.part} ${call ?? ''}`;
    let partial = channel.partials.get(key);
    // An attempt that was given up may go on talking: nobody listens.
    if (partial !== undefined && effect.attempt < partial.attempt) return;
    if (partial === undefined || partial.attempt !== effect.attempt) {
      partial = { run: effect.run, effect: effect.id, attempt: effect.attempt, part: delta.part, text: '' };
      if (call !== undefined) partial.call = call;
      if (delta.part === 'arguments') partial.name = delta.name;
      channel.partials.set(key, partial);
    }
    if (partial.text.length > LIMITS.liveTextChars) return;
    const live = deltaOf(partial, partial.text.length, delta.text);
    partial.text += delta.text;
    for (const subscriber of channel.subscribers)
      push(subscriber, { kind: 'delta', delta: live }, delta.text.length * 2 + 128);
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
    try {
      yield* follow(log, session, channel, subscriber, options);
    } finally {
      options.signal.removeEventListener('abort', onAbort);
      channel.subscribers.delete(subscriber);
      this.#tidy(session, channel);
    }
  }
}

type Following = { cursor: number; readonly shown: Map<string, { attempt: number; offset: number }> };

async function* follow(
  log: LogStore,
  session: string,
  channel: Channel,
  subscriber: Subscriber,
  options: { after: number; deltas: boolean; signal: AbortSignal },
): AsyncGenerator<StreamEvent> {
  const at: Following = { cursor: options.after, shown: new Map() };
  for (;;) {
    // From the log up to its head; what was committed meanwhile also waits in the queue, and is passed over there.
    subscriber.lagged = false;
    let over = false;
    for await (const entry of fromLog(log, session, at.cursor)) {
      if (options.signal.aborted) return;
      at.cursor = entry.seq;
      yield { type: 'entry', entry };
      over = ends(entry) || (over && !begins(entry));
    }
    if (over) return yield { type: 'end', reason: 'closed' };
    tellHead(channel, at.cursor, subscriber);
    // What is queued came before this moment's live text: entries first, and the text whole instead of its pieces.
    const queued = emptied(subscriber).filter(({ kind }) => kind !== 'delta');
    const partials = options.deltas
      ? [...channel.partials.values()].map((partial) => deltaOf(partial, 0, partial.text))
      : [];
    let ended = false;
    for (const item of queued) ended ||= yield* show(item, at, subscriber, options.deltas);
    if (ended) return;
    yield { type: 'caught-up', head: at.cursor };
    for (const delta of partials) yield* show({ kind: 'delta', delta }, at, subscriber, options.deltas);
    for (;;) {
      const item = await take(subscriber, options.signal);
      if (item === 'lagged') break;
      if (item === null || (yield* show(item, at, subscriber, options.deltas))) return;
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
  deltas: boolean,
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
function tellHead(channel: Channel, head: number, knows?: Subscriber): void {
  if (head <= channel.head) return;
  channel.head = head;
  for (const subscriber of channel.subscribers) {
    if (subscriber === knows) continue;
    subscriber.lagged = true;
    subscriber.wake?.();
  }
}

function deltaOf(partial: Partial, offset: number, text: string): Delta {
  const { text: _all, ...rest } = partial;
  return { ...rest, offset, text };
}

function forget(channel: Channel, effect: string): void {
  for (const [key, partial] of channel.partials) if (partial.effect === effect) channel.partials.delete(key);
}

const endsAttempt = (entry: Entry): boolean =>
  entry.kind === 'turn.settled' || entry.kind === 'turn.failed' || entry.kind === 'turn.attempted';
