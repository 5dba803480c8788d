import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionEvent } from './client.ts';
import { createClient } from './client.ts';
import { ApiError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { applyDelta, applyToLive } from './live.ts';
import type { Live } from './live.ts';
import { createSseParser } from './sse-parser.ts';
import type { Delta, Entry } from './stream.ts';

type Sent = { url: string; method: string; headers: Headers; body: string | null; signal: AbortSignal | null };

/** A server of answers in order; one that is not there fails the test. */
function scripted(...answers: (Response | Error | ((sent: Sent) => Response))[]) {
  const sent: Sent[] = [];
  const go = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const { method = 'GET', headers, body = null, signal = null } = init;
    const one = { url, method, headers: new Headers(headers), body: body as string | null, signal };
    sent.push(one);
    const answer = answers.shift();
    assert.ok(answer !== undefined, `unexpected ${method} ${one.url}`);
    if (answer instanceof Error) throw answer;
    return typeof answer === 'function' ? answer(one) : answer;
  };
  return { sent, fetch: go as unknown as typeof fetch, left: () => answers.length };
}

/** Timers that run at once and say how long they were asked for. */
function instant() {
  const waits: number[] = [];
  const set = (afterMs: number, run: () => void) => {
    if (afterMs === LIMITS.streamIdleMs) return { cancel: () => undefined };
    waits.push(afterMs);
    queueMicrotask(run);
    return { cancel: () => undefined };
  };
  return { waits, timers: { set } };
}

const json = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });
const stream = (...blocks: string[]): Response => new Response(blocks.map((block) => `${block}\n\n`).join(''));
const entry = (seq: number): string =>
  `event: run.held\nid: ${seq}\ndata: ${JSON.stringify({ seq, kind: 'run.held' })}`;
const end = (reason: string): string => `event: end\ndata: ${JSON.stringify({ reason })}`;
const url = 'http://localhost:7420/';

async function collect(events: AsyncIterable<SessionEvent>): Promise<string[]> {
  const all: string[] = [];
  for await (const event of events) all.push(event.type === 'entry' ? String(event.entry.seq) : event.type);
  return all;
}

test('a call puts its parameters into path, query or body, with the token and as JSON', async () => {
  const server = scripted(...Array.from({ length: 5 }, () => json(200, { ok: true })));
  const client = createClient({ url, token: 't', fetch: server.fetch });
  const input = [{ type: 'text' as const, text: 'hi' }];
  assert.deepEqual(await client.call('runs.start', { session: 's/1', input, mode: 'steer' }), { ok: true });
  await client.call('events.list', { session: 's1', after: 3 });
  await client.call('waits.resolve', { session: 's1', wait: 'w2', answer: { answer: 'blue' } });
  await client.call('runs.find', { session: 's1', run: 'r2' });
  await client.call('runs.cancel', { session: 's1', run: 'r2' });
  assert.deepEqual(
    server.sent.map(({ method, url: to, body }) => [method, to, body]),
    [
      ['POST', 'http://localhost:7420/v1/sessions/s%2F1/runs', JSON.stringify({ input, mode: 'steer' })],
      ['GET', 'http://localhost:7420/v1/sessions/s1/events?after=3', null],
      ['POST', 'http://localhost:7420/v1/sessions/s1/waits/w2', '{"answer":"blue"}'],
      ['GET', 'http://localhost:7420/v1/runs/s1.r2', null],
      ['POST', 'http://localhost:7420/v1/sessions/s1/runs/r2/cancel', null],
    ],
  );
  const [first, second] = server.sent;
  assert.equal(first?.headers.get('authorization'), 'Bearer t');
  assert.equal(first?.headers.get('content-type'), 'application/json');
  assert.equal(second?.headers.get('content-type'), null);
});

test('a refusal is an ApiError with the server’s code; no answer and a stranger’s answer are unavailable', async () => {
  const refused = { error: { code: 'not_found', message: 'no', requestId: 'req_1', details: { a: 1 } } };
  const server = scripted(json(404, refused), new TypeError('refused'), new Response('<html>', { status: 502 }));
  const client = createClient({ url, fetch: server.fetch });
  const ask = () => client.call('agents.list', {});
  await assert.rejects(ask(), (error: unknown) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.code, error.status, error.requestId, error.details], ['not_found', 404, 'req_1', { a: 1 }]);
    return true;
  });
  await assert.rejects(ask(), { code: 'unavailable', message: /localhost:7420/ });
  await assert.rejects(ask(), { code: 'unavailable' });
});

test('an answer that breaks off on its way is unavailable, unless the caller broke it off', async () => {
  const broken = (): Response => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new TypeError('terminated')),
    });
    return new Response(body);
  };
  const server = scripted(broken(), broken(), broken(), broken());
  const client = createClient({ url, fetch: server.fetch });
  const lost = { code: 'unavailable', message: /localhost:7420/ };
  await assert.rejects(client.call('agents.list', {}), lost);
  await assert.rejects(client.putBlob(new Uint8Array([1])), lost);
  await assert.rejects(client.getBlob('d'), lost);
  await assert.rejects(client.call('agents.list', {}, { signal: AbortSignal.abort() }), /terminated/);
});

test('a stream comes back with the id it saw last and gives each entry once, until the session is closed', async () => {
  const caughtUp = 'event: caught-up\ndata: {"head":3}';
  const server = scripted(
    stream('retry: 50', entry(1), entry(2), 'event: delta\ndata: {}'),
    new TypeError('network'),
    stream(entry(2), entry(3), caughtUp, end('drain')),
    stream(end('slow')),
    stream(entry(4), end('closed')),
  );
  const { timers, waits } = instant();
  const client = createClient({ url, fetch: server.fetch, timers });
  assert.deepEqual(await collect(client.events('s1')), ['1', '2', 'delta', '3', 'caught-up', '4', 'end']);
  assert.deepEqual(
    server.sent.map(({ headers }) => headers.get('last-event-id')),
    [null, '2', '2', '3', '3'],
  );
  assert.match(server.sent[0]?.url ?? '', /events\?after=0&deltas=true$/);
  assert.deepEqual(waits, [50, 100, 50, 100]);
});

test('a resync moves the place to go on from', async () => {
  const resync = 'event: resync\ndata: {"after":90,"reason":"gone"}';
  const server = scripted(stream(entry(1), resync), stream(entry(90), entry(91), end('closed')));
  const client = createClient({ url, fetch: server.fetch, ...instant() });
  assert.deepEqual(await collect(client.events('s1', { after: 0 })), ['1', 'resync', '91', 'end']);
  assert.equal(server.sent[1]?.headers.get('last-event-id'), '90');
});

test('what the server refuses for good ends the stream; what passes is tried so often and no more', async () => {
  const { timers, waits } = instant();
  const gone = scripted(json(404, { error: { code: 'not_found', message: 'no' } }));
  await assert.rejects(collect(createClient({ url, fetch: gone.fetch, timers }).events('s1')), { code: 'not_found' });
  const busy = scripted(
    ...Array.from({ length: 12 }, () => json(503, { error: { code: 'unavailable', message: 'x' } })),
  );
  const client = createClient({ url, fetch: busy.fetch, timers });
  await assert.rejects(collect(client.events('s1', { maxAttempts: 12 })), { code: 'unavailable', message: /12/ });
  assert.equal(busy.left(), 0);
  assert.equal(Math.max(...waits), LIMITS.reconnectMaxMs);
  assert.deepEqual(waits.slice(0, 3), [250, 500, 1000]);
});

test('an abort ends the stream without an error, while it reads and while it waits', async () => {
  const reading = new AbortController();
  const hanging = (sent: Sent): Response => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode(`${entry(1)}\n\n`));
        sent.signal?.addEventListener('abort', () => controller.error(new Error('aborted')));
      },
    });
    return new Response(body);
  };
  const client = createClient({ url, fetch: scripted(hanging).fetch });
  const seen: string[] = [];
  for await (const event of client.events('s1', { signal: reading.signal })) {
    seen.push(event.type);
    reading.abort();
  }
  assert.deepEqual(seen, ['entry']);

  const waiting = new AbortController();
  const set = (afterMs: number) => {
    if (afterMs !== LIMITS.streamIdleMs) waiting.abort();
    return { cancel: () => undefined };
  };
  const lost = createClient({ url, fetch: scripted(new TypeError('x')).fetch, timers: { set } });
  assert.deepEqual(await collect(lost.events('s1', { signal: waiting.signal })), []);
});

test('a stream that is silent for too long is taken for broken', async () => {
  let silence: (() => void) | undefined;
  const set = (afterMs: number, run: () => void) => {
    if (afterMs === LIMITS.streamIdleMs) silence = run;
    else queueMicrotask(run);
    return { cancel: () => undefined };
  };
  const silent = (sent: Sent): Response => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => sent.signal?.addEventListener('abort', () => controller.error(new Error('aborted'))),
    });
    queueMicrotask(() => silence?.());
    return new Response(body);
  };
  const server = scripted(silent, stream(entry(1), end('closed')));
  const client = createClient({ url, fetch: server.fetch, timers: { set } });
  assert.deepEqual(await collect(client.events('s1')), ['1', 'end']);
});

test('events are read the same however their bytes are cut, with each kind of line end', () => {
  const text = ': hi\r\n\r\nevent: a\nid: 1\ndata: x\ndata:  ä\n\nretry: 5\rdata\r\rdata: 2\r\nid: \r\n\r\n';
  const expected = [
    { event: 'a', id: '1', data: 'x\n ä', retryMs: null },
    { event: 'message', id: null, data: '', retryMs: 5 },
    { event: 'message', id: '', data: '2', retryMs: null },
  ];
  const bytes = new TextEncoder().encode(`${text}: `);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const parser = createSseParser();
    const decoder = new TextDecoder();
    const parts = [bytes.slice(0, cut), bytes.slice(cut)].map((part) => decoder.decode(part, { stream: true }));
    assert.deepEqual(
      parts.flatMap((part) => parser.push(part)),
      expected,
      `cut at ${cut}`,
    );
  }
});

test('an event without an end is not read into memory for ever', () => {
  const parser = createSseParser();
  const piece = 'x'.repeat(1024 * 1024);
  assert.throws(() => {
    for (let count = 0; count < 100; count += 1) parser.push(piece);
  }, RangeError);
  const lines = createSseParser();
  assert.throws(() => {
    for (let count = 0; count < 100; count += 1) lines.push(`data: ${piece}\n`);
  }, RangeError);
});

const delta = (offset: number, text: string, more: Partial<Delta> = {}): Delta => ({
  run: 'r1',
  effect: 'r1t1',
  attempt: 1,
  part: 'text',
  offset,
  text,
  ...more,
});

test('live text grows by its offsets: repeats change nothing, a gap is left out, a higher attempt starts anew', () => {
  const live: Live = new Map();
  const text = (...deltas: Delta[]): string | undefined => {
    for (const one of deltas) applyDelta(live, one);
    return live.get('r1t1')?.text;
  };
  assert.equal(text(delta(0, 'hel'), delta(3, 'lo')), 'hello');
  assert.equal(text(delta(0, 'hel'), delta(0, 'hello w'), delta(9, 'gap')), 'hello w');
  assert.equal(text(delta(0, 'new', { attempt: 2 }), delta(7, 'old')), 'new');
  const call = { part: 'arguments', call: 'r1t1c0', attempt: 2 } as const;
  text(delta(0, '{"a"', { ...call, name: 'add' }), delta(4, ':1}', call));
  assert.deepEqual(live.get('r1t1')?.calls.get('r1t1c0'), { name: 'add', arguments: '{"a":1}' });
  applyToLive(live, { kind: 'turn.settled', run: 'r1', effect: 'r1t1' } as Entry);
  assert.equal(live.size, 0);
});
