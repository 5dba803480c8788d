/** The kill loop's world: one data folder, one server after the other on it, a provider, an outside, and people. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Client } from '@perdure/contract';
import { ApiError, createClient } from '@perdure/contract';
import { system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { openSqliteStore } from '@perdure/stores/sqlite';
import type { ChatEmulator, ChatReply, SeenRequest } from '@perdure/testkit';
import { createChatEmulator } from '@perdure/testkit';
import type { Dice } from './dice.ts';
import { dice } from './dice.ts';
import { playModel } from './model.ts';
import type { Outside } from './outside.ts';
import { createOutside } from './outside.ts';
import type { Exit, Server, ServerOptions } from './server.ts';
import { freePort, startServer } from './server.ts';

export const MODEL_KEY = 'a-key-for-the-kill-loop';

/** A client's pauses between connections, so short that each life of a server sees it come back. */
export const eager = {
  set: (afterMs: number, run: () => void) => {
    const timer = setTimeout(run, afterMs > 20_000 ? afterMs : Math.min(afterMs, 150));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Which agents there are, and what plays their model. */
export type Cast = { config: 'agents.config.ts' | 'hands.config.ts'; model: (seen: SeenRequest) => ChatReply };

export class World {
  readonly seed: number;
  readonly dice: Dice;
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  readonly outside: Outside;
  readonly provider: ChatEmulator;
  /** What must never happen, and did. */
  readonly violations: string[] = [];
  readonly refusals = { unavailable: 0, storage_full: 0 };
  /** How often a server was started. */
  life = 0;
  server: Server | null = null;
  /** Aborted when everything that goes on in the background must end. */
  readonly over = new AbortController();
  #waiting: (() => void)[] = [];

  readonly #compiled: string;
  #client: Client | null = null;

  /** `compiled`: a folder for Node's cache of compiled code, which worlds may share. */
  static async create(seed: number, compiled: string, { config, model }: Partial<Cast> = {}): Promise<World> {
    const rolled = dice(seed);
    const provider = await createChatEmulator(model ?? playModel(dice(seed + 1)), { key: MODEL_KEY });
    return new World(seed, rolled, provider, await createOutside(), await freePort(), compiled, config);
  }

  protected constructor(
    seed: number,
    rolled: Dice,
    provider: ChatEmulator,
    outside: Outside,
    port: number,
    compiled: string,
    config: Cast['config'] = 'agents.config.ts',
  ) {
    this.seed = seed;
    this.#compiled = compiled;
    this.dice = rolled;
    this.provider = provider;
    this.outside = outside;
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), 'perdure-kill-loop-'));
    this.data = join(this.folder, 'data');
    mkdirSync(this.data);
    copyFileSync(new URL(config, import.meta.url), join(this.folder, 'perdure.config.ts'));
  }

  /** Where the next request goes. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get client(): Client {
    this.#client ??= this.makeClient();
    return this.#client;
  }

  protected makeClient(): Client {
    return createClient({ url: this.url, timers: eager });
  }

  /** Whether somebody answers. */
  isUp(): boolean {
    return this.server?.isUp() === true;
  }

  /** Whether a reader who has somewhere else to go leaves now, for no reason. */
  wanders(): boolean {
    return false;
  }

  /** Asks every process to stop; how each ended. */
  async shutDown(): Promise<Exit[]> {
    const { server } = this;
    server?.signal('SIGTERM');
    return server === null ? [] : [await server.exited];
  }

  /** The data itself, when every process is gone. */
  async openData(): Promise<Store> {
    return openSqliteStore({ directory: this.data, ...system });
  }

  options(more: Partial<ServerOptions> = {}): ServerOptions {
    const { env, ...rest } = more;
    const { PATH = '', HOME = '' } = process.env;
    return {
      cwd: this.folder,
      data: this.data,
      port: this.port,
      ...rest,
      env: {
        PATH,
        HOME,
        OPENAI_BASE_URL: this.provider.url,
        OPENAI_API_KEY: MODEL_KEY,
        OUTSIDE_URL: this.outside.url,
        LIFE: String(this.life),
        PERDURE_LOG_LEVEL: 'warn',
        PERDURE_LOG_FORMAT: 'json',
        // Compiled once for all processes: a restart is then short enough to have many.
        NODE_COMPILE_CACHE: this.#compiled,
        ...env,
      },
    };
  }

  /** Starts the next server; `whenUp` resolves as soon as it is ready. */
  start(more: Partial<ServerOptions> = {}): Server {
    const server = this.launch(more, () => {
      if (this.server === server) this.server = null;
    });
    this.server = server;
    return server;
  }

  protected launch(more: Partial<ServerOptions>, gone: () => void): Server {
    this.life += 1;
    const server = startServer(this.options(more));
    server.ready.then(
      () => this.letGo(),
      () => undefined,
    );
    void server.exited.then(({ code, signal }) => {
      gone();
      this.#complain(server, code, signal);
    });
    return server;
  }

  /** Resolves while a server answers, or when the world is over. */
  async whenUp(): Promise<void> {
    while (!this.isUp() && !this.over.signal.aborted) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  protected letGo(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /**
   * Asks until an answer comes: a server that is down, dies over the question or has no room is asked again. Null: it is
   * over.
   */
  async insist<T>(ask: (client: Client) => Promise<T>): Promise<T | null> {
    for (;;) {
      await this.whenUp();
      if (this.over.signal.aborted) return null;
      try {
        return await ask(this.client);
      } catch (error) {
        if (!(error instanceof ApiError) || !(error.code in this.refusals)) throw error;
        this.refusals[error.code as keyof typeof this.refusals] += 1;
        await delay(10);
      }
    }
  }

  /** Something that goes on beside the loop: its failure is the test's. */
  background(what: string, work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.over.signal.aborted) this.violate(`${what}: ${inspect(error)}`);
    });
  }

  /** True as soon as the condition holds; false when the time is up, or something was violated. */
  async until(condition: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<boolean> {
    for (const startedAt = performance.now(); !(await condition()); await delay(10)) {
      if (this.violations.length > 0 || performance.now() - startedAt > withinMs) return false;
    }
    return true;
  }

  violate(what: string): void {
    this.violations.push(`life ${this.life}: ${what}`);
  }

  #complain(server: Server, code: number | null, signal: NodeJS.Signals | null): void {
    if (server.isTroubled) return;
    for (const line of server.log().split('\n')) {
      if (line.includes('"level":"error"') || line.includes('should not have happened'))
        this.violate(`the server said: ${line.slice(0, 2_000)}`);
    }
    if (signal === null && code !== 0 && code !== 130 && !this.over.signal.aborted)
      this.violate(`the server ended with ${code}: ${server.log().slice(-2_000)}`);
  }

  async close(): Promise<void> {
    this.over.abort();
    this.letGo();
    await this.server?.kill();
    await this.outside.close();
    await this.provider.close().finally(() => rmSync(this.folder, { recursive: true, force: true }));
  }
}
