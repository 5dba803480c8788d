/** Answers that a provider goes on with when nobody listens, and that it can be asked for again (`background`). */
import assert from 'node:assert/strict';
import type { ScriptedCall, ScriptedReply } from '../scripted-model.ts';
import type { Process } from './process.ts';
import type { Prng } from './random.ts';
import type { Sim } from './sim.ts';
import type { Named } from './truth.ts';

type Answer = { key: string; reply: ScriptedReply; readyAt: number; isGone: boolean; isGivenUp: boolean };

const GONE: ScriptedReply = { fail: 'response_gone', retry: 'now', spent: { kind: 'bound' } };
const BROKEN: ScriptedReply = { fail: 'stream_cut', retry: 'now', spent: { kind: 'bound' }, resumable: true };

export class Answers {
  readonly #sim: Sim;
  readonly #kept = new Map<string, Answer>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** A request leaves for an answer that is kept, or for one that was begun before. */
  dispatched({ request }: ScriptedCall): void {
    const { key, attempt, resume } = request;
    const named = this.#sim.truth.effects.get(key);
    if (named === undefined) return;
    const what = `${named.session} ${named.effect}#${attempt}`;
    if (resume === undefined) this.#beginsAnew(named, what);
    else assert.equal(this.#kept.get(resume)?.key, key, `${what} asks for an answer of its own [T5]`);
  }

  /** What was accepted and can still be had is not paid for a second time, unless the books say that it was given up. */
  #beginsAnew({ answers, writtenOff }: Named, what: string): void {
    for (const [id, attempt] of answers) {
      const answer = this.#kept.get(id);
      if (answer === undefined || answer.isGone || 'fail' in answer.reply) continue;
      assert.ok(attempt <= writtenOff, `${what} pays for a second answer, and ${id} could be had [T5]`);
    }
  }

  /** The log charges a lost attempt: not while its answer can be had, unless an account refuses to wait for it. */
  charged(named: Named): void {
    for (const id of named.answers.keys()) {
      const answer = this.#kept.get(id);
      if (answer === undefined || answer.isGone || answer.isGivenUp || 'fail' in answer.reply) continue;
      answer.isGivenUp = true;
      const refuses = this.#sim.plan.faults.refusalEachSecond > 0;
      assert.ok(refuses, `${named.session} ${named.effect} is charged as lost, and ${id} could be had [T5]`);
    }
  }

  /** The provider begins with `reply`; whoever asked may be gone before he hears it. */
  async begin(process: Process, call: ScriptedCall, reply: ScriptedReply, afterMs: number): Promise<void> {
    const { key, attempt } = call.request;
    const id = `${key}#${attempt}`;
    this.#kept.set(id, {
      key,
      reply,
      readyAt: this.#sim.clock.monotonicMs() + afterMs,
      isGone: false,
      isGivenUp: false,
    });
    await process.wait('the answer has a name', 0);
    await call.accept(id);
  }

  /** What comes of asking for an answer again. */
  async again(process: Process, { request }: ScriptedCall, draw: Prng, session: string): Promise<ScriptedReply> {
    const answer = this.#kept.get(request.resume ?? '');
    if (answer === undefined) return GONE;
    if (this.#sim.befalls('answerGone', draw, session)) answer.isGone = true;
    if (answer.isGone) return GONE;
    if (this.#sim.befalls('modelFails', draw, session)) return BROKEN;
    await process.wait('the answer is there', Math.max(0, answer.readyAt - this.#sim.clock.monotonicMs()));
    return answer.reply;
  }

  /** The way to an answer that goes on may break at any moment. */
  onTheWay(reply: ScriptedReply, draw: Prng, session: string): ScriptedReply {
    return this.#sim.befalls('answerLost', draw, session) ? BROKEN : reply;
  }
}
