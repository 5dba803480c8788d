import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, call, failed, given, open, returned, send, Spec, type Step, wake } from '@perdure/testkit/spec';
import type { Entry } from './events.ts';
import { turnId } from './ids.ts';
import { evolve, fold } from './machine.ts';
import { freshState } from './state.ts';
import type { Actor } from './values.ts';
import type { RunId, TurnId } from './ids.ts';

const round = (run: RunId, turn: TurnId): Step[] => [
  answered(turn, [call()]),
  returned(`${turn}c0`),
  answered(turnId(run, 2)),
];

/** A session of so many rounds: a message, a call, an answer. */
function session(rounds: number): Spec {
  const spec = new Spec({ quick: true }).given(open());
  for (let n = 1; n <= rounds; n += 1) spec.given(send(`s${n}`), ...round(`r${n}`, `r${n}t1`));
  return spec;
}

/** Counts whatever is done to a collection. */
function counted<T extends object>(target: T, count: () => void): T {
  return new Proxy(target, {
    get(object, key) {
      count();
      const value: unknown = Reflect.get(object, key, object);
      return typeof value === 'function' ? value.bind(object) : value;
    },
    set(object, key, value) {
      count();
      return Reflect.set(object, key, value, object);
    },
    ownKeys(object) {
      for (const _ of Reflect.ownKeys(object)) count();
      return Reflect.ownKeys(object);
    },
  });
}

describe('the cost of a round does not grow with the session:', () => {
  const measured = (rounds: number) => {
    const spec = session(rounds);
    const { state } = spec;
    let operations = 0;
    const count = (): void => {
      operations += 1;
    };
    state.context.items = counted(state.context.items, count);
    for (const key of ['submissions', 'resolved', 'unheard', 'runs', 'waits'] as const)
      Object.assign(state, { [key]: counted(state[key], count) });
    const from = spec.log.length;
    const run: RunId = `r${rounds + 1}`;
    spec.given(send('measured'), ...round(run, turnId(run, 1)));
    const entries = spec.log.slice(from);
    const chars = entries.map((entry) => JSON.stringify(entry).replaceAll(/\d+/g, '0').length);
    return { operations, chars };
  };

  it('not what is done to its collections, and not the size of its entries', () => {
    const few = measured(10);
    const many = measured(400);
    assert.ok(few.operations > 0);
    assert.deepEqual(many, few);
  });

  it('and each entry is small', () => {
    for (const entry of session(20).log) assert.ok(JSON.stringify(entry).length < 800, JSON.stringify(entry));
  });
});

describe('a transition', () => {
  it('stamps its entries with the input, who caused it, and a time that never goes back', () => {
    const spec = given(open());
    spec.at = 5;
    spec.given(send('one'));
    for (const entry of spec.log.slice(1)) {
      assert.deepEqual([entry.at, entry.input, entry.by, entry.v], [1_000, 'i2', { kind: 'user', id: 'u1' }, 1]);
    }
  });

  it('that changes nothing still starts what has become possible', () => {
    const spec = given(open(), send('one'), send('two'));
    const { pin } = spec;
    spec.pin = null;
    spec.given(answered('r1t1'));
    spec.pin = pin;
    spec.when(send('one')).leadsTo({ kind: 'run.started', run: 'r2' }, 'turn.requested');
    assert.deepEqual(spec.last.ok && spec.last.receipt, { seq: 2, run: 'r1' });
  });

  it('gives the receipt of the first entry, with the run or the wait it is about', () => {
    const spec = given(open(), send('one')).given({ kind: 'hold', run: 'r1' });
    assert.deepEqual(spec.last.ok && spec.last.receipt, { seq: 5, run: 'r1' });
  });

  it('of a message by a user is trusted, one by an agent is not', () => {
    const steered = (by: Actor) =>
      new Spec({ by })
        .given(open(), send('one'), send('two', { mode: 'steer' }))
        .state.runs.get('r1')
        ?.steers.map(({ trusted: whether }) => whether);
    assert.deepEqual(steered({ kind: 'user', id: 'u' }), [true]);
    assert.deepEqual(steered({ kind: 'key', id: 'k' }), [true]);
    assert.deepEqual(steered({ kind: 'agent', id: 'a' }), [false]);
    const trusted = (by: Actor) =>
      new Spec({ by })
        .given(open(), send('one'))
        .state.context.items.map((item) => item.kind === 'message' && item.trusted);
    assert.deepEqual(trusted({ kind: 'key', id: 'k' }), [true]);
    assert.deepEqual(trusted({ kind: 'agent', id: 'a' }), [false]);
  });
});

describe('the fold', () => {
  it('of a log in pieces is the fold of the log', () => {
    const { log, state } = session(5);
    const half = fold(log.slice(0, 12));
    assert.deepStrictEqual(fold(log.slice(12), half), state);
  });

  it('never refuses: entries of kinds it does not know, and of runs it does not have, change nothing but the head', () => {
    const strange = [
      { kind: 'session.wondered', data: {} },
      { kind: 'call.settled', run: 'r7', effect: 'r7t1c0', data: { attempt: 1, outcome: 'done' } },
      { kind: 'effect.late', run: 'r7', effect: 'r7t1c0', data: { attempt: 1, outcome: 'done' } },
    ];
    const state = freshState();
    const plain = freshState();
    for (const [i, event] of strange.entries()) {
      const entry = {
        ...event,
        seq: i + 1,
        at: 1,
        v: 1,
        input: 'i',
        by: { kind: 'user', id: 'u' },
      } as unknown as Entry;
      evolve(state, entry);
    }
    assert.deepStrictEqual(state, { ...plain, head: 3, at: 1 });
  });

  it('does not change the entries it is given', () => {
    const log = given(
      open(),
      send('one'),
      answered('r1t1', [call()]),
      returned('r1t1c0'),
      failed('r1t2'),
      answered('r1t2', [], { attempt: 2 }),
      send('two'),
      wake,
    ).log;
    const text = JSON.stringify(log);
    fold(log);
    assert.equal(JSON.stringify(log), text);
  });
});
