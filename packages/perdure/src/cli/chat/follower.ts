/** One session's stream for as long as a shell is in it. A server that goes away is waited for. */
import type { Client, SessionEvent } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';

export type Watcher = {
  event(event: SessionEvent): Promise<void>;
  /** The server is away, or there again. */
  away(isAway: boolean): void;
};

/** Ends with its signal or with the session; rejects with ApiError when the server refuses. Entries after `after`. */
export async function followSession(
  client: Client,
  session: string,
  given: { after: number; signal: AbortSignal; watcher: Watcher },
): Promise<void> {
  const { signal, watcher } = given;
  let { after } = given;
  let isAway = false;
  while (!signal.aborted) {
    try {
      for await (const event of client.events(session, { after, signal, maxAttempts: LIMITS.awayAttempts })) {
        if (isAway) watcher.away((isAway = false));
        if (event.type === 'entry') after = event.entry.seq;
        if (event.type === 'resync') ({ after } = event);
        await watcher.event(event);
        if (event.type === 'end') return;
      }
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'unavailable') throw error;
      if (!isAway) watcher.away((isAway = true));
    }
  }
}
