/** Reads the typed events of a streamed response; its end is `response.completed`, `.incomplete` or `.failed`. */
import type { Delta, GenerateOutcome } from '@perdure/runtime/ports';
import { BOUND, failed, type Failed } from '../failures.ts';
import type { AnswerReader, ServerEvent } from '../http/exchange.ts';
import { notAnObject, objectIn } from '../http/json.ts';
import type { Refusals } from '../http/refusals.ts';
import { LIMITS } from '../limits.ts';
import type { UsageBound } from '../usage.ts';
import { BREAK, isObject, namedItems, outcomeOf, tooManyCalls, type WireItem } from './answer.ts';

export type Reading = { bound: UsageBound; refusals: Refusals };
/** What is told while the answer comes. */
export type Told = {
  delta(delta: Delta): void;
  /** The provider's id of the response: its first event. */
  id(id: string): void;
};

type WireEvent = { [name: string]: unknown };

export class ResponseReader implements AnswerReader {
  readonly #reading: Reading;
  readonly #told: Told;
  readonly #done = new Map<number, WireItem>();
  /** Places of items that have begun and have not ended. */
  readonly #open = new Set<unknown>();
  /** Place of an item → the call it is: its number among the calls, and its name. */
  readonly #calls = new Map<unknown, { n: number; name: string }>();
  /** The part of each kind that is being told: a new one begins after a break. */
  readonly #telling: { text?: string; reasoning?: string } = {};

  constructor(reading: Reading, told: Told) {
    this.#reading = reading;
    this.#told = told;
  }

  take({ data }: ServerEvent): GenerateOutcome | null {
    const event: WireEvent | null = objectIn(data) as WireEvent | null;
    if (event === null) return failed('malformed', notAnObject(data), 'now', BOUND);
    switch (event['type']) {
      case 'response.created':
        return this.#begin(event['response']);
      case 'response.output_item.added':
        return this.#add(event);
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        return this.#tell('text', event, event['content_index']);
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return this.#tell('reasoning', event, event['summary_index'] ?? event['content_index']);
      case 'response.function_call_arguments.delta':
        return this.#tellArguments(event);
      case 'response.output_item.done':
        return this.#finish(event);
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
        return this.#end(event['response'], event['type']);
      case 'error':
        return this.#reading.refusals.ofEvent(isObject(event['error']) ? event['error'] : event);
      default:
        // What hosted tools do, what comes to be added, signs of life: nothing that an answer is made of.
        return null;
    }
  }

  /** There is no end but the terminal event. */
  ended(): null {
    return null;
  }

  #begin(response: unknown): null {
    if (isObject(response) && typeof response['id'] === 'string') this.#told.id(response['id']);
    return null;
  }

  #add({ output_index: place, item }: WireEvent): Failed | null {
    this.#open.add(place);
    if (!isObject(item) || item['type'] !== 'function_call') return null;
    if (this.#calls.size >= LIMITS.callsPerAnswer) return tooManyCalls();
    this.#calls.set(place, { n: this.#calls.size, name: typeof item['name'] === 'string' ? item['name'] : '' });
    return null;
  }

  #tell(part: 'text' | 'reasoning', event: WireEvent, index: unknown): null {
    const { delta, output_index: place } = event;
    if (typeof delta !== 'string' || delta === '') return null;
    const telling = `${String(place)} ${String(index)}`;
    const before = this.#telling[part];
    if (before !== undefined && before !== telling) this.#told.delta({ part, text: BREAK });
    this.#telling[part] = telling;
    this.#told.delta({ part, text: delta });
    return null;
  }

  #tellArguments({ delta, output_index: place }: WireEvent): null {
    const call = this.#calls.get(place);
    if (call === undefined || typeof delta !== 'string' || delta === '') return null;
    this.#told.delta({ part: 'arguments', call: call.n, name: call.name, text: delta });
    return null;
  }

  #finish({ output_index: place, item }: WireEvent): null {
    if (typeof place !== 'number' || !isObject(item)) return null;
    this.#open.delete(place);
    this.#done.set(place, item);
    return null;
  }

  #end(response: unknown, type: string): GenerateOutcome {
    if (!isObject(response)) return failed('malformed', `${type} came without its response`, 'now', BOUND);
    const named = namedItems(response);
    const lost = [...this.#open].find((place) => typeof place !== 'number' || named[place] === undefined);
    if (lost !== undefined && type === 'response.completed') {
      return failed('malformed', `${type} came without the end of item ${JSON.stringify(lost)}`, 'now', BOUND);
    }
    const { bound, refusals } = this.#reading;
    // Some servers leave the status out of the last event: its name says the same.
    return outcomeOf({ status: type.slice('response.'.length), ...response }, this.#done, bound, refusals);
  }
}
