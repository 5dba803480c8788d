/**
 * Puts an answer together from its output items, which are kept as they came, to be sent back as they were.
 *
 * 1. An event is foreign data: each member is looked at before it is used.
 * 2. The items are the answer, the deltas only its live text. An item counts as its own `done` event has it: what
 *    `added` says of it may be half (reference, "response.output_item.added").
 * 3. Of an answer that was cut (length, filter) no call is handed on, and no item is sent back: a call without its
 *    answer and reasoning without what it led to would be refused.
 */
import type { AskedCall, GenerateOutcome, Usage } from '@perdure/runtime/ports';
import type { Response, ResponseOutputItem } from 'openai/resources/responses/responses';
import { BOUND, failed, type Failed } from '../failures.ts';
import type { Refusals } from '../http/refusals.ts';
import { LIMITS } from '../limits.ts';
import { boundOf, countOf, isCount, type UsageBound } from '../usage.ts';

type Done = Extract<GenerateOutcome, { type: 'done' }>;
/** As it comes over the wire: any member may be missing or something else. */
export type Wire<T> = { [K in keyof T]?: unknown };
export type WireItem = Wire<ResponseOutputItem> & { [name: string]: unknown };
export type WireResponse = Wire<Response>;

export const isObject = (value: unknown): value is { [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const STOPS: { readonly [reason: string]: Done['stop'] | undefined } = {
  max_output_tokens: 'length',
  content_filter: 'filtered',
};

/** How far a response is, by its `status`. */
export type Standing = 'at work' | 'ended' | 'gone';
export function standingOf(response: WireResponse): Standing {
  const { status } = response;
  if (status === 'queued' || status === 'in_progress') return 'at work';
  return status === 'cancelled' ? 'gone' : 'ended';
}

/**
 * The outcome of a response that has ended. `items` are those whose own end was told, by their place; the response
 * itself may name none of them, or all.
 */
export function outcomeOf(
  response: WireResponse,
  items: ReadonlyMap<number, WireItem>,
  bound: UsageBound,
  refusals: Refusals,
): GenerateOutcome {
  const usage = usageOf(response.usage);
  switch (response.status) {
    case 'completed':
      return whole(itemsOf(response, items), usage ?? boundOf(bound));
    case 'incomplete':
      return cut(response, itemsOf(response, items), usage ?? boundOf(bound));
    case 'failed': {
      const refusal = refusals.ofEvent(response.error ?? { message: 'the response failed' });
      return usage === null ? refusal : { ...refusal, spent: { kind: 'usage', usage } };
    }
    default:
      return failed('malformed', `a response whose status is ${JSON.stringify(response.status)}`, 'no', BOUND);
  }
}

function itemsOf(response: WireResponse, done: ReadonlyMap<number, WireItem>): WireItem[] {
  const named = new Map(namedItems(response).entries());
  const places = [...new Set([...named.keys(), ...done.keys()])].toSorted((a, b) => a - b);
  return places.map((place) => done.get(place) ?? named.get(place)).filter(isObject);
}

/** The items a response names itself. */
export const namedItems = ({ output }: WireResponse): unknown[] => (Array.isArray(output) ? (output as unknown[]) : []);

/** A refusal (the provider's `refusal` text) is no answer to what was asked: it counts as filtered, its text kept. */
function whole(items: WireItem[], usage: Usage): GenerateOutcome {
  const calls = callsOf(items);
  if ('type' in calls) return calls;
  const said = textOf(items, 'output_text', 'text');
  const refusal = textOf(items, 'refusal', 'refusal');
  const stop = calls.length > 0 ? 'calls' : refusal !== '' ? 'filtered' : 'end';
  const text = said === '' ? refusal : said;
  return { type: 'done', stop, text, reasoning: reasoningOf(items), calls, usage, native: items };
}

/** An unknown reason is not taken for success. */
function cut(response: WireResponse, items: WireItem[], usage: Usage): GenerateOutcome {
  const { incomplete_details: details } = response;
  const reason = isObject(details) ? details['reason'] : undefined;
  const stop = typeof reason === 'string' ? STOPS[reason] : undefined;
  if (stop === undefined) {
    const detail = `incomplete for a reason that is not known: ${JSON.stringify(reason)}`;
    return { ...failed('malformed', detail, 'no', BOUND), spent: { kind: 'usage', usage } };
  }
  const text = textOf(items, 'output_text', 'text') || textOf(items, 'refusal', 'refusal');
  return { type: 'done', stop, text, reasoning: reasoningOf(items), calls: [], usage, native: null };
}

/** Results go back under the id of their call: one that is missing or came twice could not be answered. */
function callsOf(items: readonly WireItem[]): AskedCall[] | Failed {
  const calls: AskedCall[] = [];
  const ids = new Set<string>();
  for (const item of items) {
    if (item.type !== 'function_call') continue;
    const { call_id: id, name, arguments: text, status } = item;
    if (typeof id !== 'string' || id === '' || typeof name !== 'string' || typeof text !== 'string' || ids.has(id)) {
      return failed('malformed', `a call that is not whole: ${JSON.stringify(item).slice(0, 200)}`, 'now', BOUND);
    }
    if (status === 'incomplete') return failed('malformed', `the call ${id} was not completed`, 'now', BOUND);
    if (calls.length >= LIMITS.callsPerAnswer) return tooManyCalls();
    ids.add(id);
    calls.push({ id, name, arguments: text === '' ? '{}' : text });
  }
  return calls;
}

export const tooManyCalls = (): Failed => failed('too_large', `more than ${LIMITS.callsPerAnswer} calls`, 'no', BOUND);

/** Between two parts of the text, and two of the reasoning. */
export const BREAK = '\n\n';

function textOf(items: readonly WireItem[], type: 'output_text' | 'refusal', member: 'text' | 'refusal'): string {
  const parts = items.filter((item) => item.type === 'message').flatMap((item) => listOf(item['content']));
  return joined(parts.filter((part) => part['type'] === type).map((part) => part[member]));
}

function reasoningOf(items: readonly WireItem[]): string {
  const own = items.filter((item) => item.type === 'reasoning');
  return joined(
    own.flatMap((item) => [...listOf(item['summary']), ...listOf(item['content'])]).map((part) => part['text']),
  );
}

const listOf = (value: unknown): { [name: string]: unknown }[] =>
  Array.isArray(value) ? (value as unknown[]).filter(isObject) : [];

const joined = (texts: readonly unknown[]): string =>
  texts.filter((text) => typeof text === 'string' && text !== '').join(BREAK);

/** The provider counts cached and written tokens among the input; here each token is counted once. Null: not believable. */
export function usageOf(wire: unknown): Usage | null {
  if (!isObject(wire)) return null;
  const { input_tokens: all, output_tokens: output, input_tokens_details: of, output_tokens_details: ofOutput } = wire;
  if (!isCount(all) || !isCount(output)) return null;
  const details = isObject(of) ? of : {};
  const cachedInput = Math.min(all, countOf(details['cached_tokens']));
  const cacheWrite = Math.min(all - cachedInput, countOf(details['cache_write_tokens']));
  const reasoning = Math.min(output, countOf(isObject(ofOutput) ? ofOutput['reasoning_tokens'] : 0));
  return { input: all - cachedInput - cacheWrite, cachedInput, cacheWrite, output, reasoning, source: 'provider' };
}
