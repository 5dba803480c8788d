/**
 * Whatever happens to a session, in whatever order: `Spec` checks every invariant after each step (and that the same
 * input gives the same bytes, that a refusal changes nothing, that a doubled delivery adds nothing).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  accepted,
  answered,
  call,
  compact,
  failed,
  gate,
  homeless,
  lost,
  open,
  parks,
  resolve,
  returned,
  send,
  Spec,
  type Step,
  summed,
  unknown,
  unsummed,
  usage,
  wake,
} from '@perdure/testkit/spec';
import fc from 'fast-check';
import type { Command, Retry, RuledCall } from './commands.ts';
import type { Entry } from './events.ts';
import type { WaitId } from './ids.ts';
import { runId, waitId } from './ids.ts';
import { LIMITS } from './limits.ts';
import { fold } from './machine.ts';
import type { Effect } from './outstanding.ts';
import { outstanding, wakeAt } from './outstanding.ts';
import type { Wait } from './state.ts';
import type { Answer, EffectClass, Limits, Pin, Price } from './values.ts';

const MOVES = [
  'send',
  'send',
  'outcome',
  'outcome',
  'outcome',
  'outcome',
  'outcome',
  'outcome',
  'again',
  'late',
  'restart',
  'lost',
  'lost',
  'answer',
  'answer',
  'steer run',
  'pass',
  'jump',
  'configure',
  'slot',
  'compact',
  'refuse',
  'agent',
  'breaker',
  'breaker',
  'accepted',
  'accepted',
  'close',
] as const;
type Move = { move: (typeof MOVES)[number]; a: number; b: number; c: number };
type World = { limits: Partial<Limits>; pin: Partial<Pin>; model: string[] };

const pick = <T>(list: readonly T[], n: number): T | undefined =>
  list.length === 0 ? undefined : list[n % list.length];
const choose = <T>(n: number, ...list: [T, ...T[]]): T => list[Math.floor(n) % list.length] ?? list[0];

/** A player turns numbers into what can happen next. */
class Player {
  readonly spec: Spec;
  readonly #said: Command[] = [];
  #submissions = 0;

  constructor({ limits, pin, model }: World) {
    this.spec = new Spec({ pin }).given(open({ limits, model }));
  }

  play({ move, a, b, c }: Move): void {
    const { spec } = this;
    const effect = pick(outstanding(spec.state), a);
    switch (move) {
      case 'send':
        return this.#send(a, b, c);
      case 'outcome':
        return effect === undefined ? undefined : this.#say(outcomeOf(effect, b, c));
      case 'again': {
        const said = pick(this.#said, a);
        return said === undefined ? undefined : this.#say(said);
      }
      case 'late': {
        const [id, attempts] = pick([...spec.state.unheard], a) ?? [];
        const attempt = pick(attempts ?? [], b);
        if (id === undefined || attempt === undefined) return undefined;
        const type = id.startsWith('k') ? 'compact' : id.includes('c') ? 'call' : 'generate';
        return this.#say(outcomeOf({ type, id, run: 'r1', attempt, epoch: 0, notBefore: 0 } as Effect, b, c));
      }
      case 'restart':
        return this.#take({ restart: true });
      case 'lost':
        return effect === undefined || effect.type === 'gate' ? undefined : this.#say(lost(effect.id, effect.attempt));
      case 'answer':
        return this.#answer(a, b, c);
      case 'steer run':
        return this.#say({
          kind: choose(b, 'hold', 'release', 'cancel', 'unqueue'),
          run: runId(1 + (a % (spec.state.lastRun + 1))),
        });
      case 'pass':
        this.#take({ pass: choose(b, 1, 700, 60_000, 90_000_000) });
        return this.#say(wake);
      case 'jump':
        spec.at = choose(b, 0, spec.at - 5_000, spec.at + 3_600_000);
        return undefined;
      default:
        return this.#rarely(move, a, b, c);
    }
  }

  #rarely(move: Move['move'], a: number, b: number, c: number): void {
    const { spec } = this;
    switch (move) {
      case 'configure':
        return this.#say({
          kind: 'configure',
          ifRevision: spec.state.revision - (b % 2),
          config: { model: choose<string | string[]>(c, 'demo/1', 'demo/2', ['demo/1', 'demo/2', 'demo/3']) },
        });
      case 'slot':
        return this.#say(
          b % 3 === 0
            ? { kind: 'forget', key: `k${a % 3}` }
            : { kind: 'remember', key: `k${a % 3}`, ref: { digest: `d${c % 3}`, bytes: 50 } },
        );
      case 'compact':
        return this.#say(compact);
      case 'refuse':
        spec.refusal = {
          account: choose(a, 'agent/clerk', 'ses_1', `ses_1/${spec.state.active ?? 'r1'}`),
          limit: choose(b, 'tokens', 'money'),
          needed: 5_000,
          free: (c * 37) % 3_000,
        };
        return undefined;
      case 'accepted': {
        const turn = outstanding(spec.state).find(({ type }) => type === 'generate');
        return turn === undefined ? undefined : this.#say(accepted(turn.id, `answer ${b % 3}`, 1 + (a % 3)));
      }
      case 'breaker':
        if (b % 2 === 0) spec.broken.set(`demo/${1 + (a % 3)}`, 'overloaded');
        else spec.broken.delete(`demo/${1 + (a % 3)}`);
        return undefined;
      case 'agent':
        spec.pin = spec.pin === null || b % 2 === 0 ? new Spec().pin : null;
        return undefined;
      default:
        return a % 8 === 0 ? this.#say({ kind: 'close' }) : undefined;
    }
  }

  /** Faults are over: outcomes come, waits are answered, nothing is held. Everything must come to its end (P7). */
  heal(): void {
    const { spec } = this;
    spec.refusal = null;
    spec.pin ??= new Spec().pin;
    for (let step = 0; !this.#isIdle(); step += 1) {
      assert.ok(step < 3_000, `runs ${[...spec.state.runs.keys()].join(', ')} do not come to their end`);
      const [effect] = outstanding(spec.state);
      const [wait] = spec.state.waits.values();
      const held = [...spec.state.runs.values()].find((run) => run.held);
      const before = spec.state.head;
      if (held !== undefined) this.#say({ kind: 'release', run: held.id });
      else if (effect?.type === 'gate') this.#say(gate(effect.id));
      else if (effect !== undefined)
        this.#say(effect.epoch === spec.epoch ? outcomeOf(effect, 0, 0) : lost(effect.id, effect.attempt));
      else if (wait !== undefined) this.#end(wait);
      else this.#say(wake);
      assert.ok(spec.state.head > before, 'each step gets on');
    }
  }

  #isIdle(): boolean {
    return this.spec.state.runs.size === 0;
  }

  #end(wait: Wait): void {
    this.spec.at = Math.max(this.spec.at, this.spec.state.at, wait.expiresAt ?? 0);
    if (wait.expiresAt !== null) this.#say(wake);
    else this.#say(resolve(wait.id, fitting(wait, 1)));
  }

  #send(a: number, b: number, c: number): void {
    const fresh = a % 5 !== 0;
    if (fresh) this.#submissions += 1;
    const submission = `s${fresh ? this.#submissions : b % (this.#submissions + 1)}`;
    const over = a % 11 === 0 ? { payload: 'another' } : {};
    this.#say(send(submission, { mode: choose(b, 'queue', 'steer', 'interrupt'), priority: c % 3, ...over }));
  }

  #answer(a: number, b: number, c: number): void {
    const { state } = this.spec;
    const wait = a % 4 === 0 ? undefined : pick([...state.waits.values()], a);
    const id: WaitId = wait?.id ?? waitId(1 + (a % (state.lastWait + 1)));
    const answer: Answer =
      wait === undefined ? { kind: 'question', ref: { digest: 'late', bytes: 4 } } : fitting(wait, b);
    this.#say(resolve(id, answer, c % 7 === 0 ? 'another answer' : undefined));
  }

  #say(command: Command): void {
    this.#said.push(command);
    this.#take(command);
  }

  #take(step: Step): void {
    this.spec.when(step);
  }
}

function outcomeOf(effect: Effect, b: number, c: number): Command {
  switch (effect.type) {
    case 'gate':
      return gate(effect.id);
    case 'generate':
      return turnOutcome(effect, b, c);
    case 'compact':
      return compactOutcome(effect, b, c);
    case 'call':
      return callOutcome(effect, b, c);
    case 'verify': {
      const { id, attempt } = effect;
      const said = [
        returned(id, 'done', { attempt }),
        returned(id, 'failed', { attempt }),
        unknown(id, attempt),
      ] as const;
      return choose(b, ...said, homeless(id, attempt));
    }
    case 'abort':
      if (effect.id.startsWith('k')) return compactOutcome(effect, b, c);
      return effect.id.includes('c') ? callOutcome({ ...effect, id: effect.id }, b, c) : turnOutcome(effect, b, c);
    default: {
      const never: never = effect;
      return never;
    }
  }
}

type Attempt = { id: Effect['id']; attempt: number };

function compactOutcome({ id, attempt }: Attempt, b: number, c: number): Command {
  const billed = usage({ input: (c * 13) % 900, output: (c * 7) % 1_200 });
  if (b % 3 > 0) return summed(id, { attempt, usage: billed, bytes: 1 + (c % 90) });
  return unsummed(id, {
    attempt,
    code: choose(Math.floor(b / 3), 'overloaded', 'context_length'),
    retry: choose<Retry>(c, 'now', 'no', { afterMs: 2_000 }),
    spent: choose(c, { kind: 'none' }, { kind: 'bound' }, { kind: 'usage', usage: billed }),
  });
}

function turnOutcome({ id, attempt }: Attempt, b: number, c: number): Command {
  const billed = usage({ input: (c * 13) % 900, output: (c * 7) % 1_200 });
  switch (b % 8) {
    case 0:
    case 1:
      return answered(id, [], { attempt, usage: billed });
    case 2:
      return c % 2 === 0
        ? answered(id, [], { attempt, stop: choose(c / 2, 'length', 'filtered', 'empty') })
        : answered(id, [], { attempt, stop: 'invalid_output', misfit: `misfit of ${id}` });
    case 3:
      return failed(id, {
        attempt,
        code: choose(b / 8, 'overloaded', 'stream_cut', 'context_length', 'response_gone'),
        ...(c % 2 === 0 ? {} : { resumable: true }),
        retry: choose<Retry>(c, 'now', 'no', { afterMs: 2_000 }),
        spent: choose(c, { kind: 'none' }, { kind: 'bound' }, { kind: 'usage', usage: billed }),
      });
    default:
      return answered(
        id,
        Array.from({ length: 1 + (b % 4) }, (_, n) => ruled(b + n * 3, c + n)),
        { attempt, usage: billed },
      );
  }
}

function ruled(b: number, c: number): RuledCall {
  const kind: EffectClass = choose(b, 'pure', 'keyed', 'unsafe');
  const decision: RuledCall['decision'] = choose<RuledCall['decision']>(
    c,
    { verdict: 'allow' },
    { verdict: 'allow' },
    { verdict: 'ask' },
    { verdict: 'ask', expiresAt: 30_000 },
    { verdict: 'deny' },
    { verdict: 'invalid', code: 'unknown_tool', result: { digest: 'no such tool', bytes: 9 } },
  );
  return call(kind, { decision, verify: c % 2 === 0 });
}

function callOutcome(effect: Attempt, b: number, c: number): Command {
  const { id, attempt } = effect;
  const prompt = { digest: 'which one?', bytes: 9 };
  switch (b % 9) {
    case 1:
      return returned(id, 'failed', { attempt });
    case 2:
      return returned(id, 'failed', { attempt, retry: choose<Retry>(c, 'now', { afterMs: 9_000 }) });
    case 3:
    case 4:
      return unknown(id, attempt);
    case 5:
      return parks(id, { kind: 'question', prompt, ...(c % 2 === 0 ? {} : { expiresAt: 40_000 }) }, attempt);
    case 6:
      return parks(
        id,
        choose(c, { kind: 'timer', dueAt: 50_000 }, { kind: 'callback' }, { kind: 'callback', expiresAt: 60_000 }),
        attempt,
      );
    case 7:
      return homeless(id, attempt);
    default:
      return returned(id, 'done', { attempt });
  }
}

function fitting(wait: Wait, b: number): Answer {
  const ref = { digest: 'answer', bytes: 6 };
  switch (wait.kind) {
    case 'approval': {
      const digest = wait.digest ?? '';
      const edited = b % 3 === 0 ? { edited: { digest: `edit ${wait.id}`, ref } } : {};
      return b % 2 === 0
        ? { kind: 'approval', decision: 'approve', digest, ...edited }
        : { kind: 'approval', decision: 'deny', digest, note: ref };
    }
    case 'outcome':
      return { kind: 'outcome', outcome: choose(b, 'retry', 'done', 'failed') };
    case 'budget':
      return b % 2 === 0
        ? {
            kind: 'budget',
            decision: 'raise',
            cap: { [wait.shortage?.limit === 'tokens' ? 'tokens' : 'nanoUsd']: 1_000 * b },
          }
        : { kind: 'budget', decision: 'deny' };
    case 'tool':
      return { kind: 'tool', decision: choose(b, 'back', 'gone') };
    case 'timer':
    case 'question':
      return { kind: 'question', ref };
    case 'callback':
      return { kind: 'callback', ref };
    case 'child':
      return { kind: 'child', ref };
    default: {
      const never: never = wait.kind;
      return never;
    }
  }
}

const nat = fc.nat({ max: 999 });
const moves = fc.array(fc.record({ move: fc.constantFrom(...MOVES), a: nat, b: nat, c: nat }), {
  maxLength: 70,
  size: 'max',
});
const cap = (max: number) => fc.option(fc.integer({ min: 0, max }), { nil: undefined });
const PRICE: Price = { id: 'list', input: 1_000, cachedInput: 100, cacheWrite: 1_250, output: 2_000 };
const world: fc.Arbitrary<World> = fc
  .record({
    turns: fc.integer({ min: 1, max: 6 }),
    calls: fc.integer({ min: 0, max: 8 }),
    deadlineMs: fc.constantFrom(1_000, 86_400_000),
    tokens: cap(20_000),
    nanoUsd: cap(30_000),
    sessionTokens: cap(20_000),
    priced: fc.boolean(),
    models: fc.constantFrom(1, 2, 3),
    windowTokens: fc.option(fc.integer({ min: 60, max: 3_000 }), { nil: undefined }),
    other: fc.boolean(),
  })
  .map(({ turns, calls, deadlineMs, tokens, nanoUsd, sessionTokens, priced, models, windowTokens, other }) => {
    const limits: Partial<Limits> = { turns, calls, deadlineMs };
    if (tokens !== undefined) limits.tokens = tokens;
    if (nanoUsd !== undefined && priced) limits.nanoUsd = nanoUsd;
    if (sessionTokens !== undefined) limits.session = { tokens: sessionTokens };
    const price = priced ? PRICE : null;
    const pin: Partial<Pin> = { price, maxOutputTokens: 300 };
    if (windowTokens !== undefined) pin.windowTokens = windowTokens;
    if (other) pin.summarizer = { model: 'demo/small', maxOutputTokens: 400, price };
    return { limits, pin, model: ['demo/1', 'demo/2', 'demo/3'].slice(0, models) };
  });

// Small bounds, so that what lies behind them is reached.
Object.assign(LIMITS as { -readonly [name in keyof typeof LIMITS]: number }, {
  compactionMinTokens: 10,
  minCompactionBytes: 64,
});

describe('whatever happens to a session', () => {
  it('it keeps every invariant at each step, and comes to its end once the faults are over', () => {
    fc.assert(
      fc.property(world, moves, (given, played) => {
        const player = new Player(given);
        for (const move of played) player.play(move);
        player.heal();
        const { log, state } = player.spec;
        assert.deepStrictEqual(
          fold(JSON.parse(JSON.stringify(log)) as Entry[]),
          state,
          'a log read back folds to the state',
        );
        const due = wakeAt(state);
        assert.equal(due, null, 'an idle session wakes for nothing');
      }),
      { numRuns: 250 },
    );
  });
});
