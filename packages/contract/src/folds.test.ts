import type { EventData, EventKind, Usage } from '@perdure/engine';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainRun } from './explain.ts';
import { explanationSchema, messageSchema, spanSchema } from './folded.ts';
import { applyProgress, emptyProgress } from './progress.ts';
import type { Entry } from './stream.ts';
import { applyTrace, emptyTrace, viewTrace } from './trace.ts';
import { applyTranscript, emptyTranscript, viewTranscript } from './transcript.ts';

const usage = (input: number, output: number): Usage => ({
  input,
  cachedInput: 0,
  cacheWrite: 0,
  output,
  reasoning: 0,
  source: 'provider',
});
const price = { id: 'p1', input: 1000, cachedInput: 100, cacheWrite: 1000, output: 2000 };
const cost = (nanoUsd: number) => ({ nanoUsd, price: 'p1' });
const limits = { turns: 50, calls: 200, deadlineMs: 1000 };
const pin = {
  agent: 'a',
  hash: 'h',
  manifest: 'm',
  manifestBytes: 0,
  model: 'demo/x',
  maxOutputTokens: 100,
  price,
  limits,
};
const bodies: { [digest: string]: unknown } = {
  hello: { parts: [{ type: 'text', text: 'What is 2 + 3?' }] },
  more: 'and 4',
  asks: {
    text: 'I add.',
    reasoning: 'sum',
    calls: [
      { id: 'x1', name: 'add', arguments: '{"a":2}' },
      { id: 'x2', name: 'pay', arguments: 'not json' },
    ],
  },
  answer: { text: '5', calls: [] },
  five: { content: '5', details: { sum: 5 } },
};
const ref = (digest: string) => ({ digest, bytes: 1 });

type Line = { [K in EventKind]: [kind: K, data: EventData[K], where?: string] }[EventKind];
/** A log out of `[kind, data, run or effect]`; one ms and one seq per line. */
function log(...lines: Line[]): Entry[] {
  return lines.map(([kind, data, where], index) => {
    const run = where === undefined ? {} : { run: where.replace(/t.*$/, '') };
    const effect = where?.includes('t') ? { effect: where } : {};
    const by = { kind: 'user', id: 'u' } as const;
    return { seq: index + 1, at: 1000 + index, v: 1, kind, data, by, hash: 'ff', ...run, ...effect } as Entry;
  });
}

const queued = (message: string, more: Partial<EventData['run.queued']> = {}): EventData['run.queued'] => ({
  submission: 's',
  payload: 'p',
  mode: 'queue',
  priority: 0,
  message: ref(message),
  ...more,
});
const requested = { epoch: 1, fingerprint: 'f', reserve: { tokens: 150, nanoUsd: 777 }, maxOutputTokens: 100 };
const call = (name: string, more: Partial<EventData['call.requested']> = {}): EventData['call.requested'] => ({
  name,
  providerId: 'x',
  digest: 'd',
  index: 0,
  class: 'pure',
  timeoutMs: 1,
  rule: 'mode ask',
  decision: 'allow',
  epoch: 1,
  ...more,
});
const opened: Line = ['session.opened', { id: 'ses_1', tenant: 'default', agent: 'assistant' }];
const settled = (body: string, calls: number): EventData['turn.settled'] => ({
  attempt: 1,
  outcome: 'done',
  stop: calls > 0 ? 'calls' : 'end',
  body: ref(body),
  calls,
  usage: usage(10, 5),
  cost: cost(20),
});

const toolRun: Line[] = [
  opened,
  ['run.queued', queued('hello'), 'r1'],
  ['run.started', { hash: 'h', pin }, 'r1'],
  ['turn.requested', requested, 'r1t1'],
  ['turn.settled', settled('asks', 2), 'r1t1'],
  ['call.requested', call('add'), 'r1t1c0'],
  ['call.requested', call('pay', { index: 1, class: 'unsafe', decision: 'ask', rule: 'rule 3' }), 'r1t1c1'],
  ['wait.opened', { wait: 'w1', kind: 'approval', call: 'r1t1c1', digest: 'd', expiresAt: 9000 }, 'r1t1c1'],
];
const restOfToolRun: Line[] = [
  ['call.settled', { attempt: 1, outcome: 'done', result: ref('five') }, 'r1t1c0'],
  [
    'wait.resolved',
    { wait: 'w1', how: 'answered', answer: { kind: 'approval', decision: 'approve', digest: 'd' } },
    'r1',
  ],
  ['call.attempted', { n: 1, reason: 'gate', epoch: 1 }, 'r1t1c1'],
  ['call.settled', { attempt: 1, outcome: 'failed', code: 'timeout' }, 'r1t1c1'],
  ['turn.requested', requested, 'r1t2'],
  ['turn.settled', settled('answer', 0), 'r1t2'],
  ['run.ended', { status: 'completed', usage: usage(20, 10), cost: cost(40) }, 'r1'],
];

const transcript = (...lines: Line[]) => {
  const state = log(...lines).reduce(
    applyTranscript,
    emptyTranscript((digest) => bodies[digest]),
  );
  const messages = viewTranscript(state);
  for (const message of messages) messageSchema.parse(message);
  return messages;
};
const trace = (...lines: Line[]) => {
  const state = log(...lines).reduce(applyTrace, emptyTrace());
  for (const span of viewTrace(state)) spanSchema.parse(span);
  return state;
};
const explain = (run: string, now: number, ...lines: Line[]) => {
  const explanation = explainRun(log(...lines).reduce(applyProgress, emptyProgress()), run, now);
  assert.ok(explanation !== null);
  return explanationSchema.parse(explanation);
};
const codes = (run: string, now: number, ...lines: Line[]) =>
  explain(run, now, ...lines).causes.map(({ code }) => code);

test('a transcript shows what was said, and each tool step with its arguments, outcome and result', () => {
  const [user, first, second] = transcript(...toolRun, ...restOfToolRun);
  assert.deepEqual([user?.role, user?.text, user?.status, user?.run], ['user', 'What is 2 + 3?', 'read', 'r1']);
  assert.deepEqual([first?.role, first?.text, first?.reasoning], ['assistant', 'I add.', 'sum']);
  assert.deepEqual(first?.steps, [
    { call: 'r1t1c0', name: 'add', status: 'done', arguments: { a: 2 }, result: '5', details: { sum: 5 } },
    { call: 'r1t1c1', name: 'pay', status: 'failed', code: 'timeout', arguments: 'not json' },
  ]);
  assert.deepEqual([second?.text, second?.status], ['5', 'complete']);
});

test('what a call has changed is shown by its step and explained by its run, also when a job did it behind their end', () => {
  const change = { workspace: 'site', before: 't0', after: 't1' };
  const lines: Line[] = [...toolRun, ...restOfToolRun, ['workspace.changed', change, 'r1t1c0']];
  assert.deepEqual(transcript(...lines)[1]?.steps?.[0]?.changed, [change]);
  assert.deepEqual(explain('r1', 2_000, ...lines).changed, [{ ...change, call: 'r1t1c0' }]);
  assert.equal(explain('r1', 2_000, ...toolRun).changed, undefined);
});

test('a step that waits names its wait, and its text is there before its result', () => {
  const steps = transcript(...toolRun)[1]?.steps ?? [];
  assert.deepEqual(
    steps.map(({ status, wait }) => [status, wait]),
    [
      ['running', undefined],
      ['waiting', 'w1'],
    ],
  );
});

test('a message stands where a model read it; until then it stands at the end, and an unread one is dropped', () => {
  const lines: Line[] = [
    opened,
    ['run.queued', queued('hello'), 'r1'],
    ['run.started', { hash: 'h', pin }, 'r1'],
    ['turn.requested', requested, 'r1t1'],
    ['run.queued', queued('more'), 'r2'],
    ['run.steered', { submission: 'x', payload: 'p', message: ref('more') }, 'r1'],
    ['turn.settled', settled('asks', 0), 'r1t1'],
  ];
  const shape = (...rest: Line[]) =>
    transcript(...lines, ...rest).map(({ run, role, status }) => `${run} ${role} ${status}`);
  assert.deepEqual(shape(), ['r1 user read', 'r1 assistant complete', 'r2 user queued', 'r1 user queued']);
  assert.deepEqual(shape(['turn.requested', requested, 'r1t2']).slice(2), ['r1 user read', 'r2 user queued']);
  const unqueued: Line = [
    'run.ended',
    { status: 'cancelled', reason: 'unqueued', usage: usage(0, 0), cost: cost(0) },
    'r2',
  ];
  assert.deepEqual(shape(unqueued).slice(2), ['r2 user dropped', 'r1 user queued']);
});

test('an edited approval shows what ran; an erased body shows nothing and breaks nothing; a body inline is used', () => {
  bodies['edit'] = { path: 'a', content: 'b' };
  const edited = { digest: 'e', ref: ref('edit') };
  const answer = { kind: 'approval', decision: 'approve', digest: 'd', edited } as const;
  const messages = transcript(...toolRun, ['wait.resolved', { wait: 'w1', how: 'answered', answer }, 'r1']);
  assert.deepEqual(messages[1]?.steps?.[1]?.arguments, { path: 'a', content: 'b' });
  const erased = transcript(opened, ['run.queued', queued('gone'), 'r1']);
  assert.deepEqual([erased[0]?.text, erased[0]?.parts], ['', []]);
  const message = { ...ref('gone'), body: 'inline' };
  assert.equal(transcript(opened, ['run.queued', queued('x', { message }), 'r1'])[0]?.text, 'inline');
});

test('a trace has a span for the session, each run, turn, call and wait, below each other, with times and attempts', () => {
  const state = trace(...toolRun, ...restOfToolRun);
  const rows = viewTrace(state).map((span) => [
    span.id,
    span.parent,
    span.status,
    span.attempts,
    span.endedAt === undefined,
  ]);
  assert.deepEqual(rows, [
    ['ses_1', null, 'open', undefined, true],
    ['r1', 'ses_1', 'completed', undefined, false],
    ['r1t1', 'r1', 'done', 1, false],
    ['r1t1c0', 'r1t1', 'done', 1, false],
    ['r1t1c1', 'r1t1', 'failed', 1, false],
    ['w1', 'r1t1c1', 'answered', undefined, false],
    ['r1t2', 'r1', 'done', 1, false],
  ]);
  assert.deepEqual(
    viewTrace(state, 'r1').map(({ id }) => id),
    rows.slice(1).map(([id]) => id),
  );
  const [, run, turn] = viewTrace(state);
  assert.deepEqual([run?.queuedAt, run?.startedAt, run?.endedAt, turn?.name], [1001, 1002, 1014, 'demo/x']);
});

test('what turns cost adds up to the session: failed attempts at their bill, lost ones at what was reserved', () => {
  const state = trace(
    opened,
    ['run.queued', queued('hello'), 'r1'],
    ['run.started', { hash: 'h', pin }, 'r1'],
    ['turn.requested', requested, 'r1t1'],
    ['turn.failed', { attempt: 1, code: 'overloaded', spent: { kind: 'usage', usage: usage(10, 0) } }, 'r1t1'],
    ['turn.attempted', { n: 2, reason: 'overloaded', epoch: 1 }, 'r1t1'],
    ['turn.attempted', { n: 3, reason: 'lost', epoch: 2, charged: { tokens: 150, nanoUsd: 777 } }, 'r1t1'],
    ['turn.settled', { ...settled('answer', 0), attempt: 3 }, 'r1t1'],
  );
  const [session, run, turn] = viewTrace(state);
  assert.deepEqual([turn?.attempts, turn?.cost], [3, cost(10 + 777 + 20)]);
  assert.deepEqual([run?.cost, session?.cost], [turn?.cost, turn?.cost]);
  assert.deepEqual(session?.usage, { ...usage(10 + 50 + 10, 100 + 5), source: 'bound' });
});

test('what was expected from the prompt cache stands beside what was billed, of the prompts that a provider counted', () => {
  const billed = { ...usage(900, 5), cachedInput: 9_200 };
  const lines: Line[] = [
    opened,
    ['run.queued', queued('hello'), 'r1'],
    ['run.started', { hash: 'h', pin }, 'r1'],
    ['turn.requested', { ...requested, cached: 9_000 }, 'r1t1'],
    ['turn.failed', { attempt: 1, code: 'overloaded', spent: { kind: 'usage', usage: usage(70, 0) } }, 'r1t1'],
    ['turn.attempted', { n: 2, reason: 'overloaded', epoch: 1 }, 'r1t1'],
    ['turn.settled', { ...settled('answer', 0), attempt: 2, usage: billed }, 'r1t1'],
  ];
  assert.deepEqual(explain('r1', 2000, ...lines).cache, { prompt: 10_100, cached: 9_200, predicted: 9_000 });
  assert.equal(viewTrace(trace(...lines)).find(({ kind }) => kind === 'turn')?.cached, 9_000);
});

test('a turn that goes on from the answers of another model says so, once it is another one', () => {
  const other = { ...pin, model: 'demo/y' };
  const state = trace(
    opened,
    ['run.queued', queued('hello'), 'r1'],
    ['run.started', { hash: 'h', pin }, 'r1'],
    ['turn.requested', requested, 'r1t1'],
    ['turn.settled', settled('asks', 0), 'r1t1'],
    ['turn.requested', requested, 'r1t2'],
    ['turn.settled', settled('answer', 0), 'r1t2'],
    ['run.queued', queued('more'), 'r2'],
    ['run.started', { hash: 'i', pin: other }, 'r2'],
    ['turn.requested', requested, 'r2t1'],
    ['turn.settled', { attempt: 1, outcome: 'failed', code: 'x', usage: usage(0, 0), cost: cost(0) }, 'r2t1'],
    ['run.queued', queued('more'), 'r3'],
    ['run.started', { hash: 'i' }, 'r3'],
    ['turn.requested', requested, 'r3t1'],
    ['turn.settled', settled('answer', 0), 'r3t1'],
    ['turn.requested', requested, 'r3t2'],
  );
  const turns = viewTrace(state).filter(({ kind }) => kind === 'turn');
  assert.deepEqual(
    turns.map(({ id, takesOver }) => [id, takesOver]),
    [
      ['r1t1', undefined],
      ['r1t2', undefined],
      ['r2t1', 'demo/x'],
      ['r3t1', 'demo/x'],
      ['r3t2', undefined],
    ],
  );
});

test('an explanation names the rule that asks, the wait, and what to do', () => {
  const { status, causes } = explain('r1', 2000, ...toolRun);
  assert.equal(status, 'running');
  assert.deepEqual(
    causes.map(({ code }) => code),
    ['tool_flying', 'approval'],
  );
  const approval = causes[1];
  assert.deepEqual(
    [approval?.tool, approval?.rule, approval?.wait, approval?.expiresAt],
    ['pay', 'rule 3', 'w1', 9000],
  );
  assert.match(approval?.text ?? '', /pay waits for a person.*rule 3/);
  assert.ok(approval?.next);
  const parked = explain('r1', 2000, ...toolRun, ...restOfToolRun.slice(0, 1));
  assert.equal(parked.status, 'waiting');
});

test('a retry is explained by its error and its time, and is under way once that has come', () => {
  const lines: Line[] = [
    ...toolRun.slice(0, 4),
    ['turn.failed', { attempt: 1, code: 'rate_limited', spent: { kind: 'none' } }, 'r1t1'],
    ['turn.attempted', { n: 2, reason: 'rate_limited', epoch: 1, notBefore: 5000 }, 'r1t1'],
  ];
  const [cause] = explain('r1', 4999, ...lines).causes;
  assert.deepEqual(
    [cause?.code, cause?.attempt, cause?.error, cause?.retryAt],
    ['model_retry', 2, 'rate_limited', 5000],
  );
  assert.deepEqual(codes('r1', 5000, ...lines), ['model_flying']);
});

test('a queued run names the runs before it: by priority, an interrupt first', () => {
  const lines: Line[] = [
    ...toolRun.slice(0, 4),
    ['run.queued', queued('more'), 'r2'],
    ['run.queued', queued('more', { priority: 5 }), 'r3'],
    ['run.queued', queued('more', { mode: 'interrupt' }), 'r4'],
  ];
  const behind = (run: string) => explain(run, 0, ...lines).causes[0]?.behind;
  assert.deepEqual([behind('r4'), behind('r3'), behind('r2')], [['r1'], ['r1', 'r4'], ['r1', 'r4', 'r3']]);
});

test('a call waits behind the one before it, and an unsafe one of unknown outcome asks a person', () => {
  const lines: Line[] = [
    ...toolRun.slice(0, 5),
    ['call.requested', call('pay', { class: 'unsafe' }), 'r1t1c0'],
    ['call.requested', call('post', { class: 'keyed', index: 1 }), 'r1t1c1'],
    ['call.attempted', { n: 1, reason: 'gate', epoch: 1 }, 'r1t1c0'],
  ];
  assert.deepEqual(codes('r1', 0, ...lines), ['tool_flying', 'tool_ready']);
  const lost: Line[] = [
    ...lines,
    ['call.unknown', { attempt: 1, reason: 'lost', epoch: 2 }, 'r1t1c0'],
    ['wait.opened', { wait: 'w1', kind: 'outcome', call: 'r1t1c0' }, 'r1t1c0'],
  ];
  const outcome = explain('r1', 0, ...lost).causes.find(({ code }) => code === 'outcome');
  assert.deepEqual([outcome?.tool, outcome?.error, outcome?.wait], ['pay', 'lost', 'w1']);
  const done: Line = ['call.settled', { attempt: 1, outcome: 'done', code: 'by_person' }, 'r1t1c0'];
  const resolved: Line = [
    'wait.resolved',
    { wait: 'w1', how: 'answered', answer: { kind: 'outcome', outcome: 'done' } },
    'r1',
  ];
  assert.deepEqual(codes('r1', 0, ...lost, resolved, done), ['tool_flying']);
});

test('a shortage is explained by account, need and what is free', () => {
  const shortage = { account: 'session', limit: 'money', needed: 9, free: 4 } as const;
  const lines: Line[] = [...toolRun.slice(0, 3), ['wait.opened', { wait: 'w1', kind: 'budget', ...shortage }, 'r1']];
  const [cause] = explain('r1', 0, ...lines).causes;
  assert.deepEqual([cause?.code, cause?.shortage], ['budget', shortage]);
});

test('an ended run says how it ended; one that is not there is null', () => {
  const end: Line = [
    'run.ended',
    { status: 'failed', reason: 'provider', detail: 'auth', usage: usage(1, 1), cost: cost(3) },
    'r1',
  ];
  const { status, reason, detail, causes, cost: spent } = explain('r1', 0, ...toolRun.slice(0, 4), end);
  assert.deepEqual([status, reason, detail, spent.nanoUsd], ['failed', 'provider', 'auth', 3]);
  assert.match(causes[0]?.next ?? '', /provider/);
  assert.equal(explainRun(emptyProgress(), 'r1', 0), null);
});

test('an entry of a kind that this build does not know passes by', () => {
  const strange = { ...log(opened)[0], kind: 'session.dreamt', seq: 2, data: {} } as unknown as Entry;
  assert.deepEqual(
    viewTranscript(
      applyTranscript(
        emptyTranscript(() => undefined),
        strange,
      ),
    ),
    [],
  );
  assert.deepEqual(viewTrace(applyTrace(emptyTrace(), strange)), []);
  assert.equal(applyProgress(emptyProgress(), strange).active, null);
});
