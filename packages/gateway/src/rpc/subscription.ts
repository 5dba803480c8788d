/** One subscription of a connection: its events as notifications, in the room that the connection has for all. */
import type { NotificationName, Notification } from '@perdure/contract';
import type { FeedEvent, StreamEvent } from '@perdure/runtime';
import { LIMITS } from '../limits.ts';
import type { End, Line, Sink, Source } from '../source.ts';
import { notificationText } from './message.ts';
import type { Outlet } from './outlet.ts';

export class Subscription implements Sink {
  isEnding = false;
  resume: string | null;
  readonly #outlet: Outlet;
  readonly #toEnd: (end: End) => Line;
  readonly #ended: () => void;
  #isStarted = false;
  /** What ended it before its opening was answered. */
  #held: Line | null = null;

  /** `ended` runs once: nothing is read for it any more. */
  constructor(outlet: Outlet, source: Pick<Source<never>, 'from' | 'toEnd'>, ended: () => void) {
    this.#outlet = outlet;
    this.#toEnd = source.toEnd;
    this.#ended = ended;
    this.resume = source.from;
  }

  /** The answer that opened it is on its way: notifications may follow. */
  start(): void {
    this.#isStarted = true;
    if (this.#held !== null) this.#outlet.add({ text: this.#held.text, owner: this });
  }

  push(line: Line, isLive: boolean): void {
    if (this.isEnding) return;
    if (isLive && this.#outlet.isOver(Buffer.byteLength(line.text))) return this.#cut();
    const handed = (): void => void (this.resume = line.id ?? this.resume);
    this.#outlet.add({ text: line.text, owner: this, handed });
  }

  async room(): Promise<void> {
    while (this.#outlet.isFull && !this.isEnding) await this.#outlet.room();
  }

  finish(line: Line | null): void {
    if (this.isEnding) return;
    this.isEnding = true;
    if (!this.#isStarted) this.#held = line;
    else if (line !== null) this.#outlet.add({ text: line.text, owner: this });
    this.#ended();
  }

  /** The server stops: what waits is still sent. */
  drain(): void {
    this.finish(this.#toEnd({ reason: 'drain', retryMs: LIMITS.retryMs }));
  }

  /** Nothing of it follows, not even what waits. */
  leave(): void {
    this.finish(null);
    this.#outlet.drop(this);
  }

  #cut(): void {
    this.#outlet.drop(this);
    this.finish(this.#toEnd({ reason: 'slow', retryMs: LIMITS.retryMs, resume: this.resume }));
  }
}

type Form<E> = Pick<Source<E>, 'toLine' | 'toEnd'>;

/** How the events of a session look under a subscription. */
export function sessionForm(subscription: string): Form<StreamEvent> {
  const write = (params: Notification<'events.event'>): string => notify('events.event', params);
  return {
    toLine(event) {
      const text = write({ subscription, ...event });
      if (event.type === 'entry') return { text, id: String(event.entry.seq) };
      return event.type === 'end' ? { text, last: true } : { text };
    },
    toEnd({ resume, ...end }) {
      const where = resume === undefined || resume === null ? {} : { resume: Number(resume) };
      return { text: write({ subscription, type: 'end', ...end, ...where }), last: true };
    },
  };
}

/** How the events of the feed look under a subscription. */
export function feedForm(subscription: string): Form<FeedEvent> {
  const write = (params: Notification<'feed.event'>): string => notify('feed.event', params);
  return {
    toLine(event) {
      const text = write({ subscription, ...event });
      if (event.type === 'change') return { text, id: event.cursor };
      return event.type === 'end' ? { text, last: true } : { text };
    },
    toEnd({ resume, ...end }) {
      const where = resume === undefined || resume === null ? {} : { resume };
      return { text: write({ subscription, type: 'end', ...end, ...where }), last: true };
    },
  };
}

function notify<K extends NotificationName>(name: K, params: Notification<K>): string {
  return notificationText(name, params);
}
