import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry as WireEntry } from '@perdure/contract';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { createVirtualSystem } from '@perdure/testkit';
import type { StreamEvent } from '../api.ts';
import { encodeFrame } from '../log/frame.ts';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import type { Head, TenantStore } from '../ports.ts';
import type { Reach, Told } from './relay.ts';
import { Relay } from './relay.ts';
import { Streams } from './stream.ts';

const EMPTY = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' } as const;
const INDEX = {
  agent: 'a',
  key: null,
  title: '',
  status: 'running',
  activeRun: null,
  queue: [],
  revision: 1,
  usage: EMPTY,
  cost: { nanoUsd: 0, price: null },
  createdAt: 0,
  updatedAt: 0,
  dueAt: null,
  waits: [],
} as const;
type Note = { kind: string; effect?: string; data: object };

/** Two nodes and a gateway over one disk. What the nodes say reaches the gateway while its lines are whole. */
class Bench {
  readonly system = createVirtualSystem();
  readonly #disk = createMemoryDisk();
  readonly nodes = new Map<string, { streams: Streams; store: TenantStore; epoch: number }>();
  readonly gateway: TenantStore = this.#open();
  readonly links: { address: string; wants: Set<string>; isOpen: boolean; say: (session: string) => void }[] = [];
  readonly broken = new Map<string, () => void>();
  lookups = 0;
  /** So many questions for leases are not answered. */
  isAway = 0;
  readonly relay: Relay;
  readonly streams: Streams;
  head: Head = { seq: 0, hash: '' };

  constructor() {
    const reach: Reach = (address, { hear, broke }) => this.#reach(address, hear, broke);
    const leases = {
      ...this.gateway.leases,
      list: async (prefix: string) => {
        this.lookups += 1;
        this.isAway -= 1;
        if (this.isAway >= 0) throw new Error('the storage is away');
        return this.gateway.leases.list(prefix);
      },
    };
    this.relay = new Relay({
      store: { leases, log: this.gateway.log },
      self: 'http://gateway',
      reach,
      tell: (told) => this.streams.told(told),
      timers: this.system.timers,
      logger: silentLogger,
    });
    this.streams = new Streams(this.relay);
  }

  #open(): TenantStore {
    return openMemoryStore({ clock: this.system.clock, disk: this.#disk, shared: true }).tenant('default');
  }

  async node(name: string): Promise<Streams> {
    const store = this.#open();
    const streams = new Streams();
    const claim = await store.leases.claim(`node/${name}`, `node/${name}`, 10_000, `http://${name}`);
    assert.ok(claim.ok);
    this.nodes.set(name, { streams, store, epoch: claim.epoch });
    return streams;
  }

  /** The node's own lease is given up, as when it has ended. */
  async leaves(name: string): Promise<void> {
    const { store, epoch } = this.#named(name);
    await store.leases.release(`node/${name}`, `node/${name}`, epoch);
    this.broken.get(`http://${name}`)?.();
  }

  #named(name: string) {
    const node = this.nodes.get(name);
    assert.ok(node !== undefined);
    return node;
  }

  async holds(name: string): Promise<number> {
    const claim = await this.#named(name).store.leases.claim('session/s', `node/${name}`, null);
    assert.ok(claim.ok);
    return claim.epoch;
  }

  #reach(address: string, hear: (told: Told) => void, broke: () => void): ReturnType<Reach> {
    const node = this.#named(address.slice('http://'.length)).streams;
    const ears = new Map<string, { close(): void }>();
    const say = (session: string): void => {
      ears.get(session)?.close();
      ears.set(session, node.overhear(session, hear));
    };
    const line = { address, wants: new Set<string>(), isOpen: true, say };
    this.links.push(line);
    this.broken.set(address, broke);
    const drop = (session: string): void => {
      ears.get(session)?.close();
      line.wants.delete(session);
    };
    const want = (session: string): void => {
      line.wants.add(session);
      say(session);
    };
    const close = (): void => {
      for (const session of line.wants) drop(session);
      line.isOpen = false;
    };
    return { want, drop, close };
  }

  /** An append of another process: this one is not told of it. */
  async append(notes: readonly Note[], more: { outstanding?: number; by?: string } = {}): Promise<void> {
    const by = { kind: 'user', id: 'u' };
    const entries = notes.map((note, at) => ({
      seq: this.head.seq + at + 1,
      at: 5,
      v: 1,
      input: 'i',
      by,
      run: 'r1',
      ...note,
    })) as unknown as Parameters<typeof encodeFrame>[0];
    const frame = encodeFrame(entries, this.head.hash);
    const node = more.by === undefined ? null : this.#named(more.by);
    const result = await (node?.store ?? this.gateway).log.append({
      session: 's',
      expectedHead: this.head,
      frame,
      bodies: [],
      ledger: [],
      index: {
        ...INDEX,
        outstanding: more.outstanding ?? 1,
      },
      runs: [],
    });
    assert.ok(result.ok);
    this.head = result.head;
    if (node === null) this.streams.committed('s', entries, frame.hash, []);
    else node.streams.committed('s', entries, frame.hash, []);
  }

  read(after = 0): { seen: StreamEvent[]; leave: () => void } {
    const seen: StreamEvent[] = [];
    const controller = new AbortController();
    const run = async (): Promise<void> => {
      const options = { after, deltas: true, signal: controller.signal };
      for await (const event of this.streams.subscribe(this.gateway.log, 's', options)) seen.push(event);
    };
    void run();
    return { seen, leave: () => controller.abort() };
  }
}

const texts = (seen: readonly StreamEvent[]): string[] =>
  seen.flatMap((event) =>
    event.type === 'delta' ? [`${event.delta.attempt}@${event.delta.offset}:${event.delta.text}`] : [],
  );
const kinds = (seen: readonly StreamEvent[]): string[] =>
  seen.flatMap((event) => (event.type === 'entry' ? [event.entry.kind] : event.type === 'delta' ? ['delta'] : []));
const turn = (attempt = 1) => ({ id: 'r1t1', run: 'r1', attempt });
const says = (text: string) => ({ part: 'text', text }) as const;
const requested = (epoch: number): Note => ({ kind: 'turn.requested', effect: 'r1t1', data: { epoch } });

test('what a model says in another process reaches whoever reads here, all so far first', async () => {
  const bench = new Bench();
  const node = await bench.node('one');
  await bench.append([requested(1)], { by: 'one' });
  await bench.holds('one');
  node.delta('s', turn(), says('so far, '));
  const { seen } = bench.read();
  await bench.system.settle();
  node.delta('s', turn(), says('and on'));
  await bench.system.settle();
  assert.deepEqual(texts(seen), ['1@0:so far, ', '1@8:and on']);
  await bench.append([{ kind: 'turn.settled', effect: 'r1t1', data: { attempt: 1 } }], { by: 'one', outstanding: 0 });
  await bench.system.settle();
  assert.deepEqual(kinds(seen), ['turn.requested', 'delta', 'delta', 'turn.settled']);
});

test('all sessions of a node are heard over one connection, which ends with the last reader', async () => {
  const bench = new Bench();
  await bench.node('one');
  await bench.append([requested(1)], { by: 'one' });
  await bench.holds('one');
  const readers = [bench.read(), bench.read(), bench.read()];
  await bench.system.settle();
  assert.deepEqual(
    bench.links.map(({ wants }) => [...wants]),
    [['s']],
  );
  for (const { leave } of readers) leave();
  await bench.system.settle();
  assert.deepEqual(
    bench.links.map(({ isOpen }) => isOpen),
    [false],
  );
  // Text that was heard goes with who heard it.
  const { seen } = bench.read();
  assert.deepEqual(texts(seen), []);
});

test('work that nobody holds yet is looked for until somebody does, and a session at rest is not', async () => {
  const bench = new Bench();
  const node = await bench.node('one');
  await bench.append([{ kind: 'run.held', data: {} }], { by: 'one', outstanding: 0 });
  const { seen } = bench.read();
  await bench.system.settle();
  const { lookups } = bench;
  await bench.system.advance(60_000);
  assert.equal(bench.lookups, lookups);

  await bench.append([requested(1)], { outstanding: 1 });
  await bench.system.advance(LIMITS.relayLookMs * 3);
  const claim = await bench.nodes.get('one')?.store.leases.claim('node/one', 'node/one', 10_000, 'http://one');
  assert.ok(claim?.ok);
  await bench.holds('one');
  node.delta('s', turn(), says('here'));
  await bench.system.advance(LIMITS.relayLookMaxMs);
  assert.deepEqual(texts(seen), ['1@0:here']);
});

test('the node that takes a session over is asked from then on, and its attempt replaces the one before', async () => {
  const bench = new Bench();
  const [one, two] = [await bench.node('one'), await bench.node('two')];
  await bench.append([requested(1)], { by: 'one' });
  assert.equal(await bench.holds('one'), 1);
  const { seen } = bench.read();
  one.delta('s', turn(), says('lost'));
  await bench.system.settle();
  await bench.leaves('one');
  const epoch = await bench.holds('two');
  const lost = { kind: 'turn.attempted', effect: 'r1t1', data: { n: 2, reason: 'lost', epoch } };
  await bench.append([lost], { by: 'two' });
  bench.streams.moved('s', bench.head.seq);
  two.delta('s', turn(2), says('found'));
  await bench.system.advance(LIMITS.relayLookMaxMs);
  assert.deepEqual(texts(seen), ['1@0:lost', '2@0:found']);
  assert.deepEqual(
    bench.links.filter(({ isOpen }) => isOpen).map(({ address }) => address),
    ['http://two'],
  );
  // Whoever was given up may go on talking.
  bench.streams.told({
    session: 's',
    delta: { run: 'r1', effect: 'r1t1', attempt: 1, offset: 4, part: 'text', text: '!' },
  });
  await bench.system.settle();
  assert.deepEqual(texts(seen), ['1@0:lost', '2@0:found']);
});

test('what is lost on the way is a gap until all so far comes again, and nothing is shown twice', async () => {
  const bench = new Bench();
  const node = await bench.node('one');
  await bench.append([requested(1)], { by: 'one' });
  await bench.holds('one');
  const { seen } = bench.read();
  await bench.system.settle();
  const piece = (offset: number, text: string): Told => ({
    session: 's',
    delta: { run: 'r1', effect: 'r1t1', attempt: 1, offset, part: 'text', text },
  });
  for (const text of ['abc', 'def', 'ghi']) node.delta('s', turn(), says(text));
  bench.streams.told(piece(20, 'after a gap'));
  bench.streams.told(piece(3, 'def'));
  bench.streams.told(piece(6, 'ghijkl'));
  bench.streams.told(piece(0, 'abcdefghijklmno'));
  await bench.system.settle();
  assert.deepEqual(texts(seen), ['1@0:abc', '1@3:def', '1@6:ghi', '1@9:jkl', '1@12:mno']);
  const late = bench.read(bench.head.seq);
  await bench.system.settle();
  assert.deepEqual(texts(late.seen), ['1@0:abcdefghijklmno']);
});

test('what comes of an attempt after its entry is not shown', async () => {
  const bench = new Bench();
  await bench.node('one');
  await bench.append([requested(1)], { by: 'one' });
  await bench.holds('one');
  const { seen } = bench.read();
  await bench.system.settle();
  await bench.append([{ kind: 'turn.settled', effect: 'r1t1', data: { attempt: 1 } }], { by: 'one', outstanding: 0 });
  await bench.system.settle();
  const delta = { run: 'r1', effect: 'r1t1', attempt: 1, offset: 0, part: 'text', text: 'late' } as const;
  bench.streams.told({ session: 's', delta });
  await bench.system.settle();
  assert.deepEqual(texts(seen), []);
});

test('a head that another process tells is read from the log, though no notification came', async () => {
  const bench = new Bench();
  await bench.node('one');
  await bench.append([requested(1)], { by: 'one' });
  await bench.holds('one');
  const { seen } = bench.read();
  await bench.system.settle();
  await bench.append([{ kind: 'run.held', data: {} }], { by: 'one' });
  await bench.system.settle();
  const seqs = seen.flatMap((event) => (event.type === 'entry' ? [(event.entry as WireEntry).seq] : []));
  assert.deepEqual(seqs, [1, 2]);
});

test('a storage that is away ends no stream: who holds the session is asked again', async () => {
  const bench = new Bench();
  const node = await bench.node('one');
  await bench.append([requested(1)], { by: 'one' });
  await bench.holds('one');
  bench.isAway = 2;
  const { seen } = bench.read();
  node.delta('s', turn(), says('in the end'));
  await bench.system.advance(LIMITS.relayLookMaxMs);
  assert.deepEqual(texts(seen), ['1@0:in the end']);
});
