import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from 'perdure';
import { agent, readMore, tool } from 'perdure';
import { createTestRuntime } from 'perdure/testing';

const LINES = Array.from({ length: 20_000 }, (_, n) => `line ${n}`).join('\n');
const report = tool({
  name: 'report',
  description: 'Gives a long report.',
  input: { type: 'object', properties: {} },
  effect: 'pure',
  run: () => LINES,
});
const ask = (name: string, args: unknown = {}) => ({ calls: [{ name, arguments: args }] });

async function told(
  tools: ReturnType<typeof readMore>[],
  ...script: Parameters<typeof createTestRuntime>[0]['script'][]
) {
  const { rt, model } = await createTestRuntime({
    agents: [agent({ name: 'reader', model: 'demo', tools })],
    script: script.flat() as never,
  });
  const session = await rt.open('reader');
  const run = await session.send('go');
  const entries: Entry[] = [];
  for await (const event of run.events()) if (event.kind !== 'delta') entries.push(event);
  await rt.close();
  model.verify();
  const results = model.calls.map(({ items }) => items.at(-1)).flatMap((item) => (item?.kind === 'result' ? item : []));
  return { results, entries };
}

test('a long result is cut, says how to read on, and can be read to its end', async () => {
  const first = { call: 'r1t1c0', offset: 50_000 };
  const { results } = await told(
    [report, readMore()],
    [
      ask('report'),
      ask('read_more', first),
      ask('read_more', { call: 'r1t1c0', offset: LINES.length - 10 }),
      { text: 'ok' },
    ],
  );
  const [cut, more, end] = results.map(({ content }) => content);
  const offset = Number(/read_more \{"call": "r1t1c0", "offset": (\d+)\}/.exec(cut ?? '')?.[1]);
  assert.equal(cut?.slice(0, offset), LINES.slice(0, offset));
  assert.ok(more?.startsWith(LINES.slice(50_000, 90_000)));
  assert.match(more ?? '', /characters are left: go on at offset 90000\]$/);
  assert.equal(end, `${LINES.slice(-10)}\n[the end]`);
});

test('what is not there is said, and an agent without the tool is told to ask for less', async () => {
  const { results } = await told(
    [report, readMore()],
    [
      ask('read_more', { call: 'r9t1c0' }),
      ask('report'),
      ask('read_more', { call: 'r1t2c0', offset: 999_999_999 }),
      { text: 'ok' },
    ],
  );
  assert.match(results[0]?.content ?? '', /not_found/);
  assert.match(results[2]?.content ?? '', /past_end/);
  const without = await told([report], [ask('report'), { text: 'ok' }]);
  assert.match(without.results[0]?.content ?? '', /ask for a smaller part\]$/);
});

test('the session that has a whole result refers to it, so that nothing collects it', async () => {
  const { rt } = await createTestRuntime({
    agents: [agent({ name: 'reader', model: 'demo', tools: [report] })],
    script: [ask('report'), { text: 'ok' }],
  });
  const session = await rt.open('reader');
  await (await session.send('go')).result();
  const { store } = rt.host.parts;
  const frames = await store.log.read(session.id, { after: 0, limit: 100 });
  const settled = frames
    .flatMap(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()).entries)
    .find(({ kind }) => kind === 'call.settled');
  assert.equal(settled.refs.length, 2);
  const whole = await store.blobs.get(settled.refs[1]);
  assert.equal(Buffer.from(whole ?? []).toString(), LINES);
  await rt.close();
});
