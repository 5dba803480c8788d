/**
 * A process as the driver suite kills it: from then on nothing it asks for comes back, and nothing it was told to do
 * later is done. What it had sent off before is not taken back.
 */
import type { Append, AppendResult, LogStore, Store, System, TenantStore, Timer } from '@perdure/runtime/ports';

/** What a process that is gone waits for. */
export const never = new Promise<never>(() => {});

export class Life {
  alive = true;
  readonly #timers = new Set<Timer>();
  readonly #real: System;

  constructor(real: System) {
    this.#real = real;
  }

  end(): void {
    this.alive = false;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** The answer, or nothing ever where the process died meanwhile. */
  async answer<T>(work: () => Promise<T>): Promise<T> {
    if (!this.alive) return never;
    try {
      const answer = await work();
      return this.alive ? answer : await never;
    } catch (error) {
      if (this.alive) throw error;
      return never;
    }
  }

  get system(): System {
    const { clock, random, timers } = this.#real;
    return {
      clock,
      random,
      timers: {
        set: (afterMs, run) => {
          if (!this.alive) return { cancel: () => {} };
          const timer = timers.set(afterMs, () => {
            this.#timers.delete(timer);
            if (this.alive) run();
          });
          this.#timers.add(timer);
          return {
            cancel: () => {
              this.#timers.delete(timer);
              timer.cancel();
            },
          };
        },
      },
    };
  }

  store(store: Store, appending: Appending): Store {
    return this.#cut(store, {
      tenant: (name: string): TenantStore => this.#tenant(store.tenant(name), appending),
    });
  }

  #tenant(tenant: TenantStore, appending: Appending): TenantStore {
    const { log } = tenant;
    const watched = async (request: Append, write: () => Promise<AppendResult>): Promise<AppendResult> =>
      this.answer(async () => {
        if (appending('before', request)) return never;
        const result = await write();
        return result.ok && appending('after', request) ? never : result;
      });
    const own: Partial<LogStore> = {
      append: async (request) => watched(request, async () => log.append(request)),
      fork: async (origin, request) => watched(request, async () => log.fork(origin, request)),
      watch: (changed) =>
        log.watch((change) => {
          if (this.alive) changed(change);
        }),
    };
    const cut = {
      log: this.#cut(log, own),
      snapshots: this.#cut(tenant.snapshots),
      blobs: this.#cut(tenant.blobs),
      docs: this.#cut(tenant.docs),
      leases: this.#cut(tenant.leases),
    };
    return { ...tenant, ...cut };
  }

  /** The port with every method that gives a promise cut off at the end of this life; `own` come in place of its own. */
  #cut<T extends object>(port: T, own: object = {}): T {
    return new Proxy(port, {
      get: (target, name) => {
        if (Object.hasOwn(own, name)) return Reflect.get(own, name) as unknown;
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          const answer: unknown = this.alive ? Reflect.apply(value, target, given) : never;
          return answer instanceof Promise ? this.answer(async () => answer as Promise<unknown>) : answer;
        };
      },
    });
  }
}

/** Told of each append right before it and right after it was taken; true: the process dies at this very point. */
export type Appending = (at: 'before' | 'after', request: Append) => boolean;
