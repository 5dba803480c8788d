import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemoryDisk } from '@perdure/stores/memory';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type { ScriptedModel, VirtualSystem } from '@perdure/testkit';
import { createScriptedModel, createVirtualSystem } from '@perdure/testkit';
import type { WorldOptions } from '../test/world.ts';
import { World } from '../test/world.ts';
import type { HostOptions, Reach, StreamEvent } from './index.ts';

/** Processes that share a disk; they reach each other as over a network, unless they are cut off. */
class Village {
  readonly system: VirtualSystem = createVirtualSystem();
  readonly disk: MemoryDisk = createMemoryDisk();
  readonly model: ScriptedModel;
  readonly #worlds = new Map<string, World>();
  readonly tokens: string[] = [];
  /** Lines that were asked for, by whom. */
  readonly lines: string[] = [];

  constructor(script: WorldOptions['script']) {
    this.model = createScriptedModel(script ?? []);
  }

  async process(name: string, host: Partial<HostOptions> = {}): Promise<World> {
    const { system, disk, model } = this;
    const address = `http://${name}`;
    const reach = (token: string): Reach => {
      this.tokens.push(token);
      return (to, { hear }) => {
        this.lines.push(`${name} to ${to}`);
        const ears = new Map<string, { close(): void }>();
        const streams = this.#worlds.get(to)?.host.parts.streams;
        const drop = (session: string): void => {
          ears.get(session)?.close();
          ears.delete(session);
        };
        return {
          want: (session) => {
            drop(session);
            if (streams !== undefined) ears.set(session, streams.overhear(session, hear));
          },
          drop,
          close: () => ears.forEach((ear) => ear.close()),
        };
      };
    };
    const store = openMemoryStore({ clock: system.clock, disk, shared: true });
    const world = await World.create({ model, system, host: { store, address, reach, ...host }, idle: true });
    this.#worlds.set(address, world);
    await world.host.start();
    return world;
  }
}

const texts = (seen: readonly StreamEvent[]): string =>
  seen.map((event) => (event.type === 'delta' ? event.delta.text : '')).join('');
const seqs = (seen: readonly StreamEvent[]): number[] =>
  seen.flatMap((event) => (event.type === 'entry' ? [event.entry.seq] : []));
const upTo = (head: number): number[] => Array.from({ length: head }, (_, at) => at + 1);

const held = () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, open: resolve };
};

test('a gateway accepts and shows, entry by entry and word by word, what a worker does; it asks no model itself', async () => {
  const gate = held();
  const village = new Village([{ text: 'a long answer', hold: gate.promise }]);
  const gateway = await village.process('gateway', { work: false });
  const { session, run } = await gateway.open('go');
  await village.system.settle();
  assert.equal((await gateway.call('runs.get', { session, run })).status, 'running');
  assert.equal(village.model.calls.length, 0);

  const { seen } = gateway.follow(session);
  const worker = await village.process('worker');
  await village.system.advance(2_000);
  for (const text of ['a long', ' ans'])
    worker.host.parts.streams.delta(session, { id: 'r1t1', run, attempt: 1 }, { part: 'text', text });
  await village.system.settle();
  assert.equal(texts(seen), 'a long ans');
  gate.open();
  await village.system.settle();
  assert.equal((await gateway.call('runs.get', { session, run })).text, 'a long answer');
  const { head } = await gateway.call('sessions.get', { session });
  assert.deepEqual(seqs(seen), upTo(head));
  assert.deepEqual(village.lines, ['gateway to http://worker']);
  assert.equal(new Set(village.tokens).size, 1);
});

test('where no worker lives that takes its agent, a run says so, and one that is being cancelled as well', async () => {
  const village = new Village([{ text: 'done', calls: [] }]);
  const gateway = await village.process('gateway', { work: false });
  const { session, run } = await gateway.open('go');
  const codes = async () => (await gateway.call('explain.get', { session, run })).causes.map(({ code }) => code);
  assert.deepEqual(await codes(), ['no_worker', 'model_flying']);
  await gateway.call('runs.cancel', { session, run });
  assert.deepEqual((await codes()).slice(0, 2), ['no_worker', 'cancelling']);
  await village.process('elsewhere', { work: { agents: ['another'] } });
  assert.equal((await codes())[0], 'no_worker');
  await village.process('worker');
  assert.ok(!(await codes()).includes('no_worker'));
  await village.system.advance(60_000);
  assert.deepEqual(await codes(), ['ended']);
});

test('a reader that goes on at another gateway gets each entry once, and the text so far first', async () => {
  const gate = held();
  const village = new Village([
    { text: 'one', calls: [] },
    { text: 'another answer', hold: gate.promise },
  ]);
  const [a, b] = [
    await village.process('a', { work: false }),
    await village.process('b', { work: false }),
    await village.process('worker'),
  ];
  const { session } = await a.open('go');
  await village.system.advance(1_000);
  const first = a.follow(session);
  await b.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  await village.system.advance(1_000);
  first.stop();
  const reached = seqs(first.seen).at(-1) ?? 0;
  const second = b.follow(session, { after: reached });
  await village.system.advance(1_000);
  gate.open();
  await village.system.settle();
  const { head } = await a.call('sessions.get', { session });
  assert.ok(reached > 0 && reached < head);
  assert.deepEqual([...seqs(first.seen), ...seqs(second.seen)], upTo(head));
  // Live text is lossy: what is said last may come with its entry alone.
  assert.match(texts(second.seen), /^another (answer)?$/);
});

test('whoever waits at a gateway is answered when a worker comes to the end: a run, a page of entries, the feed', async () => {
  const gate = held();
  const village = new Village([{ text: 'done', hold: gate.promise }]);
  const gateway = await village.process('gateway', { work: false });
  await village.process('worker');
  const feed: { session: string; status: string }[] = [];
  const over = new AbortController();
  void (async () => {
    for await (const event of gateway.host.feed(gateway.caller(), { after: null, signal: over.signal }))
      if (event.type === 'change') feed.push({ session: event.change.session, status: event.change.status });
  })();
  const waiting = gateway.call('runs.create', { input: 'go', wait: true });
  await village.system.advance(1_000);
  const [row] = (await gateway.call('sessions.list', { limit: 1 })).sessions;
  assert.ok(row !== undefined);
  const page = gateway.call('events.list', { session: row.id, after: row.head, limit: 100, waitMs: 60_000 });
  await village.system.settle();
  gate.open();
  await village.system.settle();
  assert.equal((await waiting).run.text, 'done');
  assert.equal((await page).events.at(-1)?.kind, 'run.ended');
  assert.deepEqual(feed.at(-1), { session: row.id, status: 'idle' });
  over.abort();
});

test('what one gateway has shown is there when another one is asked, though nobody told it yet', async () => {
  const village = new Village([{ text: 'one' }, { text: 'two' }]);
  const [a, b] = [await village.process('a', { work: false }), await village.process('b', { work: false })];
  await village.process('worker');
  const { session, run } = await a.open('go');
  await village.system.advance(1_000);
  assert.equal((await b.call('runs.get', { session, run })).status, 'completed');
  // The notification is on its way.
  b.host.parts.sessions.heard = () => {};
  const more = await a.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  assert.ok((await b.call('sessions.get', { session })).head >= more.seq);
});

test('what a process has just written it shows without asking the store', async () => {
  const gate = held();
  const village = new Village([{ text: 'done', hold: gate.promise }]);
  const one = await village.process('one');
  const { log } = one.host.parts.store;
  const get = log.get.bind(log);
  let asked = 0;
  log.get = async (session) => {
    asked += 1;
    return get(session);
  };
  const waiting = one.call('runs.create', { input: 'go', wait: true });
  await village.system.advance(100);
  asked = 0;
  gate.open();
  await village.system.settle();
  assert.equal((await waiting).run.text, 'done');
  assert.equal(asked, 0);
});

test('the processes that share the data are listed with what they work on and how much they hold', async () => {
  const gate = held();
  const village = new Village([{ text: 'done', hold: gate.promise }]);
  const gateway = await village.process('gateway', { work: false });
  await village.process('one', { work: { agents: ['assistant'] } });
  await village.process('two', { work: { agents: ['somebody-else'] } });
  await gateway.open('go');
  await village.system.advance(1_000);
  const { shared, nodes } = await gateway.call('nodes.list', { limit: 100 });
  assert.equal(shared, true);
  assert.deepEqual(
    nodes
      .map(({ role, address, agents, sessions }) => ({ role, address, agents, sessions }))
      .toSorted((a, b) => ((a.address ?? '') < (b.address ?? '') ? -1 : 1)),
    [
      { role: 'gateway', address: 'http://gateway', agents: undefined, sessions: 0 },
      { role: 'worker', address: 'http://one', agents: ['assistant'], sessions: 1 },
      { role: 'worker', address: 'http://two', agents: ['somebody-else'], sessions: 0 },
    ],
  );
  gate.open();
  await village.system.settle();
  const alone = await World.create();
  assert.deepEqual(await alone.call('nodes.list', { limit: 100 }), { shared: false, nodes: [] });
});
