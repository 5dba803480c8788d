/** Clients that follow sessions over every kill, and say what they were shown that they should not have been. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SessionRecord } from './record.ts';
import { readEvents } from './sse.ts';
import type { World } from './world.ts';

export type Subscriber = 'resuming' | 'from-zero' | 'client';
export const SUBSCRIBERS = ['resuming', 'from-zero', 'client'] as const satisfies Subscriber[];

/** How it went: connections that a subscriber made, and how its streams ended. */
export type Followed = { connections: number; ends: { reason: string; hasRetry: boolean }[] };

/** Follows a session until it is over and all of it was seen. */
export async function subscribe(world: World, record: SessionRecord, kind: Subscriber): Promise<Followed> {
  const followed: Followed = { connections: 0, ends: [] };
  if (kind === 'client') await followByClient(world, record);
  else await followByHand(world, record, kind, followed);
  return followed;
}

async function followByHand(
  world: World,
  record: SessionRecord,
  kind: 'resuming' | 'from-zero',
  followed: Followed,
): Promise<void> {
  let last = 0;
  const isDone = (): boolean => record.isOver && last >= record.head;
  while (!world.over.signal.aborted && !isDone()) {
    await world.whenUp();
    const leave = new AbortController();
    const looking = leaveWhen(isDone, leave);
    if (kind === 'from-zero') last = 0;
    followed.connections += 1;
    try {
      const headers: { [name: string]: string } = { accept: 'text/event-stream' };
      if (last > 0) headers['last-event-id'] = String(last);
      const signal = AbortSignal.any([leave.signal, world.over.signal]);
      const response = await fetch(`${world.url}/v1/sessions/${record.id}/events`, { headers, signal });
      if (response.status === 503) {
        await delay(10);
        continue;
      }
      if (!response.ok) return world.violate(`a subscriber was refused: ${response.status} ${await response.text()}`);
      for await (const event of readEvents(response.body)) {
        if (event.id !== null) {
          if (event.id !== String(last + 1))
            return world.violate(`a ${kind} subscriber of ${record.id} was shown ${event.id} after ${last}`);
          last += 1;
          const wrong = record.show(last, event.data);
          if (wrong !== null) return world.violate(wrong);
        } else if (event.event === 'resync') {
          return world.violate(`a ${kind} subscriber of ${record.id} at ${last} had to resync: ${event.data}`);
        } else if (event.event === 'end') {
          const { reason } = JSON.parse(event.data) as { reason: string };
          followed.ends.push({ reason, hasRetry: event.retryMs !== null });
        }
        if (isDone() || world.wanders()) leave.abort();
      }
    } catch {
      // The connection broke: it is made again.
    } finally {
      clearInterval(looking);
    }
    if (!isDone()) await delay(10);
  }
}

/** A run may end before its sender has the receipt: then no entry comes any more when everything is over. */
const leaveWhen = (isDone: () => boolean, leave: AbortController): NodeJS.Timeout =>
  setInterval(() => {
    if (isDone()) leave.abort();
  }, LOOK_MS);
const LOOK_MS = 50;

/** The product's own client: it reconnects by itself. */
async function followByClient(world: World, record: SessionRecord): Promise<void> {
  const leave = new AbortController();
  const signal = AbortSignal.any([leave.signal, world.over.signal]);
  let last = 0;
  const looking = leaveWhen(() => record.isOver && last >= record.head, leave);
  leave.signal.addEventListener('abort', () => clearInterval(looking), { once: true });
  world.over.signal.addEventListener('abort', () => clearInterval(looking), { once: true });
  for await (const event of world.client.events(record.id ?? '', { signal, maxAttempts: 10_000 })) {
    if (event.type === 'resync') return world.violate(`the client of ${record.id} at ${last} had to resync`);
    if (event.type !== 'entry') continue;
    if (event.entry.seq !== last + 1) return world.violate(`the client was given ${event.entry.seq} after ${last}`);
    last += 1;
    const wrong = record.show(last, JSON.stringify(event.entry));
    if (wrong !== null) return world.violate(wrong);
  }
}

export type FeedSeen = Map<string, { head: number; status: string }>;

/** Follows the feed over every kill by its cursor; the map holds the newest that it said of each session. */
export async function followFeed(world: World, seen: FeedSeen): Promise<void> {
  let cursor = '';
  while (!world.over.signal.aborted) {
    await world.whenUp();
    try {
      const headers: { [name: string]: string } = { accept: 'text/event-stream' };
      if (cursor !== '') headers['last-event-id'] = cursor;
      const response = await fetch(`${world.url}/v1/events`, { headers, signal: world.over.signal });
      if (!response.ok) continue;
      for await (const event of readEvents(response.body)) {
        if (event.event === 'resync') return world.violate(`the feed had to resync at ${cursor}: ${event.data}`);
        if (event.event !== 'change') continue;
        if (event.id !== null) cursor = event.id;
        const { session, head, status } = JSON.parse(event.data) as { session: string; head: number; status: string };
        seen.set(session, { head, status });
      }
    } catch {
      // The connection broke: it is made again.
    }
    await delay(10);
  }
}
