/**
 * Answers that the provider goes on with when nobody listens (guide "background mode"), so that a process that died does
 * not make anybody pay twice.
 *
 * 1. The id of a response is written down before anything of it is told.
 * 2. A response that is asked for again is first looked at: an end is its answer, whole; else its stream is read anew
 *    from the first event.
 * 3. What was billed is told by whoever reads the end. Until then each failure says that it may cost its bound.
 * 4. A response that nobody wants any more is cancelled, once and within a bound; one that somebody will ask for again
 *    is left alone.
 */
import type { Delta, GenerateContext, GenerateOutcome, Usage } from '@perdure/runtime/ports';
import { BOUND, failed, NOTHING } from '../failures.ts';
import type { Connection, HttpRequest } from '../http/connection.ts';
import type { AnswerReader } from '../http/exchange.ts';
import { objectIn } from '../http/json.ts';
import { LIMITS } from '../limits.ts';
import { outcomeOf, standingOf, usageOf, type WireResponse } from './answer.ts';
import { ResponseReader, type Reading } from './reader.ts';

export type Background = {
  /** Sends a request for a background response; `context.accepted` is called with its id. */
  begin(request: HttpRequest, reading: Reading, context: GenerateContext): Promise<GenerateOutcome>;
  /** Asks for a response again; `query` says what it should hold. */
  resume(id: string, query: string, reading: Reading, context: GenerateContext): Promise<GenerateOutcome>;
};

export function createBackground(connection: Connection): Background {
  const stop = async (id: string, outcome: GenerateOutcome, signal: AbortSignal): Promise<GenerateOutcome> => {
    if (outcome.type === 'done' || !isUnwanted(signal)) return outcome;
    const usage = await cancel(connection, id);
    return usage === null ? outcome : { ...outcome, spent: { kind: 'usage', usage } };
  };
  return {
    begin: async (request, reading, context) => {
      const gate = new Gate(context);
      const told = { delta: (delta: Delta) => gate.delta(delta), id: (id: string) => gate.open(id) };
      const outcome = await connection.send(request, new ResponseReader(reading, told), context);
      await gate.opened;
      return gate.id === null ? outcome : stop(gate.id, onTheWay(outcome), context.signal);
    },
    resume: async (id, query, reading, context) => {
      const page = new PageReader(reading);
      const path = `/responses/${encodeURIComponent(id)}${query}`;
      const first = await connection.send({ method: 'GET', path, headers: JSON_ONLY }, page, context);
      if (!page.isAtWork) return stop(id, owed(id, first), context.signal);
      const told = { delta: (delta: Delta) => context.delta(delta), id: () => undefined };
      const stream = { method: 'GET', path: `${path}${query === '' ? '?' : '&'}stream=true` } as const;
      const outcome = await connection.send(stream, new ResponseReader(reading, told), context);
      return stop(id, owed(id, outcome), context.signal);
    },
  };
}

const JSON_ONLY = { accept: 'application/json' };

/** Nobody will ask for the answer again: not so when the process goes, or when only this attempt took too long. */
const isUnwanted = ({ aborted, reason }: AbortSignal): boolean => aborted && reason === 'cancelled';

/** However asking again fails, the answer itself may be billed. Where the provider has it no longer, only asking anew helps. */
function owed(id: string, outcome: GenerateOutcome): GenerateOutcome {
  if (outcome.type !== 'failed') return outcome;
  if (outcome.code === 'model_not_found') return failed('response_gone', `${id}: ${outcome.detail}`, 'now', BOUND);
  // The question was refused, not the answer: nothing was read of it.
  return outcome.spent.kind === 'none' ? { ...outcome, spent: BOUND, resumable: true } : onTheWay(outcome);
}

/** The connection ended, or nothing came over it: the answer goes on, and can be asked for again. */
const BROKEN: ReadonlySet<string> = new Set(['connection', 'stream_cut', 'timeout', 'malformed']);

const onTheWay = (outcome: GenerateOutcome): GenerateOutcome =>
  outcome.type === 'failed' && BROKEN.has(outcome.code) ? { ...outcome, resumable: true } : outcome;

/** Holds the deltas back until the id is written down. */
class Gate {
  id: string | null = null;
  /** Resolves when nothing is held back. */
  opened: Promise<void> = Promise.resolve();
  readonly #context: GenerateContext;
  /** Null: open. Bounded by the size of a response. */
  #held: Delta[] | null = [];

  constructor(context: GenerateContext) {
    this.#context = context;
  }

  open(id: string): void {
    if (this.id !== null) return;
    this.id = id;
    this.opened = this.#writeDown(id);
  }

  delta(delta: Delta): void {
    if (this.#held === null) this.#context.delta(delta);
    else this.#held.push(delta);
  }

  async #writeDown(id: string): Promise<void> {
    try {
      await this.#context.accepted?.(id);
    } catch {
      // What could not be written down costs the way back to this answer, not the answer.
    }
    const held = this.#held ?? [];
    this.#held = null;
    for (const delta of held) this.#context.delta(delta);
  }
}

/** A response as it stands, not as a stream. */
class PageReader implements AnswerReader {
  /** It has no end yet; what `whole` gave is then no outcome. */
  isAtWork = false;
  readonly #reading: Reading;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  take(): GenerateOutcome {
    return failed('malformed', 'an event stream where a response was asked for', 'no', BOUND);
  }

  ended(): null {
    return null;
  }

  whole(text: string): GenerateOutcome {
    const response: WireResponse | null = objectIn(text);
    if (response === null) return failed('malformed', 'a response that is no JSON object', 'now', BOUND);
    const standing = standingOf(response);
    this.isAtWork = standing === 'at work';
    if (this.isAtWork) return failed('overloaded', 'the response has not ended', 'now', NOTHING);
    if (standing === 'ended') return outcomeOf(response, new Map(), this.#reading.bound, this.#reading.refusals);
    const usage = usageOf(response.usage);
    return failed('response_gone', 'it was cancelled', 'now', usage === null ? BOUND : { kind: 'usage', usage });
  }
}

/** Best effort: whatever comes of it, the call is over. What was billed so far, where the provider says it. */
async function cancel(connection: Connection, id: string): Promise<Usage | null> {
  let usage: Usage | null = null;
  const done = failed('aborted', 'cancelled', 'no', BOUND);
  const reader: AnswerReader = {
    take: () => done,
    ended: () => done,
    whole: (text) => {
      const response: WireResponse = objectIn(text) ?? {};
      if (response.status === 'cancelled') usage = usageOf(response.usage);
      return done;
    },
  };
  const path = `/responses/${encodeURIComponent(id)}/cancel`;
  const { signal } = new AbortController();
  await connection.send({ method: 'POST', path, headers: JSON_ONLY, timeoutMs: LIMITS.cancelTimeoutMs }, reader, {
    signal,
  });
  return usage;
}
