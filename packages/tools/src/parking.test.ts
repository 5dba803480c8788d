import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contextOf } from '../test/context.ts';
import { ask, sleep } from './index.ts';

const NOW = Date.parse('2030-01-31T08:00:00.000Z');
const run = (tool: ReturnType<typeof ask>, args: unknown) => tool.run(args, contextOf());
const codeOf = async (tool: ReturnType<typeof ask>, args: unknown): Promise<unknown> => {
  const result = await run(tool, args);
  assert.ok(typeof result === 'object' && 'isError' in result && typeof result.content === 'string');
  return result.content.split(':')[0];
};

describe('ask', () => {
  it('parks the call in a question, with what the person may choose from', async () => {
    assert.deepEqual(await run(ask(), { question: ' Which? ' }), { wait: { kind: 'question', question: 'Which?' } });
    assert.deepEqual(await run(ask(), { question: 'Which?', choices: ['a', 'b'], expiresInSeconds: 60 }), {
      wait: { kind: 'question', question: 'Which?', choices: ['a', 'b'], expiresInMs: 60_000 },
    });
  });

  it('refuses an empty question, choices that are none, and an expiry out of bounds', async () => {
    for (const args of [
      {},
      { question: ' ' },
      { question: 'a?', choices: ['a'] },
      { question: 'a?', choices: ['a', 'a '] },
      { question: 'a?', choices: Array.from({ length: 21 }, (_, n) => String(n)) },
      { question: 'a?', expiresInSeconds: 1 },
      { question: 'a?', expiresInSeconds: 31 * 86_400 },
      { question: 'a?', timeout: 3 },
    ])
      assert.equal(await codeOf(ask(), args), 'invalid_arguments');
  });
});

describe('sleep', () => {
  const tool = sleep({ clock: { now: () => NOW } });

  it('parks the call in a timer, for a time or until one', async () => {
    assert.deepEqual(await run(tool, { seconds: 1.5 }), { wait: { kind: 'timer', afterMs: 1_500 } });
    assert.deepEqual(await run(tool, { until: '2030-01-31T09:00:00Z' }), {
      wait: { kind: 'timer', afterMs: 3_600_000 },
    });
    assert.deepEqual(await run(tool, { until: '2030-01-31T09:00:10+01:00' }), {
      wait: { kind: 'timer', afterMs: 10_000 },
    });
  });

  it('refuses none or both of the two, and what is no time with a zone', async () => {
    for (const args of [{}, { seconds: 5, until: '2030-01-31T09:00:00Z' }, { seconds: 0 }, { seconds: 31 * 86_400 }])
      assert.equal(await codeOf(tool, args), 'invalid_arguments');
    for (const until of ['tomorrow', '2030-01-31', '2030-01-31T09:00:00', '2030-02-30T09:00:00Z', ''])
      assert.equal(await codeOf(tool, { until }), 'invalid_arguments');
  });

  it('refuses a time that is over or too far away, and says what time it is', async () => {
    for (const until of [
      '2030-01-31T08:00:00Z',
      '2030-01-31T08:00:00.999Z',
      '2020-01-01T00:00:00Z',
      '2030-03-03T08:00:00Z',
    ])
      assert.equal(await codeOf(tool, { until }), 'out_of_range');
    const result = await run(tool, { until: '2020-01-01T00:00:00Z' });
    assert.match(JSON.stringify(result), /It is 2030-01-31T08:00:00\.000Z/);
  });
});

it('neither needs approval, and both may run again', () => {
  for (const tool of [ask(), sleep({ clock: { now: () => NOW } })])
    assert.deepEqual([tool.effect, tool.approval, tool.input['type']], ['pure', 'never', 'object']);
});
