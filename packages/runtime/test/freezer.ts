/** Stops a process as SIGSTOP does: time goes on, and nothing it waits for comes back until it is continued. */
import type { LogStore, Store, System, TenantStore } from '../src/ports.ts';

export class Freezer {
  #held: (() => void)[] | null = null;

  freeze(): void {
    this.#held ??= [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const go of held) go();
  }

  #pass(go: () => void): void {
    if (this.#held === null) go();
    else this.#held.push(go);
  }

  /** What it was told, as it hears of it. */
  async #of<T>(answer: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      answer.then(
        (value) => this.#pass(() => resolve(value)),
        (error: unknown) => this.#pass(() => reject(error as Error)),
      );
    });
  }

  system({ clock, random, timers }: System): System {
    return { clock, random, timers: { set: (afterMs, run) => timers.set(afterMs, () => this.#pass(run)) } };
  }

  store(store: Store): Store {
    return { ...store, tenant: (name) => this.#tenant(store.tenant(name)) };
  }

  #tenant(tenant: TenantStore): TenantStore {
    const watch: LogStore['watch'] = (changed) => tenant.log.watch((change) => this.#pass(() => changed(change)));
    return {
      log: this.#port(tenant.log, { watch }),
      snapshots: this.#port(tenant.snapshots),
      blobs: this.#port(tenant.blobs),
      docs: this.#port(tenant.docs),
      leases: this.#port(tenant.leases),
    };
  }

  #port<T extends object>(port: T, own: object = {}): T {
    return new Proxy(port, {
      get: (target, name) => {
        const mine = Reflect.get(own, name) as unknown;
        if (mine !== undefined) return mine;
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        return async (...given: unknown[]) => {
          // What is asked while it stands still is asked when it goes on.
          if (this.#held !== null) await new Promise<void>((go) => this.#pass(go));
          return this.#of(Reflect.apply(value, target, given) as Promise<unknown>);
        };
      },
    });
  }
}
