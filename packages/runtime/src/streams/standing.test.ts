import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMemoryStore } from '@perdure/stores/memory';
import { createScriptedModel } from '@perdure/testkit';
import { answered, call, gate, open, send, Spec } from '@perdure/testkit/spec';
import { agent, createHost, openSession, Redactor, silentLogger } from '../index.ts';
import type { LogStore, Store, System } from '../ports.ts';
import { standingOf } from './standing.ts';

test('an effect is due while it is outstanding, stopped once its run stops, gone when it is settled', () => {
  const spec = new Spec().given(open(), send('one'), answered('r1t1', [call('unsafe')]), gate('r1t1c0'));
  const effect = {
    type: 'call',
    id: 'r1t1c0',
    run: 'r1',
    attempt: 1,
    epoch: 1,
    notBefore: 0,
    class: 'unsafe',
  } as const;
  assert.equal(standingOf(spec.state, effect), 'due');
  assert.equal(standingOf(spec.state, { ...effect, attempt: 2 }), 'gone');
  assert.equal(standingOf(spec.state, { type: 'verify', id: 'r1t1c0', run: 'r1', attempt: 1, epoch: 1 }), 'gone');
  spec.given({ kind: 'cancel', run: 'r1' });
  assert.equal(standingOf(spec.state, effect), 'stopped');
  const turn = { type: 'generate', id: 'r1t1', run: 'r1', attempt: 1, epoch: 1, notBefore: 0 } as const;
  assert.equal(standingOf(spec.state, turn), 'gone');
});

/** Time that moves by hand. */
function manual(): System & { pass(ms: number): void } {
  let now = 1_000;
  let timers: { at: number; run(): void }[] = [];
  return {
    clock: { now: () => now, monotonicMs: () => now },
    random: { bytes: (count) => new Uint8Array(count).fill(7) },
    timers: {
      set(afterMs, run) {
        const timer = { at: now + afterMs, run };
        timers.push(timer);
        return { cancel: () => void (timers = timers.filter((other) => other !== timer)) };
      },
    },
    pass(ms) {
      now += ms;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const timer of due) timer.run();
    },
  };
}

/** A store whose appends wait for `held`, which a test may set. */
function slow(store: Store, of: { held: Promise<void> }): Store {
  const { log, ...rest } = store.tenant('default');
  const append: LogStore['append'] = async (request) => {
    await of.held;
    return log.append(request);
  };
  const own = new Proxy(log, { get: (target, name) => (name === 'append' ? append : Reflect.get(target, name)) });
  return { ...store, tenant: () => ({ ...rest, log: own }) };
}

const microtasks = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a retry whose backoff ends while a cancel is being written does not leave any more (P10)', async (t) => {
  const system = manual();
  const model = createScriptedModel(() => ({ fail: 'overloaded', retry: 'now' }));
  const of = { held: Promise.resolve() };
  const host = await createHost({
    store: slow(openMemoryStore({ clock: system.clock }), of),
    agents: [agent({ name: 'assistant', model: 'scripted' })],
    models: model.source,
    system,
    logger: silentLogger,
    redactor: new Redactor(),
    engineHash: 'test',
  });
  await host.start();
  t.after(async () => host.stop({ drainMs: 0 }));
  const run = await openSession(host, 'assistant').send('hello');
  await microtasks();
  assert.equal(model.calls.length, 1, 'the first attempt has failed, the second waits for its backoff');

  const writing = Promise.withResolvers<void>();
  of.held = writing.promise;
  const cancelled = run.cancel();
  await microtasks();
  system.pass(60_000);
  await microtasks();
  writing.resolve();
  await cancelled;
  await microtasks();
  assert.equal(model.calls.length, 1, 'nothing left after the cancel');
  assert.equal((await run.result()).status, 'cancelled');
});
