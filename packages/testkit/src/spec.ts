/**
 * Laws of the engine, readable: `given(steps).when(command).leadsTo(expected)`. A spec runs its steps through `transition`
 * with a clock, an epoch and pin facts of its own, and after each of them checks every invariant, that the same input
 * gives the same bytes (also from a snapshot), that a refusal changes nothing, and that a doubled delivery adds nothing.
 */
import assert from 'node:assert/strict';
import type {
  Actor,
  Answer,
  Budget,
  Command,
  Config,
  EffectClass,
  EffectId,
  Entry,
  Event,
  EventKind,
  Input,
  Pin,
  Price,
  RejectionCode,
  RuledCall,
  RunId,
  Shortage,
  Spent,
  State,
  Taint,
  ToolWait,
  Transition,
  TurnOutcome,
  Usage,
  WaitId,
} from '@perdure/engine';
import { decodeState, encodeState, evolve, freshState, mergeConfig, transition } from '@perdure/engine';
import { Invariants } from './invariants.ts';
import type { World } from './spec-world.ts';
import { PIN } from './spec-world.ts';

export type { World } from './spec-world.ts';

/** `pass`: time goes by. `restart`: the process dies, and another one with the next epoch goes on. */
export type Step = Command | Event | { pass: number } | { restart: true };
/** A kind, or the members that matter of an entry. */
export type Pattern = EventKind | { kind: EventKind; run?: RunId; effect?: EffectId; data?: object };
/** One session, told step by step; each failed expectation throws an AssertionError. Begun with `spec`. */
export class Spec {
  /** The fold of `log`. */
  readonly state: State = freshState();
  readonly log: Entry[] = [];
  /** Wall ms, and who dispatches. */
  at = 1_000;
  epoch = 1;
  /** The agent as this process defines it; null: it does not. */
  pin: Pin | null;
  /** Models whose circuit breaker is open, with the code that opened it. */
  readonly broken = new Map<string, string>();
  /** What the ledger says to the next input, and what is drawn on above the session. */
  refusal: Shortage | null = null;
  budgets: readonly Budget[] = [];
  last: Transition = { ok: true, entries: [], receipt: { seq: 0 } };
  readonly #by: Actor;
  readonly #quick: boolean;
  readonly #invariants = new Invariants();
  #inputs = 0;

  constructor(world: World = {}) {
    this.pin = world.pin === null ? null : { ...PIN, ...world.pin };
    this.#quick = world.quick ?? false;
    this.#by = world.by ?? { kind: 'user', id: 'u1' };
  }

  /** Steps that must be accepted. */
  given(...steps: Step[]): this {
    for (const step of steps) {
      this.#take(step);
      if (!this.last.ok) assert.fail(`${JSON.stringify(step)} was refused: ${this.last.rejection.message}`);
    }
    return this;
  }

  /** The step that the law is about; it may be refused. */
  when(step: Step): this {
    this.#take(step);
    return this;
  }

  /** What the last step appended, entry by entry. */
  leadsTo(...expected: Pattern[]): this {
    assert.ok(this.last.ok, `refused: ${JSON.stringify(this.last)}`);
    const { entries } = this.last;
    const kindOf = (pattern: Pattern): EventKind => (typeof pattern === 'string' ? pattern : pattern.kind);
    assert.deepEqual(
      entries.map(({ kind }) => kind),
      expected.map(kindOf),
    );
    for (const [i, pattern] of expected.entries()) {
      if (typeof pattern !== 'string') assert.partialDeepStrictEqual(entries[i], pattern);
    }
    return this;
  }

  /** The last step was accepted and appended nothing. */
  changesNothing(): this {
    return this.leadsTo();
  }

  /** The last step was turned away with this code. */
  isRefused(code: RejectionCode): this {
    assert.equal(this.last.ok ? 'accepted' : this.last.rejection.code, code);
    return this;
  }

  and(check: (spec: this) => void): this {
    check(this);
    return this;
  }

  /** The command as the next input of this session, for whoever calls `transition` himself. */
  input(command: Command): Input {
    const facts: Input['facts'] = {
      pin: (config) => this.#pinOf(config),
      breaker: (model) => this.broken.get(model) ?? null,
      budgets: this.budgets,
      refusals: this.refusal === null ? [] : [this.refusal],
    };
    this.refusal = null;
    this.#inputs += 1;
    return { id: `i${this.#inputs}`, at: this.at, by: this.#by, epoch: this.epoch, command, facts };
  }

  #take(step: Step): void {
    if ('pass' in step) this.at += step.pass;
    else if ('restart' in step) this.epoch += 1;
    else if (isEvent(step)) this.#append(step);
    else this.#deliver(this.input(step));
  }

  #append(event: Event): void {
    const { head } = this.state;
    const entry = { ...event, seq: head + 1, at: this.at, v: 1, input: 'given', by: this.#by } as Entry;
    this.#invariants.observe([entry], null);
    evolve(this.state, entry);
    this.log.push(entry);
  }

  #deliver(input: Input): void {
    if (this.#quick) {
      this.last = transition(this.state, input);
      if (!this.last.ok) return;
      this.log.push(...this.last.entries);
      this.#invariants.observe(this.last.entries, null);
      return;
    }
    const before = encodeState(this.state);
    this.last = transition(this.state, input);
    const copy = decodeState(before);
    assert.equal(JSON.stringify(transition(copy, input)), JSON.stringify(this.last), 'same input, same bytes');
    const after = encodeState(this.state);
    assert.equal(encodeState(copy), after, 'a snapshot goes on as the state does');
    if (!this.last.ok) {
      assert.equal(after, before, 'a refusal changes nothing');
      return;
    }
    this.log.push(...this.last.entries);
    this.#invariants.observe(this.last.entries, this.state, this.pin !== null);
    const doubled = transition(decodeState(after), input);
    assert.deepEqual(doubled.ok ? doubled.entries : [], [], 'a doubled delivery adds nothing');
  }

  #pinOf(config: Config): Pin | null {
    if (this.pin === null) return null;
    const { limits, model, maxOutputTokens } = mergeConfig({}, config);
    const pin: Pin = { ...this.pin, limits: { ...this.pin.limits, ...limits } };
    if (model !== undefined) setRoute(pin, typeof model === 'string' ? [model] : model);
    if (maxOutputTokens !== undefined) pin.maxOutputTokens = maxOutputTokens;
    if (Object.keys(config).length > 0) pin.hash = `${pin.hash} ${JSON.stringify(config)}`;
    return pin;
  }
}

/** Each further model costs half of the one before. */
function setRoute(pin: Pin, [first = '', ...others]: string[]): void {
  const { price, maxOutputTokens } = pin;
  pin.model = first;
  delete pin.fallbacks;
  if (others.length > 0)
    pin.fallbacks = others.map((model, n) => ({ model, maxOutputTokens, price: price && halved(price, n + 1) }));
}

function halved({ id, ...rates }: Price, times: number): Price {
  const half = (of: number): number => Math.ceil(of / 2 ** times);
  const { input, cachedInput, cacheWrite, output } = rates;
  return {
    id: `${id}/${2 ** times}`,
    input: half(input),
    cachedInput: half(cachedInput),
    cacheWrite: half(cacheWrite),
    output: half(output),
  };
}

/**
 * Begins a law of the engine: `spec().given(…).when(…).leadsTo(…)`. It runs on the pure state machine alone, without a
 * store, a model or time. After every step the engine's invariants are checked, that the same input gives the same bytes
 * (also from a snapshot), that a refusal changes nothing, and that a step which is delivered twice counts once.
 */
export const spec = (world: World = {}): Spec => new Spec(world);

/** The same for an agent that is nothing special. */
export const given = (...steps: Step[]): Spec => new Spec().given(...steps);

const isEvent = (step: Command | Event): step is Event => step.kind.includes('.');

// What a session is told, in the fewest words. Digests are readable: nothing here hashes.

const body = (name: string, bytes = 10): { digest: string; bytes: number } => ({ digest: name, bytes });

export const usage = (over: Partial<Usage> = {}): Usage => ({
  input: 100,
  cachedInput: 0,
  cacheWrite: 0,
  output: 20,
  reasoning: 0,
  source: 'provider',
  ...over,
});

export const open = (config?: Config): Command => {
  const command = { kind: 'open' as const, id: 'ses_1', tenant: 'default', agent: 'clerk' };
  return config === undefined ? command : { ...command, config };
};

type Send = Extract<Command, { kind: 'send' }>;
export const send = (submission: string, over: Partial<Send> = {}): Command => ({
  kind: 'send',
  submission,
  payload: `payload of ${submission}`,
  mode: 'queue',
  priority: 0,
  message: body(`message ${submission}`),
  ...over,
});

/** A call as the step has ruled on it: pure and allowed, unless told otherwise. */
export const call = (effect: EffectClass = 'pure', over: Partial<RuledCall> = {}): RuledCall => ({
  name: `${effect}-tool`,
  providerId: 'call_1',
  digest: 'arguments',
  class: effect,
  timeoutMs: 60_000,
  verify: false,
  rule: 'default',
  decision: { verdict: 'allow' },
  ...over,
});

type Settled = Extract<TurnOutcome, { type: 'turn' }>;
type Turned = { attempt?: number; stop?: Settled['stop']; usage?: Usage; misfit?: string };
/** The model answered: with calls when there are any. */
export const answered = (turn: EffectId, calls: RuledCall[] = [], over: Turned = {}): Command => ({
  kind: 'settle',
  effect: turn,
  attempt: over.attempt ?? 1,
  outcome: {
    type: 'turn',
    stop: over.stop ?? (calls.length > 0 ? 'calls' : 'end'),
    body: body(`answer ${turn}`, 40),
    usage: over.usage ?? usage(),
    calls,
    ...(over.misfit === undefined ? {} : { misfit: body(over.misfit) }),
  },
});

type Failed = {
  attempt?: number;
  code?: string;
  retry?: 'no' | 'now' | { afterMs: number };
  spent?: Spent;
  resumable?: true;
};
export const failed = (turn: EffectId, over: Failed = {}): Command => ({
  kind: 'settle',
  effect: turn,
  attempt: over.attempt ?? 1,
  outcome: {
    type: 'turn-failed',
    code: over.code ?? 'overloaded',
    retry: over.retry ?? 'now',
    spent: over.spent ?? { kind: 'none' },
    ...(over.resumable === undefined ? {} : { resumable: over.resumable }),
  },
});

type Summed = { attempt?: number; usage?: Usage; bytes?: number; opaque?: true };
/** What the model wrote in place of the conversation. */
export const summed = (compaction: EffectId, over: Summed = {}): Command => {
  const { attempt = 1, bytes = 12 } = over;
  const outcome = {
    type: 'summary' as const,
    body: body(`summary ${compaction}`, bytes),
    usage: over.usage ?? usage(),
    ...(over.opaque === undefined ? {} : { opaque: over.opaque }),
  };
  return { kind: 'settle', effect: compaction, attempt, outcome };
};

export const unsummed = (compaction: EffectId, over: Failed = {}): Command => {
  const { attempt = 1, code = 'overloaded', retry = 'now', spent = { kind: 'none' } } = over;
  return { kind: 'settle', effect: compaction, attempt, outcome: { type: 'summary-failed', code, retry, spent } };
};

type Returned = {
  attempt?: number;
  code?: string;
  found?: string[];
  taint?: Taint[];
  retry?: 'no' | 'now' | { afterMs: number };
};
export const returned = (id: EffectId, outcome: 'done' | 'failed' = 'done', over: Returned = {}): Command => {
  const { attempt = 1, ...more } = over;
  const result = { type: 'call' as const, outcome, result: body(`result ${id} ${attempt}`), ...more };
  return { kind: 'settle', effect: id, attempt, outcome: result };
};

export const unknown = (id: EffectId, attempt = 1, reason = 'timeout'): Command => ({
  kind: 'settle',
  effect: id,
  attempt,
  outcome: { type: 'call-unknown', reason },
});

export const parks = (id: EffectId, wait: ToolWait, attempt = 1): Command => ({
  kind: 'settle',
  effect: id,
  attempt,
  outcome: { type: 'call-waits', wait },
});

export const homeless = (id: EffectId, attempt = 1): Command => ({
  kind: 'settle',
  effect: id,
  attempt,
  outcome: { type: 'call-homeless' },
});

export const accepted = (effect: EffectId, response = `answer of ${effect}`, attempt = 1): Command => ({
  kind: 'accepted',
  effect,
  attempt,
  response,
});
export const compact: Command = { kind: 'compact' };
export const gate = (effect: EffectId): Command => ({ kind: 'attempt', effect, attempt: 1, reason: 'gate' });
export const lost = (effect: EffectId, attempt = 1): Command => ({ kind: 'attempt', effect, attempt, reason: 'lost' });
export const wake: Command = { kind: 'settle', effect: 'wake' };
export const resolve = (wait: WaitId, answer: Answer, digest = JSON.stringify(answer)): Command => ({
  kind: 'resolve',
  wait,
  answer,
  digest,
});
export const approve = (wait: WaitId, digest = 'arguments'): Command =>
  resolve(wait, { kind: 'approval', decision: 'approve', digest });
export const deny = (wait: WaitId, digest = 'arguments'): Command =>
  resolve(wait, { kind: 'approval', decision: 'deny', digest });

/** What a session is told, in the words of a spec. Effects are named as in the log (`r1t1`, `r1t1c0`), digests readably. */
export const steps = {
  open,
  send,
  call,
  answered,
  failed,
  accepted,
  returned,
  unknown,
  parks,
  homeless,
  gate,
  lost,
  wake,
  resolve,
  approve,
  deny,
  compact,
  summed,
  unsummed,
  usage,
} as const;
