/**
 * Tells Restate which sessions have something to do, at once or at a time. What could not be told is left to the sweeper:
 * nothing depends on it but the time it takes.
 */
import { ask } from './http.ts';
import { LIMITS } from '../limits.ts';
import type { Clock, Logger, Timers } from '@perdure/runtime/ports';

export type NoticeOptions = {
  name: string;
  ingress: string;
  token: string | undefined;
  clock: Clock;
  timers: Timers;
  logger: Logger;
};

/** What Restate is told of a session, and tells whoever it calls. `wake`: the timer (wall ms) by which it comes. */
export type Call = { wake?: number };
/** `at`: when (wall ms); missing: now. The same `key` again is the same call. */
type Told = { service: string; session: string; call: Call; at?: number; key?: string };

/** What the sessions of an agent are called in Restate. */
export const serviceOf = (name: string, agent: string): string => `${name}.${agent}`;

/** `again`: something turned up after it was sent. */
type Sending = { ended: Promise<unknown>; again: boolean };

export class Notices {
  readonly #options: NoticeOptions;
  readonly #now = new Map<string, Sending>();
  readonly #stopping = new AbortController();

  constructor(options: NoticeOptions) {
    this.#options = options;
  }

  /** `at`: when (wall ms); null: now. */
  tell(session: string, at: number | null, agent: string): void {
    const service = serviceOf(this.#options.name, agent);
    if (at !== null) {
      void this.#send({ service, session, call: { wake: at }, at, key: `${session} at ${at}` });
      return;
    }
    const sending = this.#now.get(session);
    if (sending === undefined) this.#begin(service, session);
    else sending.again = true;
  }

  #begin(service: string, session: string): void {
    const sending: Sending = { ended: Promise.resolve(), again: false };
    this.#now.set(session, sending);
    sending.ended = this.#send({ service, session, call: {} }).then(() => {
      this.#now.delete(session);
      if (sending.again) this.#begin(service, session);
    });
  }

  /** Resolves when Restate knows what was told of the session so far, or after a while. */
  async told(session: string): Promise<void> {
    const sending = this.#now.get(session);
    if (sending === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.timers.set(LIMITS.noticeMs, resolve);
      void sending.ended.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** Another process drives the session now: it is asked for again. All who find it so ask once. Rejects where it fails. */
  async elsewhere(service: string, session: string): Promise<void> {
    const turn = Math.floor(this.#options.clock.now() / LIMITS.elsewhereMs) + 2;
    const key = `${session} elsewhere ${turn}`;
    await this.#must({ service, session, call: {}, at: turn * LIMITS.elsewhereMs, key });
  }

  /** It wakes by itself. `by`: the timer that this call came by; one that came too early is set again. Rejects where it fails. */
  async wakes(service: string, session: string, wakeAt: number, by: number | undefined): Promise<void> {
    const now = this.#options.clock.now();
    const at = Math.max(wakeAt, now + LIMITS.wakeMinMs);
    const key = by === undefined ? `${session} at ${wakeAt}` : `${session} at ${wakeAt} from ${now}`;
    await this.#must({ service, session, call: { wake: wakeAt }, at, key });
  }

  /** What is not told by now is left to the sweeper of others. */
  stop(): void {
    this.#stopping.abort();
  }

  async #must(told: Told): Promise<void> {
    if (!(await this.#send(told))) throw new Error('Restate does not take calls');
  }

  async #send({ service, session, call, at, key }: Told): Promise<boolean> {
    const { ingress, token, clock, timers, logger } = this.#options;
    for (let tries = 1; !this.#stopping.signal.aborted; tries += 1) {
      const delay = at === undefined ? '' : `?delay=${Math.max(0, at - clock.now())}ms`;
      const url = `${ingress.replace(/\/$/, '')}/${service}/${encodeURIComponent(session)}/drive/send${delay}`;
      let problem: string;
      try {
        const headers = key === undefined ? {} : { 'idempotency-key': key };
        const { status, text } = await ask('POST', url, { timers, token, headers, body: call });
        if (status < 300) return true;
        // Nobody works on the agent: whoever comes to do so looks for what there is.
        if (status === 404) return true;
        problem = `${status} ${text.slice(0, LIMITS.toldChars)}`;
      } catch (error) {
        problem = String(error);
      }
      if (tries === LIMITS.noticeTries) {
        logger.warn({ session, error: problem }, 'Restate could not be told of a session: the sweeper will see it');
        return false;
      }
      await this.#pause(tries);
    }
    return false;
  }

  async #pause(tries: number): Promise<void> {
    const { signal } = this.#stopping;
    const ms = Math.min(LIMITS.noticeBackoffMaxMs, LIMITS.noticeBackoffMs * 2 ** (tries - 1));
    await new Promise<void>((resolve) => {
      const timer = this.#options.timers.set(ms, resolve);
      signal.addEventListener(
        'abort',
        () => {
          timer.cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}
