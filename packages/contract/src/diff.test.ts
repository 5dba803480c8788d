import type { EventData, EventKind, Usage } from '@perdure/engine';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionDiffSchema } from './diff-view.ts';
import type { SessionDiff } from './diff-view.ts';
import { diffSessions } from './diff.ts';
import { LIMITS } from './limits.ts';
import type { Entry } from './stream.ts';

const usage = (input: number, output: number): Usage => ({
  input,
  cachedInput: 0,
  cacheWrite: 0,
  output,
  reasoning: 0,
  source: 'provider',
});
const cost = (nanoUsd: number) => ({ nanoUsd, price: 'p1' });
const price = { id: 'p1', input: 1000, cachedInput: 100, cacheWrite: 1000, output: 2000 };
const pin = {
  agent: 'a',
  hash: 'h',
  manifest: 'm',
  manifestBytes: 0,
  model: 'demo/x',
  maxOutputTokens: 100,
  price,
  limits: { turns: 50, calls: 200, deadlineMs: 1000 },
};
const body = (content: unknown) => ({ digest: JSON.stringify(content), bytes: 1, body: content });

type Line = { [K in EventKind]: [kind: K, data: EventData[K], where?: string] }[EventKind];
const opened: Line = ['session.opened', { id: 's1', tenant: 't', agent: 'a' }];
const queued = (run: string, text: string): Line => [
  'run.queued',
  { submission: run, payload: 'p', mode: 'queue', priority: 0, message: body({ parts: [{ type: 'text', text }] }) },
  run,
];
const started = (run: string): Line => ['run.started', { hash: 'h', pin }, run];
const asked = (turn: string): Line => [
  'turn.requested',
  { epoch: 1, fingerprint: 'f', reserve: { tokens: 200, nanoUsd: 300 }, maxOutputTokens: 100 },
  turn,
];
const said = (turn: string, text: string, calls: { name: string; arguments: string }[] = []): Line => [
  'turn.settled',
  {
    outcome: 'done',
    attempt: 1,
    stop: calls.length > 0 ? 'calls' : 'end',
    body: body({ text, calls: calls.map((call, n) => ({ id: `x${n}`, ...call })) }),
    calls: calls.length,
    usage: usage(100, 10),
    cost: cost(120),
  },
  turn,
];
const called = (call: string, name: string): Line => [
  'call.requested',
  { name, providerId: 'x', digest: 'd', index: 0, class: 'pure', timeoutMs: 1, rule: 'r', decision: 'allow', epoch: 1 },
  call,
];
const returned = (call: string, content: unknown, more: Partial<EventData['call.settled']> = {}): Line => [
  'call.settled',
  { attempt: 1, outcome: 'done', result: body({ content }), ...more },
  call,
];
const ended = (run: string, end: object = { status: 'completed' }): Line => [
  'run.ended',
  { ...end, usage: usage(100, 10), cost: cost(120) } as EventData['run.ended'],
  run,
];
const forked = (seq: number): Line => ['session.forked', { id: 's2', tenant: 't', from: 's1', seq, payload: 'p' }];

/** Entries of a log whose first `shared` ones are those of every such log. */
async function* log(name: string, shared: number, lines: readonly Line[]): AsyncGenerator<Entry> {
  for (const [index, [kind, data, where]] of lines.entries()) {
    const run = where === undefined ? {} : { run: where.replace(/t.*$/, '') };
    const effect = where?.includes('t') === true ? { effect: where } : {};
    const seq = index + 1;
    const hash = seq <= shared ? `shared ${seq}` : `${name} ${seq}`;
    yield {
      seq,
      at: 1000 + 10 * index,
      v: 1,
      kind,
      data,
      by: { kind: 'user', id: 'u' },
      hash,
      ...run,
      ...effect,
    } as Entry;
  }
}

async function diff(prefix: Line[], a: Line[], b: Line[]): Promise<SessionDiff> {
  const shared = prefix.length;
  const told = await diffSessions(log('a', shared, [...prefix, ...a]), log('b', shared, [...prefix, ...b]));
  return sessionDiffSchema.parse(told);
}
const shape = ({ rows }: SessionDiff): string[] =>
  rows.map(({ kind, same, a, b }) => `${kind} ${a?.id ?? '-'} ${same ? '=' : '≠'} ${b?.id ?? '-'}`);

const round = (run: string, question: string, answer: string): Line[] => [
  queued(run, question),
  started(run),
  asked(`${run}t1`),
  said(`${run}t1`, answer),
  ended(run),
];

test('a session and itself differ in nothing', async () => {
  const lines = [opened, ...round('r1', 'one', 'ok')];
  const { common, rows, a, b } = await diff(lines, [], []);
  assert.deepEqual([common, rows, a.usage.input, b.cost.nanoUsd], [6, [], 0, 0]);
});

test('what two forks did since they went apart stands side by side, and what it took', async () => {
  const prefix = [opened, ...round('r1', 'one', 'ok')];
  const told = await diff(
    prefix,
    [forked(6), ...round('r2', 'two', 'this')],
    [forked(6), ...round('r2', 'two', 'that'), ...round('r3', 'three', 'more')],
  );
  assert.equal(told.common, 6);
  assert.deepEqual(shape(told), [
    'message r2 = r2',
    'turn r2t1 ≠ r2t1',
    'end r2 = r2',
    'message - ≠ r3',
    'turn - ≠ r3t1',
    'end - ≠ r3',
  ]);
  const turn = told.rows[1];
  assert.deepEqual([turn?.a?.text, turn?.b?.text, turn?.a?.name, turn?.a?.ms], ['this', 'that', 'demo/x', 10]);
  assert.deepEqual(
    [told.a, told.b].map(({ session, runs, turns, usage: { input }, cost: { nanoUsd }, ms }) => [
      session,
      runs,
      turns,
      input,
      nanoUsd,
      ms,
    ]),
    [
      ['s2', 1, 1, 100, 120, 30],
      ['s2', 2, 2, 200, 240, 60],
    ],
  );
});

test('calls are set against calls of the same turn: other arguments, another result, another outcome', async () => {
  const turn = (args: string) =>
    said('r1t1', 'calling', [
      { name: 'add', arguments: args },
      { name: 'pay', arguments: '{}' },
    ]);
  const calls = [called('r1t1c0', 'add'), called('r1t1c1', 'pay')];
  const told = await diff(
    [opened, queued('r1', 'one'), started('r1'), asked('r1t1')],
    [turn('{"a":1}'), ...calls, returned('r1t1c0', 3), returned('r1t1c1', 'paid')],
    [
      turn('{"a":2}'),
      ...calls,
      returned('r1t1c0', 3),
      returned('r1t1c1', 'paid', { outcome: 'failed', code: 'timeout' }),
    ],
  );
  assert.deepEqual(shape(told), ['turn r1t1 = r1t1', 'call r1t1c0 ≠ r1t1c0', 'call r1t1c1 ≠ r1t1c1']);
  assert.deepEqual(
    [told.rows[1]?.a?.arguments, told.rows[1]?.b?.arguments, told.rows[1]?.a?.result],
    [{ a: 1 }, { a: 2 }, 3],
  );
  assert.deepEqual([told.rows[2]?.b?.status, told.rows[2]?.b?.code], ['failed', 'timeout']);
});

test('a call that was open in the common prefix is compared by what it was asked with there', async () => {
  const prefix = [
    opened,
    queued('r1', 'one'),
    started('r1'),
    asked('r1t1'),
    said('r1t1', '', [{ name: 'add', arguments: '{"a":1}' }]),
    called('r1t1c0', 'add'),
  ];
  const told = await diff(prefix, [returned('r1t1c0', 3)], [returned('r1t1c0', 4)]);
  assert.deepEqual(shape(told), ['call r1t1c0 ≠ r1t1c0']);
  assert.deepEqual(told.rows[0]?.a?.arguments, { a: 1 });
});

test('a run that the fork ended is set against nothing: what went on is set against what came instead', async () => {
  const prefix = [opened, queued('r1', 'one'), started('r1'), asked('r1t1')];
  const told = await diff(
    prefix,
    [said('r1t1', 'this'), ended('r1')],
    [
      forked(4),
      ['run.cancelling', { reason: 'fork' }, 'r1'],
      ['turn.settled', { outcome: 'cancelled', attempt: 1, usage: usage(0, 0), cost: cost(0) }, 'r1t1'],
      ended('r1', { status: 'cancelled', reason: 'fork' }),
      ...round('r2', 'one', 'this'),
    ],
  );
  assert.deepEqual(told.b.forked, ['r1']);
  assert.deepEqual(shape(told), ['message - ≠ r2', 'turn r1t1 = r2t1', 'end r1 = r2']);
  assert.deepEqual([told.b.runs, told.b.turns], [1, 1]);
});

test('another configuration is told before what it led to', async () => {
  const told = await diff(
    [opened],
    [...round('r1', 'one', 'ok')],
    [
      ['session.configured', { revision: 2, config: { model: 'b', instructions: body('Be brief.') } }],
      ...round('r1', 'one', 'ok'),
    ],
  );
  assert.deepEqual(shape(told)[0], 'config - ≠ revision 2');
  assert.deepEqual(told.rows[0]?.b?.arguments, { model: 'b', instructions: 'Be brief.' });
});

test('sessions with nothing in common are compared from their beginning', async () => {
  const told = await diffSessions(
    log('a', 0, [opened, ...round('r1', 'one', 'this')]),
    log('b', 0, [opened, ...round('r1', 'one', 'that')]),
  );
  assert.equal(told.common, 0);
  assert.deepEqual(shape(told), ['message r1 = r1', 'turn r1t1 ≠ r1t1', 'end r1 = r1']);
});

test('a body that is not at hand is compared by its digest', async () => {
  const large = (digest: string): Line => [
    'turn.settled',
    {
      outcome: 'done',
      attempt: 1,
      stop: 'end',
      body: { digest, bytes: 1e6 },
      calls: 0,
      usage: usage(1, 1),
      cost: cost(1),
    },
    'r1t1',
  ];
  const prefix = [opened, queued('r1', 'one'), started('r1'), asked('r1t1')];
  assert.equal((await diff(prefix, [large('x')], [large('y')])).rows[0]?.same, false);
  assert.equal((await diff(prefix, [large('x')], [large('x')])).rows[0]?.same, true);
});

test('a diff is bounded: long texts are cut and compared whole, and rows beyond the bound are said to be there', async () => {
  const long = 'x'.repeat(LIMITS.diffTextChars + 10);
  const told = await diff([opened], round('r1', 'one', `${long}a`), round('r1', 'one', `${long}b`));
  assert.deepEqual([told.rows[1]?.same, told.rows[1]?.a?.text?.length], [false, LIMITS.diffTextChars + 1]);
  const many = Array.from({ length: LIMITS.diffRows }, (_, n) => round(`r${n + 1}`, 'one', 'ok')).flat();
  const { rows, more, a } = await diff([opened], many, []);
  assert.deepEqual([rows.length, more, a.runs], [LIMITS.diffRows, true, LIMITS.diffRows]);
});
