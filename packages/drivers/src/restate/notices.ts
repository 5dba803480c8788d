/**
 * Tells Restate which sessions have something to do, at once or at a time. What could not be told is left to the sweeper:
 * nothing depends on it but the time it takes.
 */
import type { Ingress } from '@restatedev/restate-sdk-clients';
import { LIMITS } from '../limits.ts';
import type { Clock, Logger, Timers } from '@perdure/runtime/ports';
import type { Call } from './endpoint.ts';
import { CALLS } from './endpoint.ts';
import type { Libraries } from './sdk.ts';

export type NoticeOptions = {
  name: string;
  ingress: string;
  token: string | undefined;
  clock: Clock;
  timers: Timers;
  logger: Logger;
};

/** What the sessions of an agent are called in Restate. */
export const serviceOf = (name: string, agent: string): string => `${name}.${agent}`;

/** `again`: something turned up after it was sent. */
type Sending = { ended: Promise<void>; again: boolean };

export class Notices {
  readonly #options: NoticeOptions;
  readonly #ingress: Ingress;
  readonly #sdk: Libraries['clients'];
  readonly #now = new Map<string, Sending>();
  readonly #stopping = new AbortController();

  constructor(libraries: Libraries, options: NoticeOptions) {
    const { ingress: url, token } = options;
    this.#options = options;
    this.#sdk = libraries.clients;
    this.#ingress = libraries.clients.connect({
      url,
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
  }

  /** `at`: when (wall ms); null: now. */
  tell(session: string, at: number | null, agent: string): void {
    if (this.#stopping.signal.aborted) return;
    if (at !== null) {
      void this.#send(session, agent, { wake: at }, at);
      return;
    }
    const sending = this.#now.get(session);
    if (sending === undefined) this.#begin(session, agent);
    else sending.again = true;
  }

  #begin(session: string, agent: string): void {
    const sending: Sending = { ended: Promise.resolve(), again: false };
    this.#now.set(session, sending);
    sending.ended = this.#send(session, agent, {}, null).then(() => {
      this.#now.delete(session);
      if (sending.again) this.#begin(session, agent);
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

  /** What is not told by now is left to the sweeper of others. */
  stop(): void {
    this.#stopping.abort();
  }

  async #send(session: string, agent: string, parameter: Call, at: number | null): Promise<void> {
    const { name, clock, logger } = this.#options;
    for (let tries = 1; !this.#stopping.signal.aborted; tries += 1) {
      const waits = at === null ? {} : { delay: Math.max(0, at - clock.now()), idempotencyKey: `${session} at ${at}` };
      try {
        const opts = this.#sdk.rpc.sendOpts<Call>({ ...waits, timeout: LIMITS.requestMs, input: CALLS });
        await this.#ingress.send<Call>({
          service: serviceOf(name, agent),
          handler: 'drive',
          key: session,
          parameter,
          opts,
        });
        return;
      } catch (error) {
        // Nobody works on the agent: whoever comes to do so looks for what there is.
        if (error instanceof this.#sdk.HttpCallError && error.status === 404) return;
        if (tries < LIMITS.noticeTries) await this.#pause(tries);
        else {
          logger.warn(
            { session, error: String(error) },
            'Restate could not be told of a session: the sweeper will see it',
          );
          return;
        }
      }
    }
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
