/** People who answer waits: rightly, wrongly, twice, late; and other systems that report through callbacks. */
import assert from 'node:assert/strict';
import type { AnswerInput, ErrorCode, WaitView } from '@perdure/contract';
import { argumentsDigest, effectKey } from '@perdure/runtime';
import { stateOf } from './coverage.ts';
import type { Network } from './network.ts';
import type { Outside } from './outside.ts';
import type { Sim } from './sim.ts';

const REFUSALS: readonly ErrorCode[] = ['wait_resolved', 'not_found', 'invalid_request', 'session_closed'];

export class People {
  /** What was signed, by session and wait: nothing else may run. */
  readonly signed = new Map<string, Set<string>>();
  #raised = 0;
  readonly #sim: Sim;
  readonly #network: Network;
  readonly #outside: Outside;

  constructor(sim: Sim, network: Network, outside: Outside) {
    this.#sim = sim;
    this.#network = network;
    this.#outside = outside;
  }

  /** Looks after all sessions until the simulation ends. */
  async watch(): Promise<void> {
    const { scheduler, random, truth } = this.#sim;
    for (;;) {
      await scheduler.sleep('people', 'look', this.#sim.faulty() ? random.between(100, this.#sim.plan.peopleMs) : 500);
      for (const { id, state } of truth.logs.values()) {
        const open = [...state.waits.values()].filter(({ kind }) => kind !== 'timer' && kind !== 'callback');
        if (open.length > 0) await this.#look(id);
      }
    }
  }

  async #look(session: string): Promise<void> {
    const listed = await this.#network.ask('waits.list', { session, limit: 100 }, []);
    if (!listed.ok) return;
    const open = listed.result.waits.filter(({ kind }) => kind !== 'timer' && kind !== 'callback');
    if (open.length === 0) return;
    const { random } = this.#sim;
    const wait = random.pick(open);
    const other = open.find((each) => each.kind === 'approval' && each.id !== wait.id);
    if (wait.kind === 'approval' && this.#sim.fault('wrongDigest', session)) await this.#mistake(wait, other);
    if (wait.kind === 'budget' && wait.shortage?.account.includes('@') === true && random.chance(0.7))
      return this.#raise(wait.shortage);
    const answer = this.answerTo(wait);
    await this.answer(wait, answer);
    if (this.#sim.fault('secondAnswer', session))
      await this.answer(wait, random.chance(0.5) ? answer : this.#opposite(wait));
  }

  /** Signs what was seen somewhere else: it must not count here. */
  async #mistake(wait: WaitView, other: WaitView | undefined): Promise<void> {
    const digest = other?.digest ?? argumentsDigest('fire', { n: 99 });
    if (digest === wait.digest) return;
    await this.answer(wait, { decision: 'approve', digest });
  }

  /** One answer, to the end. What is signed is known before it is sent: its receipt may be lost. */
  async answer(wait: WaitView, answer: AnswerInput): Promise<void> {
    const { truth, coverage } = this.#sim;
    const { session, id } = wait;
    this.#sign(wait, answer);
    this.#sim.grants.asked(wait, answer);
    const state = truth.logs.get(session)?.state;
    if (state !== undefined && wait.kind === 'approval') coverage.hit('approve', stateOf(state));
    if (state !== undefined && 'grant' in answer) coverage.hit('always', stateOf(state));
    await this.#network.ask('waits.resolve', { session, wait: id as `w${number}`, answer }, REFUSALS, ({ seq }) => {
      const entry = truth.entry(session, seq);
      assert.ok(
        entry?.kind === 'wait.resolved' && entry.data.wait === id,
        `the answer to ${id} of ${session} was acknowledged at seq ${seq} [P1]`,
      );
    });
  }

  /** Two people at once, whatever else is going on; and where nothing is open, once more for what was. */
  async approveTwice(): Promise<void> {
    for (const { id, state } of this.#sim.truth.logs.values()) {
      const listed = await this.#network.ask('waits.list', { session: id, limit: 100 }, []);
      const open = listed.ok ? listed.result.waits.filter(({ kind }) => kind === 'approval') : [];
      await Promise.all(
        open.flatMap((wait) => {
          const answer: AnswerInput = { decision: 'approve', digest: wait.digest ?? '' };
          return [this.answer(wait, answer), this.answer(wait, answer)];
        }),
      );
      const answered = [...state.resolved].findLast(([, { call }]) => call !== null);
      if (open.length > 0 || answered === undefined) continue;
      const again = { session: id, wait: answered[0], answer: { decision: 'approve', digest: 'seen before' } } as const;
      await this.#network.ask('waits.resolve', again, REFUSALS);
    }
  }

  #sign(wait: WaitView, answer: AnswerInput): void {
    if (!('digest' in answer) || answer.decision !== 'approve' || wait.call === undefined) return;
    const key = effectKey('default', wait.session, wait.call.id);
    const signed = this.signed.get(key) ?? new Set<string>();
    this.signed.set(key, signed);
    // With other arguments, it is those that are approved; the digest says what they replace.
    if (answer.arguments === undefined) signed.add(answer.digest);
    else if (answer.digest === wait.digest) signed.add(argumentsDigest(wait.call.name, answer.arguments));
  }

  answerTo(wait: WaitView): AnswerInput {
    const { random } = this.#sim;
    const denies = this.#sim.fault('deny', wait.session);
    switch (wait.kind) {
      case 'approval': {
        const digest = wait.digest ?? '';
        if (denies) return { decision: 'deny', digest, note: 'no' };
        if (this.#sim.fault('edit', wait.session)) return { decision: 'approve', digest, arguments: editedOf(wait) };
        return { decision: 'approve', digest, ...this.#always(wait) };
      }
      case 'question':
        return { answer: random.pick(['a', 'b']) };
      case 'outcome':
        return this.#verdict(wait);
      case 'budget':
        return denies ? { decision: 'deny' } : { cap: this.#cap(wait) };
      case 'tool':
        return { decision: random.pick(['back', 'gone']) };
      default:
        throw new Error(`nobody answers a wait of kind ${wait.kind}`);
    }
  }

  /** Like calls are not to be asked for again. */
  #always({ offer }: WaitView): Pick<Extract<AnswerInput, { decision: unknown; digest: unknown }>, 'grant'> {
    const { random, plan } = this.#sim;
    if (plan.grants === null || offer === undefined || !random.chance(plan.grants.always)) return {};
    const forMs = random.chance(0.5) ? { forMs: random.between(500, 8_000) } : {};
    return { grant: { scope: random.pick(['session', 'agent', 'tenant']), ...forMs } };
  }

  /** Somebody goes through the grants, and takes one back. */
  async revoke(everyMs: number): Promise<void> {
    const { scheduler, random, truth, coverage, grants } = this.#sim;
    for (;;) {
      await scheduler.sleep('people', 'go through the grants', random.between(500, everyMs));
      const listed = await this.#network.ask('policies.list', { limit: 100 }, []);
      if (!listed.ok) continue;
      const all = listed.result.policies.flatMap(({ scope, grants: of }) =>
        of.filter(({ revokedAt }) => revokedAt === undefined).map(({ id }) => ({ scope, grant: id })),
      );
      if (all.length === 0) continue;
      const one = random.pick(all);
      for (const { state } of truth.logs.values()) coverage.hit('revoke', stateOf(state));
      await this.#network.ask('policies.revoke', one, [], () => grants.revoked(one.scope, one.grant, scheduler.events));
    }
  }

  /** Somebody goes and sees what became of it. */
  #verdict(wait: WaitView): AnswerInput {
    const key = effectKey('default', wait.session, wait.call?.id ?? '');
    const deed = this.#outside.deeds.get(key);
    if ((deed?.happened ?? 0) > 0) return { outcome: 'done', content: 'it had happened' };
    return this.#sim.random.chance(0.5) ? { outcome: 'retry' } : { outcome: 'failed', note: 'it had not happened' };
  }

  /** Whoever may do that gives the budget more: for this period and those that follow. */
  async #raise({ account, limit, needed }: NonNullable<WaitView['shortage']>): Promise<void> {
    const [whose = '', name = ''] = account.split('@');
    const [scope, of] = whose.split('/') as ['tenant' | 'agent', string | undefined];
    const period = name === 'total' ? 'total' : name.length === '2030-01'.length ? 'month' : 'day';
    this.#raised += 1;
    const more = (needed * 4 + 20_000) * this.#raised;
    const cap = limit === 'tokens' ? { tokens: more } : { nanoUsd: more };
    this.#sim.purses.allow(whose, period, cap);
    await this.#network.ask('budgets.set', { scope, ...(of === undefined ? {} : { name: of }), [period]: cap }, []);
  }

  #cap(wait: WaitView): { tokens?: number; nanoUsd?: number } {
    const more = (wait.shortage?.needed ?? 0) * 4 + 1_000_000;
    return wait.shortage?.limit === 'tokens' ? { tokens: more } : { nanoUsd: more };
  }

  #opposite(wait: WaitView): AnswerInput {
    if (wait.kind === 'approval') return { decision: 'deny', digest: wait.digest ?? '' };
    return this.answerTo(wait);
  }

  /** Jobs elsewhere report when they are done: too early, twice, and until somebody has heard them. */
  async report(): Promise<void> {
    const { scheduler, random, truth } = this.#sim;
    const told = new Set<string>();
    for (;;) {
      await scheduler.sleep('jobs', 'look', random.between(500, 4_000));
      for (const [key, { token, payload }] of this.#outside.jobs) {
        const named = truth.effects.get(key);
        if (named?.settled !== null || told.has(key)) continue;
        const reply = await this.#network.request('callbacks.resolve', { token, payload });
        if ((reply.ok && random.chance(0.7)) || (!reply.ok && reply.code === 'wait_resolved')) told.add(key);
        if (!reply.ok && reply.code === 'invalid_request')
          this.#sim.fail(new Error(`a callback of ${named.effect} was refused: ${reply.code}`));
      }
    }
  }

  /** P14: only what a person signed runs after an approval. */
  approved(key: string, digest: string): boolean {
    return this.signed.get(key)?.has(digest) === true;
  }
}

/** An approver's own arguments. */
function editedOf({ call }: WaitView): { [name: string]: unknown } {
  if (call?.name === 'write_file') return { ...(call.arguments as object), content: 'as it was edited\nend\n' };
  return call?.name === 'edit_file' ? (call.arguments as { [name: string]: unknown }) : { n: 7 };
}
