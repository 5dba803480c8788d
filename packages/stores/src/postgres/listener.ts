/**
 * Hears that others committed: by LISTEN on a connection of its own, and by asking every now and then, often where
 * LISTEN does not work (a transaction pooler takes it and never passes a word on; only an echo tells).
 */
import type { Client } from 'pg';
import type { Timer, Timers } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { connectionOf, type Database, type Driver } from './database.ts';

export type Listener = {
  /** Calls `heard` with a tenant of which somebody else committed something, and with null when it is time to look. */
  start(heard: (tenant: string | null) => void): void;
  /** Tells the others, soon and once for many, that something of this tenant was committed. */
  tell(tenant: string): void;
  stop(): Promise<void>;
};

export type ListenerOptions = { driver: Driver; url: string; database: Database; opening: number; timers: Timers };

type Word = { from: number; tenant: string | null };

export function createListener(options: ListenerOptions): Listener {
  const { database, opening, timers } = options;
  const channel = `perdure ${database.schema}`;
  const untold = new Set<string>();
  let telling: Timer | null = null;
  let ear: { stop(): Promise<void> } | null = null;
  const say = async (word: Word): Promise<void> => {
    await database.run('', 'SELECT pg_notify($1, $2)', [channel, JSON.stringify(word)]);
  };
  return {
    start(heard) {
      ear ??= listen(options, channel, say, heard);
    },
    tell(tenant) {
      untold.add(tenant);
      telling ??= timers.set(LIMITS.notifyMs, () => {
        telling = null;
        // A word that is lost is made good by looking.
        for (const one of untold) say({ from: opening, tenant: one }).catch(() => {});
        untold.clear();
      });
    },
    async stop() {
      telling?.cancel();
      await ear?.stop();
    },
  };
}

function listen(
  { driver, url, opening, timers }: ListenerOptions,
  channel: string,
  say: (word: Word) => Promise<void>,
  heard: (tenant: string | null) => void,
): { stop(): Promise<void> } {
  let client: Client | null = null;
  let isHearing = false;
  let isEchoed = true;
  let sinceEchoMs = 0;
  let stopped = false;
  let next: Timer | null = null;
  const drop = (dropped: Client | null): void => {
    if (dropped === null || dropped !== client) return;
    client = null;
    isHearing = false;
    dropped.end().catch(() => {});
  };
  const connect = async (): Promise<void> => {
    const fresh = new driver.Client(connectionOf(url));
    client = fresh;
    fresh.on('error', () => drop(fresh));
    fresh.on('end', () => drop(fresh));
    fresh.on('notification', ({ payload = '' }) => {
      const word = wordOf(payload);
      if (word === null) return;
      if (word.from !== opening) heard(word.tenant);
      else if (word.tenant === null) isEchoed = isHearing = true;
    });
    await fresh.connect();
    await fresh.query(`LISTEN ${driver.escapeIdentifier(channel)}`);
  };
  const look = async (): Promise<void> => {
    const everyMs = isHearing ? LIMITS.listeningPollMs : LIMITS.pollMs;
    sinceEchoMs += everyMs;
    try {
      if (client === null) {
        await connect();
        sinceEchoMs = LIMITS.echoMs;
      }
      if (sinceEchoMs >= LIMITS.echoMs) {
        isHearing &&= isEchoed;
        isEchoed = false;
        sinceEchoMs = 0;
        await say({ from: opening, tenant: null });
      }
    } catch {
      drop(client);
    }
    if (stopped) return drop(client);
    heard(null);
    next = timers.set(isHearing ? LIMITS.listeningPollMs : LIMITS.pollMs, () => void look());
  };
  const started = look();
  return {
    async stop() {
      stopped = true;
      next?.cancel();
      await started;
      drop(client);
    },
  };
}

/** Whoever may connect may say anything on the channel. */
function wordOf(payload: string): Word | null {
  try {
    const word: unknown = JSON.parse(payload);
    const isWord = typeof word === 'object' && word !== null && 'from' in word && 'tenant' in word;
    return isWord ? (word as Word) : null;
  } catch {
    return null;
  }
}
