import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delta, Entry as WireEntry } from '@perdure/contract';
import { openMemoryStore } from '@perdure/stores/memory';
import { createVirtualSystem } from '@perdure/testkit';
import fc from 'fast-check';
import { World } from '../../test/world.ts';
import type { StreamEvent } from '../api.ts';
import { saltedBody } from '../log/digest.ts';
import { decodeFrame, encodeFrame } from '../log/frame.ts';
import { LIMITS } from '../limits.ts';
import type { Delta as ModelDelta, Head, LogStore } from '../ports.ts';
import { Streams } from './stream.ts';

const virtual = createVirtualSystem();
const settle = async (): Promise<void> => virtual.settle();
const EMPTY_INDEX = {
  agent: 'a',
  key: null,
  title: '',
  status: 'running',
  activeRun: null,
  queue: [],
  revision: 1,
  usage: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' },
  cost: { nanoUsd: 0, price: null },
  createdAt: 0,
  updatedAt: 0,
  dueAt: null,
  outstanding: 0,
  waits: [],
} as const;

const note = (seq: number, kind: string, data: object): object => ({
  seq,
  at: 5,
  kind,
  v: 1,
  input: 'i',
  by: { kind: 'user', id: 'u' },
  data,
});

/** A log with a writer that tells the streams of its appends, as the step does. */
class Bench {
  readonly system = createVirtualSystem();
  readonly log: LogStore = openMemoryStore({ clock: this.system.clock }).tenant('default').log;
  readonly streams = new Streams();
  head: Head = { seq: 0, hash: '' };

  async append(
    count = 1,
    more: { kind?: string; effect?: string; text?: string; told?: boolean; data?: object } = {},
  ): Promise<() => void> {
    const { kind = 'run.held', effect, text, told = true } = more;
    const body = text === undefined ? null : saltedBody(JSON.stringify({ content: text }), this.system.random);
    const data = body === null ? (more.data ?? {}) : { result: { digest: body.digest, bytes: body.text.length } };
    const entries = Array.from({ length: count }, (_, at) => ({
      ...note(this.head.seq + at + 1, kind, data),
      ...(effect === undefined ? { run: 'r1' } : { run: 'r1', effect }),
      ...(body === null ? {} : { refs: [body.digest] }),
    })) as unknown as Parameters<typeof encodeFrame>[0];
    const frame = encodeFrame(entries, this.head.hash);
    const bodies = body === null ? [] : [body];
    const result = await this.log.append({
      session: 's',
      expectedHead: this.head,
      frame,
      bodies,
      ledger: [],
      index: EMPTY_INDEX,
      runs: [],
    });
    assert.ok(result.ok);
    this.head = result.head;
    const tell = (): void => this.streams.committed('s', entries, frame.hash, bodies);
    if (told) tell();
    return tell;
  }

  delta(text: string, attempt = 1, effect = 'r1t1', part: ModelDelta = { part: 'text', text }): void {
    this.streams.delta('s', { id: effect, run: 'r1', attempt }, part);
  }

  read(after = 0, deltas = true): Reader {
    const controller = new AbortController();
    return new Reader(this.streams.subscribe(this.log, 's', { after, deltas, signal: controller.signal }), controller);
  }
}

/** Takes what it is given, as fast as it is told to. */
class Reader {
  readonly seen: StreamEvent[] = [];
  readonly #stream: AsyncGenerator<StreamEvent>;
  readonly #controller: AbortController;
  #pending: Promise<unknown> | null = null;
  over = false;

  constructor(stream: AsyncGenerator<StreamEvent>, controller: AbortController) {
    this.#stream = stream;
    this.#controller = controller;
  }

  async take(count = Infinity): Promise<this> {
    for (let i = 0; i < count && !this.over; i += 1) {
      const before = this.seen.length;
      this.#pending ??= this.#stream.next().then(({ value, done }) => {
        this.#pending = null;
        if (done === true) this.over = true;
        else this.seen.push(value);
      });
      await settle();
      if (this.seen.length === before) break;
    }
    return this;
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.#pending;
    await this.#stream.return(undefined);
  }

  get seqs(): number[] {
    return this.seen.flatMap((event) => (event.type === 'entry' ? [event.entry.seq] : []));
  }

  get entries(): WireEntry[] {
    return this.seen.flatMap((event) => (event.type === 'entry' ? [event.entry] : []));
  }

  get deltas(): Delta[] {
    return this.seen.flatMap((event) => (event.type === 'delta' ? [event.delta] : []));
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** What a client puts together: each part of the highest attempt, by offset. */
function textOf(deltas: readonly Delta[]): string {
  let text = '';
  let attempt = 0;
  for (const delta of deltas) {
    if (delta.attempt > attempt) [text, attempt] = ['', delta.attempt];
    assert.ok(delta.attempt === attempt, 'attempts do not go back');
    assert.ok(delta.offset <= text.length, 'no gap');
    text = text.slice(0, delta.offset) + delta.text;
  }
  return text;
}

test('each entry comes once and in order, whatever the interleaving of appends, readers, their pace and their comings', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('late' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('tell' as const) }),
    fc.record({ do: fc.constant('lost' as const) }),
    fc.record({ do: fc.constant('take' as const), reader: fc.nat(2), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant('reconnect' as const), reader: fc.nat(2) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const bench = new Bench();
      await bench.append();
      let untold: (() => void)[] = [];
      const tellAll = (): void => {
        for (const tell of untold) tell();
        untold = [];
      };
      const cursors = [0, 0, 0];
      const readers = cursors.map(() => bench.read(0));
      const check = async (index: number): Promise<void> => {
        const { seqs } = readers[index] ?? assert.fail();
        const from = cursors[index] ?? 0;
        assert.deepEqual(seqs, range(from + 1, from + seqs.length));
      };
      for (const given of steps) {
        if (given.do === 'append') {
          tellAll();
          await bench.append(given.count);
        } else if (given.do === 'late') {
          // Durable, and the step has not come to telling it.
          untold.push(await bench.append(given.count, { told: false }));
        } else if (given.do === 'tell') {
          tellAll();
        } else if (given.do === 'lost') {
          // The answer was lost, and the log is read anew.
          untold = [];
          bench.streams.moved('s', bench.head.seq);
        } else if (given.do === 'take') {
          await (readers[given.reader] ?? assert.fail()).take(given.count);
          await check(given.reader);
        } else {
          const reader = readers[given.reader] ?? assert.fail();
          await check(given.reader);
          await reader.stop();
          cursors[given.reader] = (cursors[given.reader] ?? 0) + reader.seqs.length;
          readers[given.reader] = bench.read(cursors[given.reader]);
        }
      }
      tellAll();
      await bench.streams.recheck(bench.log);
      for (const [index, reader] of readers.entries()) {
        await reader.take();
        await check(index);
        assert.equal((cursors[index] ?? 0) + reader.seqs.length, bench.head.seq, 'and none is missing');
        await reader.stop();
      }
    }),
    { numRuns: 150 },
  );
});

test('an entry reads the same live and from the log, with its bodies', async () => {
  const bench = new Bench();
  const live = bench.read();
  await live.take();
  await bench.append(2, { text: 'said' });
  await live.take();
  const later = await bench.read().take();
  assert.deepEqual(live.entries, later.entries);
  assert.partialDeepStrictEqual(live.entries[0]?.data, { result: { body: { content: 'said' } } });
});

test('who joins and finds more in the log does not hide it from those who were not told', async () => {
  const bench = new Bench();
  await bench.append();
  const early = await bench.read().take();
  await bench.append(1, { told: false });
  const late = await bench.read().take();
  await early.take();
  for (const reader of [early, late]) assert.deepEqual(reader.seqs, [1, 2]);
});

test('who is too far behind is not waited for, and loses nothing', async () => {
  const bench = new Bench();
  await bench.append();
  const slow = bench.read();
  await slow.take(2);
  for (let i = 0; i < LIMITS.streamQueueItems + 10; i += 1) await bench.append();
  await slow.take();
  assert.deepEqual(slow.seqs, range(1, bench.head.seq));
});

test('what waits for a slow reader is bounded by what it holds', async () => {
  const bench = new Bench();
  const slow = bench.read();
  await slow.take();
  let reads = 0;
  const read = bench.log.read.bind(bench.log);
  bench.log.read = async (session, options) => {
    reads += 1;
    return read(session, options);
  };
  for (let i = 0; i < 30; i += 1) await bench.append(1, { text: 'x'.repeat(30_000) });
  await slow.take();
  assert.ok(reads > 0, 'it read the log again: not all was kept for it');
  assert.deepEqual(slow.seqs, range(1, 30));
  reads = 0;
  for (let i = 0; i < 3 * LIMITS.streamQueueItems; i += 1) {
    await bench.append();
    if (i % 500 === 0) await slow.take();
  }
  await slow.take();
  assert.equal(reads, 0, 'a reader that keeps up is not sent to the log');
});

test('live text comes as it is said; a late joiner gets all so far at offset 0, after the entries before it', async () => {
  const bench = new Bench();
  await bench.append();
  const early = await bench.read().take();
  bench.delta('Hel');
  bench.delta('lo, ');
  await early.take();
  const late = await bench.read().take();
  bench.delta('world');
  for (const reader of [early, late]) {
    await reader.take();
    assert.equal(textOf(reader.deltas), 'Hello, world');
    assert.equal(reader.seen[0]?.type, 'entry');
  }
  assert.deepEqual(
    late.deltas.map(({ offset, text }) => [offset, text]),
    [
      [0, 'Hello, '],
      [7, 'world'],
    ],
  );
  const without = await bench.read(0, false).take();
  assert.deepEqual(without.deltas, []);
});

test('a reader that lost pieces gets the whole again, and no piece twice', async () => {
  const bench = new Bench();
  await bench.append();
  const slow = bench.read();
  await slow.take(2);
  for (let i = 0; i < LIMITS.streamQueueItems + 5; i += 1) bench.delta(`${i % 10}`);
  await bench.append();
  await slow.take();
  assert.equal(textOf(slow.deltas).length, LIMITS.streamQueueItems + 5);
  assert.deepEqual(slow.seqs, [1, 2]);
});

test('a higher attempt begins anew, and the end of an attempt ends its text', async () => {
  const bench = new Bench();
  const reader = await bench.read().take();
  bench.delta('first try');
  bench.delta('second', 2);
  bench.delta(' goes on', 1);
  await reader.take();
  assert.equal(textOf(reader.deltas), 'second');
  assert.equal(textOf((await bench.read().take()).deltas), 'second');
  await bench.append(1, { kind: 'turn.settled', effect: 'r1t1' });
  bench.delta('next turn', 1, 'r1t2');
  const late = await bench.read().take();
  assert.deepEqual(
    late.deltas.map(({ text, effect }) => [effect, text]),
    [['r1t2', 'next turn']],
  );
});

test('an attempt that is over goes on talking to nobody, also before the next one has said anything', async () => {
  const bench = new Bench();
  const reader = await bench.read().take();
  bench.delta('second', 2);
  await bench.append(1, { kind: 'turn.failed', effect: 'r1t1', data: { attempt: 2 } });
  bench.delta('first, late', 1);
  bench.delta('second, late', 2);
  bench.delta('third', 3);
  await reader.take();
  assert.deepEqual(
    reader.deltas.map(({ attempt, text }) => [attempt, text]),
    [
      [2, 'second'],
      [3, 'third'],
    ],
  );
  await bench.append(1, { kind: 'turn.settled', effect: 'r1t1' });
  bench.delta('third, late', 3);
  assert.deepEqual((await bench.read().take()).deltas, []);
});

test('each part and each call is a text of its own', async () => {
  const bench = new Bench();
  const reader = await bench.read().take();
  for (const call of [0, 1]) bench.delta('', 1, 'r1t1', { part: 'arguments', call, name: 'pay', text: `{${call}` });
  bench.delta('', 1, 'r1t1', { part: 'reasoning', text: 'hm' });
  await reader.take();
  assert.deepEqual(
    reader.deltas.map(({ part, call, name, offset, text }) => [part, call, name, offset, text]),
    [
      ['arguments', 'r1t1c0', 'pay', 0, '{0'],
      ['arguments', 'r1t1c1', 'pay', 0, '{1'],
      ['reasoning', undefined, undefined, 0, 'hm'],
    ],
  );
});

test('live text has a bound, and stays clear of it', async () => {
  const bench = new Bench();
  const reader = await bench.read().take();
  for (let i = 0; i < 5; i += 1) {
    bench.delta('x'.repeat(LIMITS.liveTextChars / 2 + 1));
    await reader.take();
  }
  assert.equal(textOf(reader.deltas).length, LIMITS.liveTextChars + 2);
});

test('a stream ends when its session is closed, for those who follow and for those who come later', async () => {
  const bench = new Bench();
  const reader = await bench.read().take();
  await bench.append(1, { kind: 'session.closed' });
  await reader.take();
  const late = await bench.read().take();
  for (const each of [reader, late]) {
    assert.deepEqual(each.seen.at(-1), { type: 'end', reason: 'closed' });
    assert.equal(each.over, true);
  }
});

test('a drain ends every stream, after what it was already owed, and also those that come later', async () => {
  const bench = new Bench();
  await bench.append();
  const reader = await bench.read().take();
  await bench.append();
  bench.streams.end({ type: 'end', reason: 'drain', retryMs: 5 });
  await reader.take();
  const late = await bench.read().take();
  for (const each of [reader, late]) {
    assert.deepEqual(each.seqs, [1, 2]);
    assert.deepEqual(each.seen.at(-1), { type: 'end', reason: 'drain', retryMs: 5 });
    assert.equal(each.over, true);
  }
});

test('an abort ends a stream that waits, and one that reads', async () => {
  const bench = new Bench();
  await bench.append(3);
  const waiting = await bench.read().take();
  const reading = bench.read();
  await reading.take(1);
  for (const reader of [waiting, reading]) {
    await reader.stop();
    await reader.take();
    assert.equal(reader.over, true);
  }
});

test('a session has only so many readers', async () => {
  const bench = new Bench();
  await bench.append();
  const readers: Reader[] = [];
  for (let i = 0; i < LIMITS.subscribersPerSession; i += 1) readers.push(bench.read());
  for (const reader of readers) void reader.take(1);
  await settle();
  const one = bench.streams.subscribe(bench.log, 's', {
    after: 0,
    deltas: false,
    signal: new AbortController().signal,
  });
  await assert.rejects(one.next(), { code: 'rate_limited' });
  for (const reader of readers) await reader.stop();
  assert.deepEqual((await bench.read().take()).seqs, [1]);
});

test('a host resyncs who asks for what is not there, and ends who follows what is closed', async () => {
  const world = await World.create({ script: [{ text: 'ok' }] });
  const { session } = await world.open();
  await world.system.settle();
  const { head } = await world.call('sessions.get', { session });
  const ahead = world.follow(session, { after: head + 50 });
  await world.system.settle();
  assert.deepEqual(ahead.seen.slice(0, 2), [
    { type: 'resync', after: head, reason: `the log ends at ${head}` },
    { type: 'caught-up', head },
  ]);
  await world.call('sessions.close', { session });
  await ahead.done;
  const late = world.follow(session, { after: (await world.call('sessions.get', { session })).head });
  await late.done;
  assert.deepEqual(late.seen.at(-1), { type: 'end', reason: 'closed' });
  await assert.rejects(world.follow('ses_none').done, { code: 'not_found' });
  await world.call('sessions.delete', { session });
  await assert.rejects(world.follow(session).done, { code: 'not_found' });
});

test('what a host streams is what its log holds, entry by entry, over every reconnect', async () => {
  const world = await World.create({ script: (call) => ({ text: `said ${call.n}`, pieces: 5 }) });
  const { session } = await world.open();
  const live = world.follow(session);
  for (let i = 0; i < 3; i += 1) {
    await world.system.settle();
    await world.call('runs.start', { session, input: `more ${i}`, mode: 'queue', priority: 0 });
  }
  await world.system.settle();
  const frames = await world.log.read(session, { after: 0, limit: 1_000 });
  const stored = frames.flatMap((frame) => decodeFrame(frame).map(({ seq, kind }) => [seq, kind]));
  const entries = live.seen.flatMap((event) => (event.type === 'entry' ? [event.entry] : []));
  assert.deepEqual(
    entries.map(({ seq, kind }) => [seq, kind]),
    stored,
  );
  const { events } = await world.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
  assert.deepEqual(events, entries);
  for (let after = 0; after < stored.length; after += 1) {
    const reader = world.follow(session, { after });
    await world.system.settle();
    const first = reader.seen.find((event) => event.type === 'entry');
    assert.ok(first?.type === 'entry');
    assert.deepEqual(first.entry, entries[after]);
    reader.stop();
  }
  live.stop();
});
