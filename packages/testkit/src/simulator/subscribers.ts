/** Readers of a stream: slow ones, ones that go away and come back with their cursor. Each entry once, in order (P8). */
import assert from 'node:assert/strict';
import type { Entry } from '@perdure/contract';
import type { Caller, StreamEvent } from '@perdure/runtime';
import { canonicalJson } from '@perdure/runtime';
import type { Processes } from './cluster.ts';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';

const CALLER: Caller = { tenant: 'default', actor: { kind: 'user', id: 'reader' }, requestId: 'stream' };

/** What anybody was shown of an entry: live or replayed, here or there, it is the same. */
export type Shown = Map<string, string>;

export class Subscriber {
  cursor = 0;
  readonly session: string;
  readonly #sim: Sim;
  readonly #cluster: Processes;
  readonly #shown: Shown;
  readonly #name: string;

  constructor(sim: Sim, cluster: Processes, shown: Shown, session: string, name: string) {
    this.#sim = sim;
    this.#cluster = cluster;
    this.#shown = shown;
    this.session = session;
    this.#name = name;
  }

  async run(): Promise<void> {
    const { scheduler, random } = this.#sim;
    for (;;) {
      const process = this.#cluster.front();
      if (process !== null) await this.#follow(process);
      await scheduler.sleep(this.#name, 'reconnect', random.between(20, 1_500));
    }
  }

  get isCaughtUp(): boolean {
    return this.cursor === this.#sim.truth.head(this.session);
  }

  async #follow(process: Process): Promise<void> {
    const { host } = process;
    if (host === null) return;
    const connection = new AbortController();
    const lost = Promise.withResolvers<'lost'>();
    const end = process.connect(() => lost.resolve('lost'));
    const live: Live = new Map();
    const stream = host
      .events(CALLER, this.session, { after: this.cursor, deltas: true, signal: connection.signal })
      [Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([nextOf(stream, process), lost.promise]);
      if (next === 'lost' || !process.alive) break;
      if (next === null) break;
      this.#take(next, live, process);
      if (this.#sim.fault('slowReader', this.session))
        await this.#sim.scheduler.sleep(this.#name, 'reads', this.#sim.random.between(50, 3_000));
      if (this.#sim.fault('disconnect', this.session)) connection.abort();
    }
    end();
    connection.abort();
  }

  #take(event: StreamEvent, live: Live, process: Process): void {
    try {
      if (event.type === 'entry') this.#entry(event.entry);
      else if (event.type === 'delta') checkDelta(live, event.delta);
      else if (event.type === 'caught-up')
        assert.equal(event.head, this.cursor, `${this.#name} is told to be caught up where it is [P8]`);
      else if (event.type === 'resync')
        assert.fail(`${this.#name} is to resync at ${event.after}: ${event.reason} [P8]`);
    } catch (error) {
      if (!process.stale) this.#sim.fail(error);
    }
  }

  #entry(entry: Entry): void {
    const { truth } = this.#sim;
    const log = truth.logs.get(this.session);
    assert.equal(entry.seq, this.cursor + 1, `${this.#name} sees each entry once and in order [P8]`);
    assert.equal(
      entry.hash,
      log?.hashes[entry.seq],
      `${this.#name} sees only what is durable, at seq ${entry.seq} [P1]`,
    );
    assert.equal(entry.kind, log?.entries[entry.seq - 1]?.kind);
    this.cursor = entry.seq;
    const text = canonicalJson({ ...entry, data: withoutBodies(entry.data) });
    const place = `${this.session} ${entry.seq}`;
    const before = this.#shown.get(place);
    if (before === undefined) this.#shown.set(place, text);
    else assert.equal(text, before, `${this.#name} sees what every other reader saw [P8]`);
  }
}

async function nextOf(stream: AsyncIterator<StreamEvent>, process: Process): Promise<StreamEvent | null> {
  try {
    const next = await stream.next();
    return next.done === true ? null : next.value;
  } catch (error) {
    if (!process.alive || process.stale) return process.gone();
    // What cannot be read ends the connection: the reader comes back with its cursor.
    if (error instanceof Error && 'code' in error && error.code === 'unavailable') return null;
    throw error;
  }
}

/** How far each part of each attempt was shown on this connection. */
type Live = Map<string, { attempt: number; end: number }>;
type Delta = Extract<StreamEvent, { type: 'delta' }>['delta'];

/** Within a connection live text has no gap: an attempt's part begins at 0 and goes on where it ended. */
function checkDelta(live: Live, delta: Delta): void {
  const part = `${delta.effect} ${delta.part} ${delta.call ?? ''}`;
  const before = live.get(part);
  const fresh = before === undefined || before.attempt < delta.attempt;
  if (before !== undefined) assert.ok(delta.attempt >= before.attempt, `attempts of ${part} do not go back [P8]`);
  if (fresh || delta.offset > before.end) assert.equal(delta.offset, fresh ? 0 : before.end, `no gap in ${part} [P8]`);
  live.set(part, { attempt: delta.attempt, end: delta.offset + delta.text.length });
}

/** A body beside its reference is there for convenience: whether it is at hand differs, what it says does not. */
function withoutBodies(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutBodies);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'body' || !('digest' in value))
      .map(([name, member]) => [name, withoutBodies(member)]),
  );
}
