/** The kill loop's world on many processes: gateways and workers on one Postgres, each of which may be killed. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@perdure/contract';
import { createClient } from '@perdure/contract';
import { system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { migratePostgres, openPostgresStore } from '@perdure/stores/postgres';
import { createChatEmulator } from '@perdure/testkit';
import type { PostgresService } from '@perdure/testkit/services';
import { startPostgres } from '@perdure/testkit/services';
import { named, readCustody, recordLeases } from './custody.ts';
import { dice } from './dice.ts';
import { playModel } from './model.ts';
import { Outages } from './outages.ts';
import { createOutside } from './outside.ts';
import type { Played } from './play.ts';
import type { Exit, Server, ServerOptions } from './server.ts';
import { freePort } from './server.ts';
import type { Stalls } from './stalls.ts';
import { measureStalls } from './stalls.ts';
import { eager, MODEL_KEY, World } from './world.ts';

/** What drives sessions in place of the workers' own driver: told to every process, and killed like they are. */
export type FleetEngine = {
  env: { [name: string]: string };
  /** What the processes of one worker's seat are told besides. */
  seat(): Promise<{ [name: string]: string }>;
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
};

export type FleetOptions = { leaseMs: number; gateways?: number; workers?: number; engine?: FleetEngine };

/** A place that a process takes, and after its death the next one. */
export type Seat = {
  role: 'gateway' | 'worker';
  port: number;
  server: Server | null;
  /** Which process of the world it is. */
  life: number;
  /** What its processes have otherwise than others. */
  more?: Partial<ServerOptions>;
};

/** One reader in so many entries goes to another gateway. */
const WANDERS = 0.02;

export class Fleet extends World {
  readonly postgres: PostgresService;
  readonly seats: Seat[];
  readonly leaseMs: number;
  readonly engine: FleetEngine | null;
  readonly outages = new Outages();
  /** When processes were killed (wall ms), by their lives. */
  readonly deaths = new Map<number, number>();

  static async found(seed: number, compiled: string, options: FleetOptions): Promise<Fleet> {
    const seats: Seat[] = [];
    for (let n = 0; n < (options.gateways ?? 2); n += 1)
      seats.push({ role: 'gateway', port: await freePort(), server: null, life: 0 });
    for (let n = 0; n < (options.workers ?? 2); n += 1) {
      const env = (await options.engine?.seat()) ?? {};
      seats.push({ role: 'worker', port: 0, server: null, life: 0, more: { env } });
    }
    const provider = await createChatEmulator(playModel(dice(seed + 1)), { key: MODEL_KEY });
    const postgres = await startPostgres();
    await migratePostgres({ url: postgres.url(), timers: system.timers });
    await recordLeases(postgres.url());
    const parts = [dice(seed), provider, await createOutside(), 0, compiled] as const;
    return new Fleet(seed, parts, postgres, seats, options);
  }

  private constructor(
    seed: number,
    parts: readonly [World['dice'], World['provider'], World['outside'], number, string],
    postgres: PostgresService,
    seats: Seat[],
    options: FleetOptions,
  ) {
    super(seed, ...parts);
    this.postgres = postgres;
    this.seats = seats;
    this.leaseMs = options.leaseMs;
    this.engine = options.engine ?? null;
  }

  #gateways(): Seat[] {
    return this.seats.filter(({ role, server }) => role === 'gateway' && server?.isUp() === true);
  }

  override isUp(): boolean {
    return this.#gateways().length > 0;
  }

  /** Any gateway will do, each time another one. */
  override get url(): string {
    const up = this.#gateways();
    const seat = up[this.dice.below(Math.max(1, up.length))] ?? this.seats[0];
    return `http://127.0.0.1:${seat?.port ?? 0}`;
  }

  protected override makeClient(): Client {
    const base = 'http://fleet';
    const anywhere: typeof fetch = async (input, init) => {
      const { pathname, search } = new URL(input instanceof Request ? input.url : input);
      return fetch(`${this.url}${pathname}${search}`, init);
    };
    return createClient({ url: base, timers: eager, fetch: anywhere });
  }

  override wanders(): boolean {
    return this.dice.chance(WANDERS);
  }

  override options(more: Partial<ServerOptions> = {}): ServerOptions {
    const env = {
      PERDURE_STORE: named(this.postgres.url(), this.life),
      PERDURE_LEASE_MS: String(this.leaseMs),
      ...this.engine?.env,
      ...more.env,
    };
    const { data: _data, ...options } = super.options({ ...more, env });
    // What they share goes away under them: they rightly complain.
    return { ...options, isTroubled: true };
  }

  /** The next process takes the seat. */
  seat(seat: Seat): Server {
    const server = this.launch({ ...seat.more, command: seat.role, port: seat.port }, () => {
      if (seat.server === server) seat.server = null;
    });
    seat.server = server;
    seat.life = this.life;
    server.ready.then(
      () => this.outages.back(seat),
      () => undefined,
    );
    return server;
  }

  /** Everybody who is missing is there again. */
  async assemble(): Promise<void> {
    const starting = this.seats.filter(({ server }) => server === null).map((seat) => this.seat(seat));
    await Promise.all(starting.map(async ({ ready }) => ready));
  }

  override async shutDown(): Promise<Exit[]> {
    const servers = this.seats.flatMap(({ server }) => (server === null ? [] : [server]));
    for (const server of servers) server.signal('SIGTERM');
    return Promise.all(servers.map(async ({ exited }) => exited));
  }

  override async openData(): Promise<Store> {
    return openPostgresStore({ url: this.postgres.url(), timers: system.timers });
  }

  override async close(): Promise<void> {
    this.over.abort();
    await Promise.all(this.seats.map(async ({ server }) => server?.kill()));
    await super.close();
    await this.engine?.close();
    await this.postgres.dispose();
  }

  /** Stops Postgres at once, or kills it; it comes back after a moment, and may be ended again while it recovers. */
  async strikePostgres(how: 'stop' | 'kill', again: number | null): Promise<void> {
    this.outages.begin('postgres', this.postgres);
    await this.postgres[how]();
    if (again !== null) {
      const starting = this.postgres.start().catch(() => undefined);
      await delay(again);
      await this.postgres.kill();
      await starting;
    }
    await this.postgres.start();
    this.outages.back(this.postgres);
  }

  async strikeEngine(afterMs: number): Promise<void> {
    if (this.engine === null) return;
    this.outages.begin('engine', this.engine);
    await this.engine.kill();
    await delay(afterMs);
    await this.engine.start();
    this.outages.back(this.engine);
  }

  /** The next process takes its place after a moment. */
  async strikeSeat(seat: Seat, afterMs: number): Promise<Server> {
    this.outages.begin(seat.role, seat);
    if (seat.server !== null) this.deaths.set(seat.life, Date.now());
    await seat.server?.kill();
    await delay(afterMs);
    return this.seat(seat);
  }

  /** How long sessions stood still, and which of them for longer than the lease and a second. Postgres is up. */
  async measureStalls(played: Played): Promise<Stalls> {
    const { outages } = this;
    const workers = this.seats.filter(({ role }) => role === 'worker').length;
    const disturbed = {
      deaths: this.deaths,
      stored: outages.of('postgres'),
      unmanned: outages.together('worker', workers),
      untimed: outages.of('engine'),
    };
    const custody = await readCustody(this.postgres.url(), this.deaths);
    return measureStalls(played.records, custody, disturbed, this.leaseMs);
  }
}
