/**
 * Restate as the courier. An input is stepped where it arrives; Restate is then told that the session has something to
 * do, calls one of the processes to drive it until it rests, calls another one where that process dies, and comes back
 * when a timer of the session is due. What is driven is driven as by the local driver, under the same lease, so that
 * safety is the log's and the lease's, and Restate's promise is liveness alone:
 *  R1 A call that comes twice, or late, or that nobody expects, finds the session as its log says: harmless.
 *  R2 A call that is lost, because Restate was away or whoever should have told it died, is made up for soon by one of the
 *     processes that work (overdue.ts); one for a timer by the process that drove the session last, or by the sweeper.
 *  R3 Restate calls again after a process that died, or that could not read; outcomes are retried by the engine alone, and
 *     a session that fails by itself is parked by the driver, not called for ever.
 */
import type { Driver, Lead, LocalDriver, LocalOptions, Rest } from '@perdure/runtime';
import { createLocalDriver, Wakes } from '@perdure/runtime';
import type { Timer } from '@perdure/runtime/ports';
import { register, registeredAt } from './admin.ts';
import type { Listen, Listening } from './endpoint.ts';
import { createEndpoint, listenOn, speaks } from './endpoint.ts';
import { LIMITS } from '../limits.ts';
import { Notices, serviceOf } from './notices.ts';
import { Overdue } from './overdue.ts';
import type { Libraries } from './sdk.ts';
import { loadLibraries } from './sdk.ts';

export type RestateOptions = {
  /** Where Restate takes calls (its ingress, `http://host:8080`) and is administered (`http://host:9070`). */
  ingress: string;
  admin: string;
  /** Sent to both as Bearer. */
  token?: string;
  /** Of the services in Restate, before the agent's; installations that share one need names of their own. Default `perdure`. */
  name?: string;
  /** Where this process is called. Default 127.0.0.1 and a free port. */
  listen?: { host?: string; port?: number };
  /**
   * The address at which Restate reaches all processes that work, such as a balancer's. Without it the process that
   * started last is called, and the others only when that one is gone.
   */
  url?: string;
  /** Public keys (`publickeyv1_…`) of the Restate whose calls are taken. Default: whoever reaches the port may call. */
  identityKeys?: readonly string[];
};

/**
 * Makes drivers. `overdueMs`: what Restate called nobody for is driven unasked after so long. Throws EngineMissing where
 * Restate's libraries are not installed.
 */
export async function createRestateDriver(
  options: RestateOptions,
  { listen, overdueMs = LIMITS.overdueMs }: { listen?: Listen; overdueMs?: number } = {},
): Promise<(given: LocalOptions) => Driver> {
  const libraries = await loadLibraries();
  return (given) => new RestateDriver(libraries, options, given, listen, overdueMs);
}

class RestateDriver implements Driver {
  readonly #libraries: Libraries;
  readonly #options: RestateOptions;
  readonly #given: LocalOptions;
  /** What Restate calls here: nothing, where this process takes messages and does no work. */
  readonly #names: readonly string[];
  readonly #listen: Listen;
  readonly #notices: Notices;
  readonly #local: LocalDriver;
  readonly #overdue: Overdue;
  readonly #overdueMs: number;
  /** Sessions that rest until a time, for when Restate calls nobody then. */
  readonly #late: Wakes;
  #listening: Listening | null = null;
  #takingOver = false;
  #doubtedAt = Number.NEGATIVE_INFINITY;
  #registering: Timer | null = null;
  #stopping: Promise<void> | null = null;

  constructor(
    libraries: Libraries,
    options: RestateOptions,
    given: LocalOptions,
    listen: Listen | undefined,
    overdueMs: number,
  ) {
    const { ingress, token, name = 'perdure', listen: { host = '127.0.0.1', port = 0 } = {} } = options;
    const { clock, timers } = given.system;
    this.#libraries = libraries;
    this.#options = options;
    this.#given = given;
    this.#names = given.agents.map((agent) => serviceOf(name, agent));
    this.#listen = listen ?? listenOn(host, port);
    this.#notices = new Notices({ name, ingress, token, clock, timers, logger: given.logger });
    const take = (session: string): void => void this.#take(session);
    this.#overdue = new Overdue({ clock, timers, afterMs: overdueMs, take });
    this.#overdueMs = overdueMs;
    this.#late = new Wakes(clock, timers, take);
    const lead: Lead = (session, at, agent) => {
      if (given.holding.serves(agent)) {
        if (at === null) this.#overdue.heard(session, true);
        else this.#late.set(session, at + overdueMs);
      }
      this.#notices.tell(session, at, agent);
    };
    this.#local = createLocalDriver({ ...given, lead });
  }

  /** Restate did not call for it, as far as is known here: where nobody has it, it is driven as the sweeper would. */
  async #take(session: string): Promise<void> {
    const { holding, logger } = this.#given;
    try {
      if (holding.held(session) === null) {
        // Asked of the store: that somebody let it go is told to nobody.
        holding.refused(session);
        const { holder } = await holding.fence(session, null);
        if (holder !== '') return;
      }
      this.#doubt();
      const rest = await this.#drive(session);
      if (rest.at === 'rest' && rest.wakeAt !== null) this.#notices.tell(session, rest.wakeAt, rest.agent);
    } catch (error) {
      logger.debug({ session, error: String(error) }, 'a session of which nothing was heard could not be looked at');
      this.#overdue.heard(session, true);
    }
  }

  /** Drives it until it rests, and looks at it again where nobody is called for it when it should wake. */
  async #drive(session: string): Promise<Rest> {
    this.#late.set(session, null);
    const rest = await this.#local.drive(session);
    if (rest.at === 'rest' && rest.wakeAt !== null) this.#late.set(session, rest.wakeAt + this.#overdueMs);
    return rest;
  }

  async start(): Promise<void> {
    const { logger } = this.#given;
    if (this.#names.length === 0) return this.#local.start();
    const handler = createEndpoint(this.#libraries, {
      names: this.#names,
      notices: this.#notices,
      logger,
      identityKeys: this.#options.identityKeys ?? [],
      drive: async (session) => {
        const { holding } = this.#given;
        this.#overdue.heard(session, false);
        // Whoever was known to have it may have let it go: that is no news of the session, and nobody tells it.
        if (holding.held(session) === null) holding.refused(session);
        return this.#drive(session);
      },
    });
    this.#listening = await this.#listen(handler);
    await this.#local.start();
    await this.#register(this.#listening);
  }

  async submit(...given: Parameters<Driver['submit']>): ReturnType<Driver['submit']> {
    const result = await this.#local.submit(...given);
    await this.#notices.told(given[0]);
    return result;
  }

  hint(...given: Parameters<Driver['hint']>): void {
    this.#local.hint(...given);
    const [change] = given;
    if (change === null) {
      if (this.#options.url === undefined) void this.#takeOver();
      return;
    }
    const { session, agent, outstanding } = change;
    const { holding } = this.#given;
    // Whoever has it is asked for it, else whoever comes first.
    const isMine = holding.held(session) !== null || (holding.serves(agent) && holding.prefers(session));
    this.#overdue.heard(session, outstanding > 0 && isMine);
  }

  /** Restate was silent: it may know of no process any more. */
  #doubt(): void {
    const now = this.#given.system.clock.monotonicMs();
    if (now - this.#doubtedAt < LIMITS.registerAgainMs) return;
    this.#doubtedAt = now;
    void this.#takeOver();
  }

  /** Where Restate calls nobody, or one that is gone, this process is called from now on. */
  async #takeOver(): Promise<void> {
    const [name] = this.#names;
    const { logger, system } = this.#given;
    if (name === undefined || this.#listening === null || this.#takingOver) return;
    this.#takingOver = true;
    try {
      const { admin, token } = this.#options;
      const uri = await registeredAt({ admin, token, timers: system.timers }, name);
      const isOther = this.#options.url === undefined && uri !== this.#uriOf(this.#listening);
      const isFree = uri === null || (isOther && !(await speaks(system.timers, uri)));
      if (isFree && this.#stopping === null) await this.#register(this.#listening);
    } catch (error) {
      logger.warn({ error: String(error) }, 'who is called by Restate could not be asked');
    } finally {
      this.#takingOver = false;
    }
  }

  readmit(session: string): void {
    this.#local.readmit(session);
  }

  async stop(options?: { drainMs?: number }): Promise<void> {
    this.#stopping ??= this.#stop(options);
    return this.#stopping;
  }

  async #stop(options: { drainMs?: number } | undefined): Promise<void> {
    this.#registering?.cancel();
    this.#overdue.stop();
    this.#late.stop();
    // Calls that are under way fail with it, and Restate makes them elsewhere.
    await this.#local.stop(options);
    this.#notices.stop();
    await this.#listening?.close();
  }

  #uriOf({ port }: Listening): string {
    const { url, listen: { host = '127.0.0.1' } = {} } = this.#options;
    return url ?? `http://${host}:${port}`;
  }

  /** Until Restate knows where this process is: what it is not called for meanwhile, the sweeper drives. */
  async #register(listening: Listening): Promise<void> {
    const { admin, token, url } = this.#options;
    const { logger, system } = this.#given;
    const uri = this.#uriOf(listening);
    try {
      await register({ admin, token, timers: system.timers }, this.#names, uri, url !== undefined);
    } catch (error) {
      logger.error({ admin, uri, error: String(error) }, 'this process could not be registered with Restate');
      if (this.#stopping !== null) return;
      this.#registering = system.timers.set(LIMITS.registerAgainMs, () => void this.#register(listening));
    }
  }
}
