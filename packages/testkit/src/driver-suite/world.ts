/** The world of one law of the driver suite: processes on the same data, and what is outside of them. */
import assert from 'node:assert/strict';
import type { Entry, RunView, WaitView } from '@perdure/contract';
import type { Host, HostOptions, Session, SessionRun } from '@perdure/runtime';
import { agent, createHost, findSession, openSession, Redactor, silentLogger, system } from '@perdure/runtime';
import type { Append, ModelSource, Store, System } from '@perdure/runtime/ports';
import { Outside } from './outside.ts';
import { Life } from './process.ts';

/** What a process under test is made of. It is the process's own, and goes with it. */
export type ProcessParts = {
  store: Store;
  /** What else its host is made with: its driver, how long its leases are. */
  host?: Partial<HostOptions>;
  /** The process is gone without a goodbye: what the operating system would let go of is let go of. */
  kill(): Promise<void>;
  /** The host has stopped in order. */
  close(): Promise<void>;
};

export type DriverGround = {
  /** One process more on the same data; its timers are those of `system`, and it works on `work` (missing: on all). */
  process(system: System, work?: HostOptions['work']): Promise<ProcessParts>;
  dispose(): Promise<void>;
};

/** What is true in the end is waited for so long. */
const WITHIN_MS = 20_000;
const POLL_MS = 3;
export const SWEEP_MS = 500;

export type Law = { name: string; run(world: World): Promise<void> };

export class Worker {
  readonly host: Host;
  readonly #life: Life;
  readonly #parts: ProcessParts;
  #ended: Promise<void> | null = null;

  constructor(host: Host, life: Life, parts: ProcessParts) {
    this.host = host;
    this.#life = life;
    this.#parts = parts;
  }

  get alive(): boolean {
    return this.#life.alive && this.#ended === null;
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.#life.end();
    this.#ended ??= this.#parts.kill();
    await this.#ended;
  }

  /** SIGTERM. */
  async drain(drainMs: number): Promise<void> {
    this.#ended ??= (async () => {
      await this.host.stop({ drainMs });
      await this.#parts.close();
      this.#life.end();
    })();
    await this.#ended;
  }

  /** A new session with a message. */
  async open(message: string, agent = 'a'): Promise<{ session: Session; run: SessionRun }> {
    const session = openSession(this.host, agent);
    return { session, run: await session.send(message) };
  }

  async session(id: string): Promise<Session> {
    return findSession(this.host, id);
  }

  async hold(session: string, run: string, what: 'hold' | 'release'): Promise<void> {
    const caller = { tenant: 'default', actor: { kind: 'user', id: 'u' }, requestId: 'q' } as const;
    await this.host.call(caller, `runs.${what}`, { session, run: run as `r${number}` });
  }

  async view(session: string, run: string): Promise<RunView> {
    return (await this.host.parts.reads.run(session, run)) as RunView;
  }

  async entries(session: string): Promise<Entry[]> {
    const caller = { tenant: 'default', actor: { kind: 'user', id: 'u' }, requestId: 'q' } as const;
    const { result } = await this.host.call(caller, 'events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
    return result.events;
  }

  async kinds(session: string): Promise<string[]> {
    return (await this.entries(session)).map(({ kind }) => kind);
  }

  async waits(session: string): Promise<WaitView[]> {
    return (await this.session(session)).waits();
  }
}

export class World {
  readonly outside = new Outside(() => system.clock.monotonicMs());
  readonly #ground: DriverGround;
  readonly #workers: Worker[] = [];
  /** Messages whose request cannot be built. */
  poison: string | null = null;

  constructor(ground: DriverGround) {
    this.#ground = ground;
  }

  /**
   * Starts a process. `dies`: at the first append of which it says so, right before or after it was taken. `work`: what
   * it works on, of the agents `a` and `b`.
   */
  async worker(
    dies?: (at: 'before' | 'after', request: Append) => boolean,
    work?: HostOptions['work'],
  ): Promise<Worker> {
    const life = new Life(system);
    const parts = await this.#ground.process(life.system, work);
    let worker: Worker | null = null;
    let dying = dies;
    const host = await createHost({
      store: life.store(parts.store, (at, request) => {
        if (worker === null || dying?.(at, request) !== true) return false;
        dying = undefined;
        void worker.kill();
        return true;
      }),
      agents: ['a', 'b'].map((name) => agent({ name, model: 'scripted', tools: this.outside.tools(life) })),
      models: this.#models(this.outside.model(life).source),
      system: life.system,
      logger: silentLogger,
      redactor: new Redactor(),
      engineHash: 'suite',
      sweepMs: SWEEP_MS,
      ...parts.host,
      ...(work === undefined ? {} : { work }),
    });
    worker = new Worker(host, life, parts);
    this.#workers.push(worker);
    await host.start();
    return worker;
  }

  /** A request with poison in it cannot be built: that is the session's own fault, and nobody else's. */
  #models(source: ModelSource): ModelSource {
    return {
      ...source,
      resolve: (model) => {
        const found = source.resolve(model);
        if (!found.ok) return found;
        const { adapter } = found;
        const render: typeof adapter.render = (item, name) => {
          const text = adapter.render(item, name);
          if (this.poison !== null && text.includes(this.poison)) throw new Error('poison');
          return text;
        };
        return { ...found, adapter: { ...adapter, render } };
      },
    };
  }

  /** Waits until it is so; `what` is said where it never is. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const since = system.clock.monotonicMs();
    while (!(await isSo())) {
      if (system.clock.monotonicMs() - since > WITHIN_MS) assert.fail(`not within ${WITHIN_MS} ms: ${what}`);
      await new Promise<void>((resolve) => void system.timers.set(POLL_MS, resolve));
    }
  }

  /** Waits until it has died of itself, and nothing of it is left. */
  async dead(worker: Worker): Promise<void> {
    await this.until('it is dead', () => !worker.alive);
    await worker.kill();
  }

  async ended(worker: Worker, session: string, run: string): Promise<RunView> {
    await this.until(`${run} of ${session} ends`, async () => !LIVE.has((await worker.view(session, run)).status));
    return worker.view(session, run);
  }

  async waiting(worker: Worker, session: string, kind: string): Promise<WaitView> {
    await this.until(`${session} waits (${kind})`, async () =>
      (await worker.waits(session)).some((wait) => wait.kind === kind),
    );
    return (await worker.waits(session)).find((wait) => wait.kind === kind) ?? assert.fail();
  }

  async dispose(): Promise<void> {
    this.outside.openAll();
    for (const worker of this.#workers) if (worker.alive) await worker.drain(0);
    await this.#ground.dispose();
  }
}

const LIVE: ReadonlySet<string> = new Set(['queued', 'running', 'waiting', 'held', 'cancelling']);
