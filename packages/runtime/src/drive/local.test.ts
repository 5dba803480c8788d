import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect, Entry } from '@perdure/engine';
import { LIMITS as ENGINE } from '@perdure/engine';
import { createVirtualSystem } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import type { Courier, LocalOptions } from './driver.ts';
import { soleHolding } from './holding.ts';
import { FrameTooLarge } from '../log/frame.ts';
import { LIMITS } from '../limits.ts';
import { createLocalDriver } from './local.ts';
import type { Performable } from '../effects/perform.ts';
import type { StepInput, StepResult } from '../log/step.ts';
import { StorageUnavailable } from '../log/storage.ts';

const EPOCH = 5;
const ENTRY = {} as Entry;
type Stepped = { effects?: Effect[]; wakeAt?: number | null; entries?: number };

/** A driver whose steps and effects a test answers. */
function bench(options: Omit<Partial<LocalOptions>, 'courier'> & { courier?: Partial<Courier> } = {}) {
  const system = createVirtualSystem();
  const steps: { session: string; input: StepInput }[] = [];
  const flown: { session: string; effect: Performable; signal: AbortSignal }[] = [];
  const parked: string[] = [];
  const lines: string[] = [];
  const say = (_fields: unknown, message: string): void => void lines.push(message);
  const world = {
    system,
    steps,
    flown,
    parked,
    lines,
    due: [] as string[],
    onStep: (_session: string, _input: StepInput): Stepped | Promise<Stepped> => ({}),
    onFly: async (_session: string, _effect: Performable, _signal: AbortSignal): Promise<StepInput | null> =>
      new Promise(() => {}),
    onLook: (_session: string): { effects: Effect[]; wakeAt: number | null } => ({ effects: [], wakeAt: null }),
  };
  const courier: Courier = {
    async step(session, input): Promise<StepResult> {
      steps.push({ session, input });
      const { effects = [], wakeAt = null, entries = 1 } = await world.onStep(session, input);
      return {
        ok: true,
        receipt: { seq: steps.length },
        entries: Array.from({ length: entries }, () => ENTRY),
        effects,
        wakeAt,
        agent: 'a',
      };
    },
    async perform(session, effect, signal) {
      flown.push({ session, effect, signal });
      return world.onFly(session, effect, signal);
    },
    look: async (session) => ({ agent: 'a', ...world.onLook(session) }),
    admits: async () => 'admitted',
    due: async () => ({ sessions: world.due, next: null }),
    quarantine: async (session) => void parked.push(session),
    evict: async () => 0,
    ...options.courier,
  };
  const logger = { debug: say, info: say, warn: say, error: say };
  const driver = createLocalDriver({ system, logger, holding: soleHolding(EPOCH), agents: ['a'], ...options, courier });
  return { ...world, world: Object.assign(world, { courier }), driver, ids: () => steps.map(({ input }) => input.id) };
}

const user = (id: string): StepInput => ({
  id,
  by: { kind: 'user', id: 'u' },
  bodies: [],
  command: { kind: 'close' },
});
const outcome = (effect: Performable): StepInput => ({
  ...user(`${effect.id}#${effect.attempt}`),
  command: { kind: 'settle', effect: 'wake' },
});
const generate = (n = 1, more: Partial<Effect> = {}): Effect =>
  ({ type: 'generate', id: `r1t${n}`, run: 'r1', attempt: 1, epoch: EPOCH, notBefore: 0, ...more }) as Effect;
const callOf = (cls: 'pure' | 'keyed' | 'unsafe', n = 0, more: Partial<Effect> = {}): Effect =>
  ({ type: 'call', id: `r1t1c${n}`, run: 'r1', attempt: 1, epoch: EPOCH, notBefore: 0, class: cls, ...more }) as Effect;
const full = new StorageUnavailable('storage_full', 'full');
const gone = new StorageUnavailable('unavailable', 'gone');

test('inputs of a session are stepped one at a time and in order; sessions do not wait for each other', async () => {
  const { world, driver, ids, system } = bench();
  await driver.start();
  const hold = Promise.withResolvers<void>();
  world.onStep = async (_session, input) => (input.id === 'a1' ? (await hold.promise, {}) : {});
  const all = [driver.submit('a', user('a1')), driver.submit('a', user('a2')), driver.submit('a', user('a3'))];
  await driver.submit('b', user('b1'));
  await system.settle();
  assert.deepEqual(ids(), ['a1', 'b1']);
  hold.resolve();
  await Promise.all(all);
  assert.deepEqual(ids(), ['a1', 'b1', 'a2', 'a3']);
});

test('what is outstanding is under way once, and its outcome is stepped', async () => {
  const { world, driver, flown, ids, system } = bench();
  await driver.start();
  let settle = (_input: StepInput | null): void => {};
  world.onFly = async () => new Promise((resolve) => (settle = resolve));
  world.onStep = (_session, input) => ({ effects: input.id.startsWith('r1') ? [] : [generate()] });
  await driver.submit('s', user('1'));
  await driver.submit('s', user('2'));
  await system.settle();
  assert.equal(flown.length, 1);
  settle(outcome(flown[0]?.effect ?? assert.fail()));
  await system.settle();
  assert.deepEqual(ids(), ['1', '2', 'r1t1#1']);
  assert.equal(flown.length, 1);
});

test('an attempt of an earlier process is asked about once, one of a later process not at all, a gate is asked for', async () => {
  const { world, driver, flown, steps, system } = bench();
  await driver.start();
  const hold = Promise.withResolvers<void>();
  world.onStep = async (_session, { id }) => {
    if (id.startsWith('lost')) await hold.promise;
    if (!id.startsWith('user')) return {};
    const gate = { type: 'gate', id: 'r1t1c1', run: 'r1' } as const;
    return { effects: [generate(1, { epoch: EPOCH - 1 }), generate(2, { epoch: EPOCH + 1 }), gate] };
  };
  await Promise.all(['user 1', 'user 2'].map(async (id) => driver.submit('s', user(id))));
  world.due.push('s');
  await system.advance(3 * LIMITS.sweepMs);
  const asked = steps.filter(({ session }) => session === 's').map(({ input }) => input.command);
  assert.deepEqual(asked.slice(2), [{ kind: 'attempt', effect: 'r1t1', attempt: 1, reason: 'lost' }]);
  hold.resolve();
  await system.settle();
  assert.deepEqual(
    steps.filter(({ session }) => session === 's').map(({ input }) => input.id),
    ['user 1', 'user 2', 'lost r1t1#1', 'gate r1t1c1#1'],
  );
  assert.deepEqual(flown, []);
});

test('an attempt waits for its time, and a cancel ends the waiting at once', async () => {
  const { world, driver, flown, system } = bench();
  await driver.start();
  const at = system.clock.now() + 1_000;
  world.onStep = (_session, { id }) => ({
    effects:
      id === 'cancel'
        ? [{ ...generate(), type: 'abort' } as Effect]
        : id === 'go'
          ? [generate(1, { notBefore: at } as Partial<Effect>)]
          : [],
  });
  world.onFly = async (_session, effect) => outcome(effect);
  await driver.submit('s', user('go'));
  await system.advance(999);
  assert.equal(flown.length, 0);
  await system.advance(1);
  assert.equal(flown.length, 1);
  assert.equal(flown[0]?.signal.aborted, false);
  await driver.submit('t', user('go'));
  await driver.submit('t', user('cancel'));
  await system.settle();
  assert.equal(flown.length, 2);
  assert.equal(flown[1]?.signal.aborted, true);
  assert.equal(system.timersSet, 1, 'the sweeper alone');
});

test('a clock that was set back holds an attempt no longer than the longest backoff', async () => {
  const { world, driver, flown, system } = bench();
  await driver.start();
  const notBefore = system.clock.now() + 1_000;
  system.jump(-24 * 60 * 60_000);
  world.onStep = (_session, { id }) => ({
    effects: id === 'go' ? [generate(1, { notBefore } as Partial<Effect>)] : [],
  });
  world.onFly = async (_session, effect) => outcome(effect);
  await driver.submit('s', user('go'));
  await system.advance(ENGINE.retryAfterMaxMs);
  assert.equal(flown.length, 1);
});

test('what flies is told to stop; what never flew is said to have been stopped', async () => {
  const { world, driver, flown, system } = bench();
  await driver.start();
  world.onFly = async (_session, effect, signal) => {
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return outcome(effect);
  };
  const abort = (effect: Effect): Effect => ({ ...effect, type: 'abort' }) as Effect;
  world.onStep = (_session, { id }) => ({
    effects: id === 'go' ? [generate()] : id === 'cancel' ? [abort(generate()), abort(callOf('unsafe', 3))] : [],
  });
  await driver.submit('s', user('go'));
  await driver.submit('s', user('cancel'));
  await system.settle();
  assert.deepEqual(
    flown.map(({ effect, signal }) => [effect.id, signal.aborted]),
    [
      ['r1t1', true],
      ['r1t1c3', true],
    ],
  );
});

test('no more effects are under way than there are slots, and sessions get them in turn', async () => {
  const { world, driver, flown, system } = bench({ effects: 2 });
  await driver.start();
  const ends: (() => void)[] = [];
  world.onFly = async (_session, effect) => new Promise((resolve) => ends.push(() => resolve(outcome(effect))));
  world.onStep = (_session, { id }) => ({
    effects: id === 'many' ? [0, 1, 2, 3].map((n) => callOf('pure', n)) : id === 'one' ? [generate()] : [],
  });
  await driver.submit('big', user('many'));
  await driver.submit('small', user('one'));
  await system.settle();
  assert.equal(flown.length, 2);
  while (ends.length > 0) {
    ends.shift()?.();
    await system.settle();
  }
  assert.deepEqual(
    flown.map(({ session }) => session),
    ['big', 'big', 'big', 'small', 'big'],
  );
});

test('a perform that throws is asked again after a pause, and a session that does it again and again is parked alone', async () => {
  const { world, driver, flown, parked, system } = bench();
  await driver.start();
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  world.onStep = (session) => ({ effects: session === 'bad' ? [generate()] : [generate(7)] });
  world.onFly = async (session, effect) => (session === 'bad' ? assert.fail('broken') : new Promise(() => effect));
  await driver.submit('bad', user('1'));
  await driver.submit('good', user('1'));
  await system.advance(10_000);
  assert.deepEqual(parked, ['bad']);
  assert.equal(flown.filter(({ session }) => session === 'bad').length, LIMITS.faultsToQuarantine);
  await assert.rejects(driver.submit('bad', user('2')), { code: 'quarantined' });
  assert.ok((await driver.submit('good', user('2'))).ok);
  world.due.push('bad');
  await system.advance(LIMITS.sweepMs);
  assert.equal(flown.filter(({ session }) => session === 'bad').length, LIMITS.faultsToQuarantine);
});

test('faults that are far apart park nobody', async () => {
  const { world, driver, parked, system } = bench();
  await driver.start();
  world.onStep = () => assert.fail('broken');
  for (let i = 0; i < 3 * LIMITS.faultsToQuarantine; i += 1) {
    await assert.rejects(driver.submit('s', user(`${i}`)), /broken/);
    await system.advance(LIMITS.faultsWithinMs / 2 + 1);
  }
  assert.deepEqual(parked, []);
});

test('whoever waits for a session that is parked is told, and what flies of it is stopped and heard by nobody', async () => {
  const { world, driver, flown, steps, system } = bench();
  await driver.start();
  let end = (): void => {};
  world.onFly = async (_session, effect) => new Promise((resolve) => (end = () => resolve(outcome(effect))));
  world.onStep = (_session, { id }) => (id === 'go' ? { effects: [generate()] } : assert.fail('broken'));
  await driver.submit('s', user('go'));
  const told = await Promise.allSettled(['1', '2', '3', '4', '5'].map(async (id) => driver.submit('s', user(id))));
  const codes = told.map((one) =>
    one.status === 'rejected' ? ((one.reason as { code?: string }).code ?? 'thrown') : 'ok',
  );
  assert.deepEqual(codes, ['ERR_ASSERTION', 'ERR_ASSERTION', 'ERR_ASSERTION', 'quarantined', 'quarantined']);
  assert.equal(flown[0]?.signal.aborted, true);
  const before = steps.length;
  end();
  await system.settle();
  assert.equal(steps.length, before);
});

test('what is refused for what it is, is no fault of the session', async () => {
  const { world, driver, parked } = bench();
  await driver.start();
  world.onStep = () => {
    throw new FrameTooLarge('too large');
  };
  for (let i = 0; i < 10; i += 1) await assert.rejects(driver.submit('s', user(`${i}`)), { code: 'too_large' });
  assert.deepEqual(parked, []);
});

test('a quarantine that cannot be stored holds in this process, and breaks nothing', async () => {
  const { world, driver, lines } = bench({ courier: { quarantine: async () => Promise.reject(gone) } });
  await driver.start();
  world.onStep = () => assert.fail('broken');
  for (const id of ['1', '2', '3']) await assert.rejects(driver.submit('s', user(id)));
  await assert.rejects(driver.submit('s', user('4')), { code: 'quarantined' });
  assert.ok(lines.some((line) => /could not be stored/.test(line)));
});

test("the storage's trouble is told to whoever waits, parks nobody, and an outcome is kept until it is taken", async () => {
  for (const trouble of [
    full,
    gone,
    Object.assign(new Error('x'), { code: 'unavailable' }),
    Object.assign(new Error('x'), { code: 'full' }),
  ]) {
    const { world, driver, flown, parked, ids, system } = bench();
    await driver.start();
    let down = false;
    world.onFly = async (_session, effect) => outcome(effect);
    world.onStep = (_session, { id }) => {
      if (down) throw trouble;
      down = id === 'go';
      return { effects: id === 'go' ? [generate()] : [] };
    };
    await driver.submit('s', user('go'));
    await system.advance(60_000);
    await assert.rejects(driver.submit('s', user('other')));
    assert.ok(ids().filter((id) => id === 'r1t1#1').length > 3);
    down = false;
    await system.advance(LIMITS.faultBackoffMaxMs);
    assert.equal(ids().at(-1), 'r1t1#1');
    assert.equal(flown.length, 1, 'its delivery was retried, not the effect');
    assert.deepEqual(parked, []);
    assert.equal(system.timersSet, 1);
  }
});

test('an outcome that the storage does not take holds nobody up: a cancel behind it is stepped', async () => {
  const { world, driver, ids, system } = bench();
  await driver.start();
  world.onFly = async (_session, effect) => outcome(effect);
  world.onStep = (_session, { id }) => {
    if (id === 'r1t1#1') throw full;
    return { effects: id === 'go' ? [generate()] : [] };
  };
  await driver.submit('s', user('go'));
  await system.settle();
  await driver.submit('s', user('cancel'));
  assert.deepEqual(ids(), ['go', 'r1t1#1', 'cancel']);
});

test('after an append whose answer was lost, what follows from it does not wait for the sweeper', async () => {
  const { world, driver, flown, system } = bench();
  await driver.start();
  world.onStep = () => {
    throw gone;
  };
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  await assert.rejects(driver.submit('s', user('1')));
  await system.advance(LIMITS.faultBackoffMs);
  assert.equal(flown.length, 1);
});

test('the sweeper finds work whose notification was lost, at the start and ever after', async () => {
  const { world, driver, flown, steps, system } = bench();
  world.due.push('a');
  world.onLook = (session) =>
    session === 'late' ? { effects: [], wakeAt: system.clock.now() } : { effects: [generate()], wakeAt: null };
  await driver.start();
  await system.settle();
  assert.deepEqual(
    flown.map(({ session }) => session),
    ['a'],
  );
  world.due.push('b', 'late');
  await system.advance(LIMITS.sweepMs);
  assert.deepEqual(
    flown.map(({ session }) => session),
    ['a', 'b'],
  );
  assert.deepEqual(
    steps.map(({ session, input }) => [session, input.command.kind]),
    [['late', 'settle']],
  );
});

test('a sweep that fails is made again soon, and then as ever', async () => {
  let sweeps = 0;
  let isGone = true;
  const due = async (): Promise<{ sessions: string[]; next: null }> => {
    sweeps += 1;
    if (isGone) throw gone;
    return { sessions: [], next: null };
  };
  const { driver, system, lines } = bench({ courier: { due } });
  await driver.start();
  await system.advance(3 * LIMITS.holdAgainMs);
  assert.deepEqual([sweeps, lines.length], [4, 4]);
  isGone = false;
  await system.advance(LIMITS.holdAgainMs + 2 * LIMITS.sweepMs);
  assert.deepEqual([sweeps, lines.length], [7, 4]);
});

test('a session that the storage could not show is looked at again when it is back, unasked', async () => {
  const { world, driver, flown, parked, system } = bench();
  await driver.start();
  const awayMs = 4 * LIMITS.holdAgainMs;
  const backAt = system.clock.monotonicMs() + awayMs;
  world.onLook = () => {
    if (system.clock.monotonicMs() < backAt) throw gone;
    return { effects: [generate()], wakeAt: null };
  };
  driver.hint({ session: 's', agent: 'a', head: 4, status: 'running', activeRun: 'r1', outstanding: 1, own: false });
  await system.advance(awayMs - 1);
  assert.equal(flown.length, 0);
  await system.advance(LIMITS.holdAgainMs + 1);
  assert.deepEqual(
    flown.map(({ session }) => session),
    ['s'],
  );
  assert.deepEqual(parked, []);
});

test('what may have become free is looked for again where the storage could not say', async () => {
  const { world, driver, flown, system } = bench({ holding: { ...soleHolding(EPOCH), isShared: true } });
  await driver.start();
  const due = { sessions: ['s'], next: null };
  let asked = 0;
  world.courier.due = async () => ((asked += 1) === 1 ? Promise.reject(gone) : due);
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  driver.hint(null);
  await system.advance(LIMITS.holdAgainMs);
  assert.equal(flown.length, 1);
});

test('a wake comes when it is due; one that changes nothing does not come again at once', async () => {
  const { world, driver, ids, system } = bench();
  await driver.start();
  const at = system.clock.now() + 50;
  world.onStep = (_session, { id }) => ({ wakeAt: at, entries: id === 'go' ? 1 : 0 });
  await driver.submit('s', user('go'));
  await system.advance(49);
  assert.equal(ids().length, 1);
  await system.advance(1 + 10 * LIMITS.faultBackoffMs);
  assert.ok(ids().length > 2 && ids().length < 15, `${ids().length} wakes`);
});

test('what was seen before a step is not acted upon after it', async () => {
  const { world, driver, flown, system } = bench({
    courier: {
      look: async () => {
        await hold.promise;
        return { effects: [generate()], wakeAt: null, agent: 'a' };
      },
    },
  });
  const hold = Promise.withResolvers<void>();
  world.due.push('s');
  const started = driver.start();
  await system.settle();
  await driver.submit('s', user('1'));
  hold.resolve();
  await started;
  assert.equal(flown.length, 0);
});

test('a mailbox has a bound', async () => {
  const { world, driver } = bench();
  await driver.start();
  world.onStep = async () => new Promise(() => {});
  for (let i = 0; i <= LIMITS.mailbox; i += 1) void driver.submit('s', user(`${i}`)).catch(() => {});
  await assert.rejects(driver.submit('s', user('more')), { code: 'rate_limited' });
});

test('a drain admits nothing, stops what may run again and lets what is unsafe end', async () => {
  const { world, driver, flown, ids, system } = bench();
  await driver.start();
  const ends = new Map<string, () => void>();
  world.onFly = async (_session, effect) =>
    new Promise((resolve) => ends.set(effect.id, () => resolve(outcome(effect))));
  world.onStep = (_session, { id }) => ({
    effects: id === 'go' ? [generate(), callOf('pure', 0), callOf('keyed', 1), callOf('unsafe', 2)] : [],
  });
  await driver.submit('s', user('go'));
  let over = false;
  const stopped = driver.stop().then(() => (over = true));
  await assert.rejects(driver.submit('s', user('late')), { code: 'unavailable' });
  await system.advance(LIMITS.drainIdleMs);
  assert.deepEqual(
    flown.map(({ effect, signal }) => [effect.id, signal.aborted]),
    [
      ['r1t1', true],
      ['r1t1c0', true],
      ['r1t1c1', true],
      ['r1t1c2', false],
    ],
  );
  for (const id of ['r1t1', 'r1t1c0', 'r1t1c1']) ends.get(id)?.();
  await system.settle();
  assert.deepEqual([over, ids()], [false, ['go']], 'the next process asks about these as lost');
  ends.get('r1t1c2')?.();
  await stopped;
  assert.deepEqual(ids(), ['go', 'r1t1c2#1']);
  assert.equal(system.timersSet, 0);
});

test('an unsafe call gets so long and no longer, then it is told to stop and left to the next process', async () => {
  const { world, driver, flown, ids, system } = bench();
  await driver.start();
  world.onStep = (_session, { id }) => ({ effects: id === 'go' ? [callOf('unsafe')] : [] });
  await driver.submit('s', user('go'));
  let over = false;
  void driver.stop({ drainMs: 10_000 }).then(() => (over = true));
  await system.advance(9_999);
  assert.equal(over, false);
  await system.advance(1);
  assert.equal(over, true);
  assert.equal(flown[0]?.signal.aborted, true);
  assert.deepEqual(ids(), ['go']);
});

test('with nothing unsafe under way a drain is over at once, or within its short time where the storage is in the way', async () => {
  const { driver } = bench();
  await driver.start();
  await driver.stop();
  const stuck = bench();
  await stuck.driver.start();
  stuck.world.onFly = async (_session, effect) => outcome(effect);
  stuck.world.onStep = (_session, { id }) => {
    if (id !== 'go') throw full;
    return { effects: [callOf('unsafe')] };
  };
  await stuck.driver.submit('s', user('go'));
  await stuck.system.settle();
  let over = false;
  void stuck.driver.stop().then(() => (over = true));
  await stuck.system.advance(LIMITS.drainMs);
  assert.equal(over, true);
});

test('whoever waits when the drain is over is told, and a second stop waits for the first', async () => {
  const { world, driver, system } = bench();
  await driver.start();
  world.onStep = async () => new Promise(() => {});
  const waiting = [driver.submit('s', user('1')), driver.submit('s', user('2'))].map(async (one) =>
    one.catch((error: { code: string }) => error.code),
  );
  const both = [driver.stop(), driver.stop()];
  await system.advance(LIMITS.drainIdleMs);
  await Promise.all(both);
  assert.equal(await waiting[1], 'unavailable');
  await assert.rejects(driver.submit('s', user('3')), { code: 'unavailable' });
});

test('an unsafe call that was let through and never began is handed back, not lost', async () => {
  const { world, driver, flown, steps, system } = bench({ effects: 1 });
  await driver.start();
  const hold = Promise.withResolvers<void>();
  world.onStep = async (_session, { id }) => {
    if (id === 'gate') await hold.promise;
    if (id === 'busy') return { effects: [callOf('unsafe', 0), callOf('unsafe', 1)] };
    return { effects: id === 'gate' ? [callOf('unsafe', 2)] : [] };
  };
  world.onFly = async (_session, effect) => (await hold.promise, outcome(effect));
  await driver.submit('busy', user('busy'));
  const gated = driver.submit('gate', user('gate'));
  await system.settle();
  assert.equal(flown.length, 1, 'the second one waits for its slot');
  const stopped = driver.stop();
  hold.resolve();
  await Promise.all([gated, stopped]);
  assert.equal(flown.length, 1);
  const handed = steps.flatMap(({ input: { command } }) =>
    command.kind === 'settle' && 'outcome' in command ? [`${command.effect} ${command.outcome.type}`] : [],
  );
  assert.equal(handed.length, 2);
  assert.deepEqual(new Set(handed), new Set(['r1t1c1 call-homeless', 'r1t1c2 call-homeless']));
});

test('an unsafe call that has left is not handed back, though its outcome cannot be told while the process ends', async () => {
  for (const said of ['an outcome that the storage does not take', 'nothing'] as const) {
    const { world, driver, flown, steps, system } = bench();
    await driver.start();
    const ends = new Map<string, () => void>();
    world.onFly = async (_session, effect) =>
      new Promise((resolve, reject) =>
        ends.set(effect.id, () =>
          said === 'nothing' && effect.id === 'r1t1c0' ? reject(new Error('broken')) : resolve(outcome(effect)),
        ),
      );
    world.onStep = (_session, { id }) => {
      if (id === 'r1t1c0#1') throw gone;
      return { effects: id === 'go' ? [callOf('unsafe', 0), callOf('unsafe', 1)] : [callOf('unsafe', 0)] };
    };
    await driver.submit('s', user('go'));
    await system.settle();
    assert.equal(flown.length, 2);
    const stopped = driver.stop();
    for (const id of ['r1t1c0', 'r1t1c1']) {
      ends.get(id)?.();
      await system.settle();
    }
    await stopped;
    const ids = steps.map(({ input }) => input.id);
    assert.deepEqual(ids, said === 'nothing' ? ['go', 'r1t1c1#1'] : ['go', 'r1t1c0#1', 'r1t1c1#1'], said);
  }
});

test('a call that was handed back is run by the next process, once', async () => {
  let paid = 0;
  const slow = Promise.withResolvers<void>();
  const pay = tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object' },
    run: async () => ((paid += 1), 'paid'),
  });
  const world = await World.create({
    tools: [pay],
    host: { effects: 1 },
    script: (call) => (call.items.at(-1)?.kind === 'result' ? { text: 'ok' } : { calls: [{ name: 'pay' }] }),
  });
  world.weather.append = async (request) => {
    // Its leave to be run is being written when the drain begins.
    if (Buffer.from(request.frame.bytes).toString().includes('call.attempted')) await slow.promise;
    return undefined;
  };
  const { session, run } = await world.open();
  await world.system.settle();
  const stopped = world.host.stop();
  slow.resolve();
  await stopped;
  assert.equal(paid, 0);
  const next = await world.crash();
  const view = await next.run(session, run);
  assert.deepEqual([view.status, paid], ['completed', 1]);
});

test('nothing is kept of sessions that are at rest', async () => {
  const { world, driver, system } = bench();
  await driver.start();
  world.onFly = async (_session, effect) => outcome(effect);
  world.onStep = (_session, { id }) => ({ effects: id === 'go' ? [generate()] : [] });
  const busy: number[] = [];
  const counting = bench({ courier: { evict: async (isBusy) => (busy.push(['a', 'b'].filter(isBusy).length), 0) } });
  await counting.driver.start();
  counting.world.onStep = (_session, { id }) => ({ effects: id === 'stay' ? [generate()] : [] });
  await counting.driver.submit('a', user('stay'));
  await counting.driver.submit('b', user('leave'));
  await counting.system.advance(LIMITS.sweepMs);
  assert.deepEqual(busy, [0, 1]);
  await driver.submit('s', user('go'));
  await system.settle();
  assert.equal(system.timersSet, 1);
});

test('a session that another engine leads is driven from its word until it rests; what turns up before is told to it', async () => {
  const told: [string, number | null][] = [];
  const { world, driver, flown, ids, system } = bench({ lead: (session, at) => void told.push([session, at]) });
  await driver.start();
  const now = system.clock.now();
  world.onStep = (_session, { id }) =>
    id === 'go' ? { effects: [generate()] } : id === 'later' ? { wakeAt: now + 5_000 } : {};
  await driver.submit('s', user('go'));
  await driver.submit('s', user('later'));
  await driver.submit('s', user('nothing'));
  await system.settle();
  assert.deepEqual(
    [told, flown.length],
    [
      [
        ['s', null],
        ['s', now + 5_000],
      ],
      0,
    ],
  );
  let settle = (_input: StepInput): void => {};
  world.onFly = async () => new Promise((resolve) => (settle = resolve));
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  const ends = [driver.drive('s'), driver.drive('s')];
  await system.settle();
  assert.equal(flown.length, 1);
  world.onStep = () => ({ wakeAt: now + 9_000 });
  settle(outcome(flown[0]?.effect ?? assert.fail()));
  const rest = { at: 'rest', wakeAt: now + 9_000, agent: 'a' };
  assert.deepEqual(await Promise.all(ends), [rest, rest]);
  await system.advance(10_000);
  assert.ok(!ids().some((id) => id.startsWith('wake')), "its timer is the other engine's");
});

test('what the leading engine forgot is driven by the sweeper, and its timer is handed back', async () => {
  const told: [string, number | null][] = [];
  const { world, driver, flown, system } = bench({ lead: (session, at) => void told.push([session, at]) });
  await driver.start();
  const wakeAt = system.clock.now() + 10 * LIMITS.sweepMs;
  world.due.push('s');
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  world.onFly = async (_session, effect) => outcome(effect);
  world.onStep = () => (world.due.splice(0), { wakeAt });
  await system.advance(LIMITS.sweepMs);
  assert.deepEqual([flown.length, told], [1, [['s', wakeAt]]]);
});

test('a process that ends, or cannot read, leaves a led session to be come back to', async () => {
  const { world, driver, system } = bench({ lead: () => {} });
  await driver.start();
  world.onLook = () => {
    throw gone;
  };
  await assert.rejects(driver.drive('s'), { code: 'unavailable' });
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  const end = driver.drive('s');
  await system.settle();
  await driver.stop();
  await assert.rejects(end, { code: 'unavailable' });
  await assert.rejects(driver.drive('s'), { code: 'unavailable' });
});

test('a led session that rests is kept while nobody else works, and let go soon when somebody does', async () => {
  let isAlone = true;
  const released: string[] = [];
  const release = async (session: string): Promise<void> => void released.push(session);
  const holding = { ...soleHolding(EPOCH), isShared: true, isAlone: () => isAlone, release };
  const { world, driver, system } = bench({ lead: () => {}, holding });
  await driver.start();
  world.onLook = () => ({ effects: [], wakeAt: null });
  await driver.drive('s');
  await system.advance(2 * LIMITS.companyMs);
  assert.deepEqual(released, []);
  isAlone = false;
  await system.advance(LIMITS.companyMs);
  assert.deepEqual(released, ['s']);
  await driver.drive('t');
  assert.deepEqual(released, ['s', 't'], 'where somebody else works, at once');
});

test('a led session that comes to rest while the lease is in doubt is let go all the same', async () => {
  let isSure = true;
  const released: string[] = [];
  const holding = {
    ...soleHolding(EPOCH),
    isShared: true,
    isAlone: () => false,
    held: () => (isSure ? EPOCH : null),
    release: async (session: string): Promise<void> => void released.push(session),
  };
  const { world, driver, system } = bench({ lead: () => {}, holding });
  await driver.start();
  world.onLook = () => ({ effects: [generate()], wakeAt: null });
  world.onFly = async (_session, effect) => outcome(effect);
  world.onStep = () => ((isSure = false), {});
  await driver.drive('s');
  await system.settle();
  assert.deepEqual(released, ['s'], 'whoever is called next finds it free');
});
