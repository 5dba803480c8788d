import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualSystem } from '@perdure/testkit';
import type { Hook, HookVerdict } from './hooks.ts';
import { misfitOfHook, runHooks } from './hooks.ts';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';

const event = { kind: 'call', session: 's', run: 'r1', effect: 'r1t1c0', name: 'pay', text: 'one', calls: [] } as const;
const { timers } = createVirtualSystem();
const run = async (...hooks: Hook[]) => runHooks(hooks, event, { logger: silentLogger, timers });
const rewrite = (name: string, by: string): Hook => ({
  name,
  outcome: ({ text }) => ({ verdict: 'rewrite', text: `${text} ${by}` }),
});

test('hooks see the outcome one after another, each as the one before has left it', async () => {
  assert.partialDeepStrictEqual(
    await run(rewrite('a', 'two'), { name: 'b', outcome: () => ({ verdict: 'pass' }) }, rewrite('c', 'three')),
    {
      ok: true,
      text: 'one two three',
    },
  );
  assert.partialDeepStrictEqual(await run(), { ok: true, text: 'one' });
});

test('a hook that blocks ends it: those behind it are not asked', async () => {
  let asked = false;
  const behind: Hook = { name: 'behind', outcome: () => ((asked = true), { verdict: 'pass' as const }) };
  const blocked = await run({ name: 'gate', outcome: async () => ({ verdict: 'block', reason: 'no' }) }, behind);
  assert.partialDeepStrictEqual(blocked, { ok: false, hook: 'gate', reason: 'no' });
  assert.equal(asked, false);
});

test('a hook that throws, rejects or gives no verdict blocks', async () => {
  const outcomes: Hook['outcome'][] = [
    () => assert.fail('broken'),
    async () => Promise.reject(new Error('broken')),
    () => undefined as unknown as HookVerdict,
    () => ({ verdict: 'maybe' }) as unknown as HookVerdict,
    () => ({ verdict: 'rewrite' }) as unknown as HookVerdict,
    () => ({ verdict: 'rewrite', text: 7 }) as unknown as HookVerdict,
    () => ({ verdict: 'pass', text: 'not obeyed' }) as unknown as HookVerdict,
    () => ({ verdict: 'block', reason: 'x', text: 'not obeyed' }) as unknown as HookVerdict,
    () => ({ verdict: 'rewrite', text: 'x', reasons: 'not obeyed' }) as unknown as HookVerdict,
    () => ({ verdict: 'toString' }) as unknown as HookVerdict,
  ];
  for (const outcome of outcomes)
    assert.partialDeepStrictEqual(await run({ name: 'bad', outcome }), {
      ok: false,
      hook: 'bad',
      reason: 'the hook failed',
    });
});

test('a hook or a guard has a name and an outcome, and no member that nobody reads', () => {
  const pass = { name: 'a', outcome: () => ({ verdict: 'pass' as const }) };
  class Counting {
    readonly name = 'a';
    asked = 0;
    outcome(): HookVerdict {
      this.asked += 1;
      return { verdict: 'pass' };
    }
  }
  for (const fine of [pass, new Counting()])
    assert.deepEqual([misfitOfHook(fine, 'hook'), misfitOfHook(fine, 'guard')], [null, null]);
  const plants = { ...pass, plant: () => 'x' };
  assert.equal(misfitOfHook(plants, 'guard'), null);
  assert.match(misfitOfHook(plants, 'hook') ?? '', /give it to agent\(\{ guards \}\)/);
  assert.equal(misfitOfHook({ ...pass, timeoutMs: 5 }, 'hook'), 'a: a hook has no timeoutMs');
  for (const wrong of [
    null,
    'a',
    {},
    { name: 'a' },
    { ...pass, name: 7 },
    { ...pass, name: '' },
    { ...plants, plant: 1 },
  ])
    assert.match(misfitOfHook(wrong, 'guard') ?? '', /is not a guard/);
});

test('a hook that hangs blocks when its time is over', async () => {
  const system = createVirtualSystem();
  const hanging: Hook = { name: 'slow', outcome: async () => new Promise(() => {}) };
  const ended = runHooks([hanging], event, { logger: silentLogger, timers: system.timers });
  await system.advance(LIMITS.hookMs);
  assert.partialDeepStrictEqual(await ended, { ok: false, hook: 'slow', reason: 'the hook failed' });
  assert.equal(system.timersSet, 0);
});
