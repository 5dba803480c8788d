import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client, Entry, RunView, SessionEvent, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Following } from './follow.ts';
import { follow } from './follow.ts';
import type { Renderer } from './render.ts';

const entry = (seq: number, kind: string, data: object): SessionEvent => ({
  type: 'entry',
  entry: { seq, kind, run: 'r1', data } as unknown as Entry,
});
const ended = (status: string): SessionEvent => entry(9, 'run.ended', { status });
const live: SessionEvent = { type: 'caught-up', head: 1 };
const opened = entry(3, 'wait.opened', { wait: 'w1', kind: 'approval' });
const wait = { id: 'w1', session: 's', run: 'r1', kind: 'approval', openedAt: 0 } as WaitView;

type World = {
  events: (SessionEvent | Error | 'hang')[];
  run?: Partial<RunView>;
  /** Of another run. */
  ahead?: Partial<RunView>;
  waits?: WaitView[];
};

function start(
  world: World,
  more: Partial<Following> = {},
): { exit: Promise<number>; calls: string[]; shown: string[] } {
  const calls: string[] = [];
  const shown: string[] = [];
  const client = {
    call: async (method: string, { run }: { run?: string }) => {
      calls.push(method);
      return method === 'waits.list'
        ? { waits: world.waits ?? [] }
        : { status: 'running', ...(run === 'r0' ? world.ahead : world.run) };
    },
    async *events(_session: string, { signal }: { signal: AbortSignal }) {
      for (const event of world.events) {
        if (event instanceof Error) throw event;
        if (event !== 'hang') yield event;
        else if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
        if (signal.aborted) return;
      }
    },
  } as unknown as Client;
  const renderer: Renderer = {
    entry: ({ kind }) => void shown.push(kind),
    delta: () => void shown.push('delta'),
    rest: () => undefined,
  };
  const bounds = { timeoutMs: null, maxEvents: Infinity };
  const following = {
    client,
    session: 's',
    run: 'r1',
    after: 0,
    bounds,
    renderer,
    ask: null,
    stopped: new Promise<never>(() => undefined),
  };
  return { exit: follow({ ...following, ...more }), calls, shown };
}

test('how the run ended is the exit code', async () => {
  const codes = { completed: 0, failed: 1, limited: 1, cancelled: 6 };
  for (const [status, code] of Object.entries(codes))
    assert.equal(await start({ events: [live, ended(status)] }).exit, code);
});

test('a message that is queued behind a run that waits for somebody ends with who is needed, and is not watched for ever', async () => {
  const ahead = { ...wait, run: 'r0' };
  const queued = start({
    events: [entry(2, 'run.queued', {}), live, 'hang'],
    waits: [ahead],
    run: { status: 'queued' },
    ahead: { status: 'waiting' },
  });
  assert.equal(await Promise.race([queued.exit, new Promise((resolve) => setTimeout(resolve, 1_000, 'hangs'))]), 7);
  const asked: string[] = [];
  const ask = async ({ id, run }: WaitView): Promise<boolean> => asked.push(`${run}.${id}`) > 0;
  const events = [entry(2, 'run.queued', {}), live, entry(4, 'run.started', {}), ended('completed')];
  assert.equal(await start({ events, waits: [ahead], run: { status: 'queued' } }, { ask }).exit, 0);
  assert.deepEqual(asked, ['r0.w1']);
});

test('entries and deltas of other runs are not shown and end nothing', async () => {
  const other = {
    type: 'entry',
    entry: { kind: 'run.ended', run: 'r0', data: { status: 'failed' } },
  } as unknown as SessionEvent;
  const { exit, shown } = start({ events: [other, live, ended('completed')] });
  assert.deepEqual([await exit, shown], [0, ['run.ended']]);
});

test('a stream that is lost for good is 4, and so is one that ends before the run', async () => {
  assert.equal(await start({ events: [live, new ApiError('unavailable', 'gone')] }).exit, 4);
  assert.equal(await start({ events: [live, { type: 'end', reason: 'closed' }] }).exit, 4);
  assert.equal(
    await start({ events: [live, { type: 'end', reason: 'closed' }], run: { status: 'cancelled' } }).exit,
    6,
  );
});

test('the time or the number of events is up: 2, and the run is left alone', async () => {
  const timed = start({ events: [live, 'hang'] }, { bounds: { timeoutMs: 1, maxEvents: Infinity } });
  assert.deepEqual([await timed.exit, timed.calls], [2, []]);
  const counted = start(
    { events: [entry(1, 'run.queued', {}), live, ended('completed')] },
    { bounds: { timeoutMs: null, maxEvents: 1 } },
  );
  assert.deepEqual([await counted.exit, counted.shown], [2, ['run.queued']]);
});

test('nobody to ask: 7 once the run does nothing else, not while a sibling call is under way', async () => {
  assert.equal(await start({ events: [opened, live], run: { status: 'waiting' }, waits: [wait] }).exit, 7);
  const busy = start({ events: [opened, live, ended('completed')], run: { status: 'running' }, waits: [wait] });
  assert.equal(await busy.exit, 0);
});

test('a wait that was answered before it was seen live is not asked about', async () => {
  const resolved = entry(4, 'wait.resolved', { wait: 'w1', how: 'answered' });
  const { exit, calls } = start({ events: [opened, resolved, live, ended('completed')], waits: [wait] });
  assert.deepEqual([await exit, calls], [0, []]);
});

test('each wait is put to the person once; a person who goes away leaves it open: 7', async () => {
  const asked: string[] = [];
  const ask = async ({ id }: WaitView) => asked.push(id) > 0;
  assert.equal(
    await start({ events: [opened, live, entry(5, 'x', {}), ended('completed')], waits: [wait] }, { ask }).exit,
    0,
  );
  assert.deepEqual(asked, ['w1']);
  assert.equal(await start({ events: [opened, live, 'hang'], waits: [wait] }, { ask: async () => false }).exit, 7);
});

test('an interrupt cancels the run and waits for its end; another signal leaves it running', async () => {
  const interrupted = start({ events: [live, ended('cancelled')] }, { stopped: Promise.resolve('SIGINT') });
  assert.equal(await interrupted.exit, 6);
  assert.deepEqual(interrupted.calls, ['runs.cancel']);
  const hung = start({ events: [live, 'hang'] }, { stopped: Promise.resolve('SIGTERM') });
  assert.deepEqual([await hung.exit, hung.calls], [2, []]);
});
