/** What must hold when everything is over, whatever was killed on the way. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Entry } from '@perdure/contract';
import { encodeState, fold, freshState } from '@perdure/engine';
import { canonicalJson, decodeFrame } from '@perdure/runtime';
import { Invariants } from '@perdure/testkit';
import type { Played } from './play.ts';
import type { Dispatch } from './outside.ts';
import type { Accepted, SessionRecord } from './record.ts';
import { finalText, planned } from './tasks.ts';
import type { PlannedCall } from './tasks.ts';
import type { World } from './world.ts';

/**
 * Everything has ended and a server is up: it, the outside and, when it has stopped, the data agree on what happened, and
 * it was right. Throws where that is not so.
 */
export async function judge(world: World, played: Played): Promise<Judged> {
  assert.deepEqual(world.violations, []);
  await judgeSessions(world, played);
  const outside = judgeOutside(world, played);
  for (const exit of await world.shutDown()) assert.deepEqual(exit, { code: 0, signal: null });
  const data = await judgeData(world, played);
  assert.deepEqual(world.violations, []);
  const receipts = played.records.reduce((sum, one) => sum + one.accepted.length + one.resolved.length, 0);
  return { receipts, ...outside, ...data };
}

export type Judged = {
  /** Messages and answers whose receipt was found at its seq. */
  receipts: number;
  /** Calls that the outside saw. */
  keyed: number;
  unsafe: number;
  /** Dispatches beyond the first of a call: of keyed and pure ones. */
  repeated: number;
  entries: number;
  frames: number;
};

/** With the last server up: the sessions as it shows them are what everybody was shown, and right. */
async function judgeSessions(world: World, { records, feed }: Played): Promise<void> {
  for (const record of records) {
    const session = record.id ?? '';
    await judgeEntries(world, record);
    for (const accepted of record.accepted) await judgeRun(world, record, accepted);
    judgeReceipts(record);
    const view = await world.client.call('sessions.get', { session });
    assert.equal(view.status, 'idle');
    assert.equal(view.head, record.head);
    const stands = { head: view.head, status: 'idle' };
    await world.until(() => isDeepStrictEqual(feed.get(session), stands));
    assert.deepEqual(feed.get(session), stands, 'the feed shows where it stands');
  }
}

async function judgeEntries(world: World, record: SessionRecord): Promise<void> {
  const session = record.id ?? '';
  const texts: string[] = [];
  for (let after = 0; ;) {
    const { events, next, head } = await world.client.call('events.list', { session, after, limit: 1_000 });
    texts.push(...events.map((entry) => canonicalJson(entry)));
    if (next === after || next >= head) break;
    after = next;
  }
  assert.deepEqual(texts.slice(0, record.head), record.texts, 'the log holds what was shown');
  // When everybody has gone, an outcome that came too late may still be written down: as evidence.
  for (const text of texts.slice(record.head)) {
    const entry = JSON.parse(text) as Entry;
    assert.equal(entry.kind, 'effect.late', `entry ${entry.seq} of ${session} was shown`);
    assert.equal(record.show(entry.seq, text), null);
  }
}

/** P1: what a receipt named is there, at that seq. */
function judgeReceipts({ accepted, resolved, overtaken, entries }: SessionRecord): void {
  for (const { submission, run, seq } of accepted) {
    const entry = entries[seq - 1];
    assert.ok(entry?.kind === 'run.queued', `seq ${seq} is where ${submission} was accepted`);
    assert.equal(entry.run, run);
    assert.equal(entry.data.submission, submission);
  }
  for (const { wait, seq } of resolved) {
    const entry = entries[seq - 1];
    assert.ok(entry?.kind === 'wait.resolved', `seq ${seq} is where the answer to ${wait} was accepted`);
    assert.equal(entry.data.wait, wait);
    assert.equal(entry.data.how, 'answered');
  }
  for (const wait of overtaken) {
    const at = entries.findIndex((entry) => entry.kind === 'wait.resolved' && entry.data.wait === wait);
    const [closed, settled] = entries.slice(at, at + 2);
    assert.ok(closed?.kind === 'wait.resolved' && closed.data.how === 'cancelled', `${wait} closed by itself`);
    assert.equal(settled?.kind, 'call.settled', `the outcome that closed ${wait} is in the log`);
  }
}

async function judgeRun(world: World, record: SessionRecord, { task, run }: Accepted): Promise<void> {
  const view = await world.client.call('runs.get', { session: record.id ?? '', run });
  const isCancelled = record.entries.some((entry) => entry.kind === 'run.cancelling' && entry.run === run);
  if (record.cancelled.has(run)) assert.ok(isCancelled || view.status === 'cancelled', 'an accepted cancel is kept');
  if (isCancelled || view.status === 'cancelled') {
    assert.equal(view.status, 'cancelled');
    judgeSilence(world, record, run);
    return;
  }
  assert.equal(view.status, 'completed', `${task.name}: ${JSON.stringify(view)}`);
  assert.equal(view.text, finalText(task));
}

/**
 * P10: from an accepted cancel on nothing is asked of the outside for this run. What a model still asked for is answered
 * as it is written down: it never has leave to go.
 */
function judgeSilence(world: World, { id, entries, cancelled }: SessionRecord, run: string): void {
  const own = entries.filter((entry) => entry.run === run);
  const after = own.slice(own.findIndex(({ kind }) => kind === 'run.cancelling'));
  const dispatching = after.filter(
    ({ kind, data }) =>
      kind === 'turn.requested' ||
      kind.endsWith('.attempted') ||
      (kind === 'call.requested' && data.decision !== 'invalid'),
  );
  assert.deepEqual(dispatching, [], 'nothing is named after the cancel');
  const life = cancelled.get(run) ?? Infinity;
  const later = world.outside.dispatches.filter((one) => one.session === id && one.run === run && one.life > life);
  assert.deepEqual(later, [], 'no later process sends anything for a cancelled run');
}

/** What the outside saw: one key a keyed call, one dispatch an unsafe one, and nothing that no entry names. */
function judgeOutside(world: World, { records }: Played): Pick<Judged, 'keyed' | 'unsafe' | 'repeated'> {
  const figures = { keyed: 0, unsafe: 0, repeated: 0 };
  const calls = Map.groupBy(world.outside.dispatches, ({ session, call }) => `${session} ${call}`);
  const keys = new Set<string>();
  for (const [name, dispatches] of calls) {
    const { session, call, tool, key, run } = dispatches[0] as Dispatch;
    const record = records.find(({ id }) => id === session);
    assert.ok(record !== undefined, `${name} belongs to a session that was accepted`);
    assert.ok(!keys.has(key), `the key of ${name} is its own`);
    keys.add(key);
    for (const dispatch of dispatches) {
      assert.equal(dispatch.key, key, `${name} has one key`);
      assert.deepEqual(dispatch.args, (dispatches[0] as Dispatch).args, `${name} has the same arguments each time`);
      assert.ok(isNamed(record.entries, dispatch), `${name} attempt ${dispatch.attempt} is named in the log`);
    }
    const unsafe = tool === 'ship' || tool === 'mail' || tool === 'refund';
    if (unsafe) assert.equal(dispatches.length, 1, `${name} (${tool}) happens once:\n${JSON.stringify(dispatches)}`);
    figures.unsafe += unsafe ? 1 : 0;
    figures.keyed += tool === 'charge' ? 1 : 0;
    figures.repeated += dispatches.length - 1;
    assert.deepEqual(dispatches[0]?.args, ordered(record, run, dispatches[0] as Dispatch), 'it is what was asked for');
    assert.ok(record.entries.some(({ kind, effect }) => kind === 'call.settled' && effect === call));
  }
  for (const record of records) for (const accepted of record.accepted) judgeDone(world, record, accepted);
  return figures;
}

function ordered({ accepted }: SessionRecord, run: string, { args }: Dispatch): object | undefined {
  const task = accepted.find((one) => one.run === run)?.task;
  return task === undefined ? undefined : planned(task).find(({ order }) => order === args.order)?.args;
}

/** P5: attempt 1 of what may run again is named by its request, any other by an entry of its own. */
function isNamed(entries: readonly Entry[], { call, attempt, tool }: Dispatch): boolean {
  const safe = tool === 'lookup' || tool === 'charge' || tool === 'report';
  return entries.some(
    (entry) =>
      entry.effect === call &&
      ((entry.kind === 'call.requested' && attempt === 1 && safe) ||
        (entry.kind === 'call.attempted' && entry.data.n === attempt)),
  );
}

/** Each order of a run that was not cancelled happened outside, exactly once where that is promised. */
function judgeDone(world: World, { id, ended }: SessionRecord, { task, run }: Accepted): void {
  if (ended.get(run)?.data.status !== 'completed') return;
  for (const call of planned(task)) {
    const seen = world.outside.dispatches.filter((one) => one.session === id && one.args.order === call.order);
    assert.equal(new Set(seen.map(({ key }) => key)).size, expectedKeys(call), `${call.order} (${call.tool})`);
  }
}

const expectedKeys = ({ tool }: PlannedCall): number => (tool === 'ask' || tool === 'sleep' ? 0 : 1);

/** With the last server gone: the data is whole, and every log folds from its first entry to where it stands. */
async function judgeData(world: World, { records }: Played): Promise<Pick<Judged, 'entries' | 'frames'>> {
  const figures = { entries: 0, frames: 0 };
  const store = await world.openData();
  try {
    assert.deepEqual(store.damage, []);
    const { log } = store.tenant('default');
    assert.deepEqual(await log.verify(), []);
    for (const { id, head } of records) {
      const row = await log.get(id ?? '');
      const frames = await log.read(id ?? '', { after: 0, limit: 100_000 });
      const invariants = new Invariants();
      const entries = frames.map((frame) => decodeFrame(frame));
      const state = fold(entries.flat(), freshState());
      for (const one of entries) invariants.observe(one, null);
      const late = entries.flat().slice(head);
      assert.ok(
        late.every(({ kind }) => kind === 'effect.late'),
        'nothing but evidence came later',
      );
      assert.equal(state.head, head + late.length);
      assert.equal(row?.head.seq, state.head);
      assert.equal(row.head.hash, frames.at(-1)?.hash);
      const again = frames.flatMap((frame) => decodeFrame(frame));
      assert.equal(encodeState(fold(again, freshState())), encodeState(state));
      figures.entries += head;
      figures.frames += frames.length;
    }
  } finally {
    await store.close();
  }
  return figures;
}

/** What happened on the way, counted: a loop that never left a call in doubt has proved little. */
export function tally({ records }: Played): { [what: string]: number } {
  const counts: { [what: string]: number } = {};
  const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
  for (const { kind, data } of records.flatMap(({ entries }) => entries)) {
    if (kind === 'run.ended') count(`run ${data.status}`);
    if (kind === 'call.unknown') count('call in doubt');
    if (kind === 'wait.opened') count(`wait ${data.kind}`);
    if ((kind === 'turn.attempted' || kind === 'call.attempted') && data.reason === 'lost') count(`${kind} again`);
    if (kind === 'call.settled' && data.code === 'verified_failed') count('verified: not happened');
    if (kind === 'effect.late') count('late outcome');
  }
  return counts;
}
