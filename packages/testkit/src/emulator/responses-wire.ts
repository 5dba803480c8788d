/**
 * The bytes of the Responses protocol, written from OpenAI's API reference (responses: "the response object",
 * "streaming events", errors) and its guides on reasoning, function calling and background mode. Nothing here is shared
 * with the adapter.
 */
import { createHash } from 'node:crypto';
import type { WireError } from './wire-server.ts';

export type ResponsesUsage = {
  /** All input tokens, the cached ones among them. */
  input: number;
  output: number;
  cached?: number;
  cacheWrite?: number;
  /** Among the output tokens. */
  reasoning?: number;
};

/** One item of the output. */
export type ResponsesItem =
  /** The text comes in this many deltas, or in exactly these; default 3. */
  | { text: string; pieces?: number | readonly string[]; phase?: 'commentary' | 'final_answer' }
  | { refusal: string }
  /** Each string is a part of the summary; none: the model thought and says nothing of it. */
  | { reasoning: readonly string[] }
  /** `arguments` is an object (sent as JSON) or the exact text, malformed if you like. */
  | { call: { id?: string; name: string; arguments?: unknown } }
  /** An item of a tool that runs at the provider, or of a kind to come: sent as it is. */
  | { opaque: { type: string; [key: string]: unknown } };

export type ResponsesAnswer = {
  output: readonly ResponsesItem[];
  /** Default: `completed`. What is incomplete has its last item cut there. */
  end?: 'completed' | { incomplete: 'max_output_tokens' | 'content_filter' } | { failed: WireError };
  usage?: ResponsesUsage | null;
  /** The terminal event names no output, as some servers do. */
  bareEnd?: boolean;
};

/** What of the request an answer echoes. */
export type ResponsesEcho = {
  id: string;
  model: string;
  background: boolean;
  store: boolean;
  encrypted: boolean;
  obfuscation: boolean;
};

type Item = { [key: string]: unknown; id: string; type: string };
type Event = { type: string; [key: string]: unknown };
type Drafted = { item: Item; begun: Item; events: Event[] };

/** The events of an answer, in order, and the response as it stands after the last of them. */
export type ResponsesRecord = { events: string[]; response: { [key: string]: unknown; status: string } };

const CREATED = 1_700_000_000;

/** Puts a whole answer down: events numbered from 0. A failed answer has its error in the last one. */
export function recordResponse(answer: ResponsesAnswer, echo: ResponsesEcho): ResponsesRecord {
  const end = answer.end ?? 'completed';
  const drafts = answer.output.map((item, n) => draft(item, n, echo));
  const cut = end !== 'completed' ? drafts.at(-1) : undefined;
  if (cut !== undefined && cut.item['status'] === 'completed') cut.item['status'] = 'incomplete';
  seal(drafts, echo);
  const status = end === 'completed' ? 'completed' : 'incomplete' in end ? 'incomplete' : 'failed';
  const output = drafts.map(({ item }) => item);
  const last = {
    ...responseOf(echo, status, answer.bareEnd === true ? [] : output),
    usage: status === 'failed' && answer.usage === undefined ? null : usageOf(answer),
    incomplete_details: typeof end === 'object' && 'incomplete' in end ? { reason: end.incomplete } : null,
    error: typeof end === 'object' && 'failed' in end ? { code: end.failed.code, message: end.failed.message } : null,
  };
  const began = responseOf(echo, 'in_progress', []);
  const data: Event[] = [
    { type: 'response.created', response: echo.background ? { ...began, status: 'queued' } : began },
    ...(echo.background ? [{ type: 'response.queued', response: { ...began, status: 'queued' } }] : []),
    { type: 'response.in_progress', response: began },
    ...drafts.flatMap(({ item, begun, events }, output_index) => [
      { type: 'response.output_item.added', output_index, item: begun },
      ...events.map((event) => ({ ...event, item_id: item.id, output_index })),
      { type: 'response.output_item.done', output_index, item },
    ]),
    { type: `response.${status}`, response: last },
  ];
  return { events: data.map((event, n) => eventText(event, n)), response: { ...last, output } };
}

function eventText(event: Event, sequence_number: number): string {
  return `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number })}\n\n`;
}

/** An error in the middle of a stream that began with 200. */
export function responsesErrorEvent(error: WireError, sequence: number): string {
  const { code = null, message, param = null } = error;
  return eventText({ type: 'error', code, message, param }, sequence);
}

function responseOf(
  echo: ResponsesEcho,
  status: string,
  output: readonly Item[],
): { [key: string]: unknown; status: string } {
  return {
    id: echo.id,
    object: 'response',
    created_at: CREATED,
    status,
    background: echo.background,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: echo.model,
    output,
    parallel_tool_calls: true,
    store: echo.store,
    temperature: 1,
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    usage: null,
  };
}

function usageOf(answer: ResponsesAnswer): object | null {
  return answer.usage === null ? null : usageBody(answer.usage ?? { input: 9, output: 12 });
}

export function usageBody({ input, output, cached = 0, cacheWrite = 0, reasoning = 0 }: ResponsesUsage): object {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: cacheWrite },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}

function draft(given: ResponsesItem, n: number, echo: ResponsesEcho): Drafted {
  const tail = `${echo.id.slice('resp_'.length)}_${n}`;
  if ('text' in given) {
    const { text, phase } = given;
    const pieces = typeof given.pieces === 'object' ? given.pieces : split(text, given.pieces ?? 3);
    const part = (said: string): object => ({ type: 'output_text', annotations: [], logprobs: [], text: said });
    const events = pieces.map((delta) => ({
      type: 'response.output_text.delta',
      content_index: 0,
      delta,
      logprobs: [],
      ...(echo.obfuscation ? { obfuscation: 'x'.repeat(8 - (delta.length % 8)) } : {}),
    }));
    const done = { type: 'response.output_text.done', content_index: 0, text, logprobs: [] };
    return message(`msg_${tail}`, part(''), part(text), [...events, done], phase);
  }
  if ('refusal' in given) {
    const { refusal } = given;
    const part = (said: string): object => ({ type: 'refusal', refusal: said });
    const events = split(refusal, 2).map((delta) => ({ type: 'response.refusal.delta', content_index: 0, delta }));
    const done = { type: 'response.refusal.done', content_index: 0, refusal };
    return message(`msg_${tail}`, part(''), part(refusal), [...events, done]);
  }
  if ('reasoning' in given) return reasoning(`rs_${tail}`, given.reasoning);
  if ('call' in given) return call(`fc_${tail}`, given.call, n);
  const item = { id: `op_${tail}`, ...given.opaque };
  return { item, begun: item, events: [] };
}

function message(id: string, begun: object, part: object, events: Event[], phase?: string): Drafted {
  const item = { id, type: 'message', role: 'assistant', ...(phase === undefined ? {} : { phase }) };
  const added = { type: 'response.content_part.added', content_index: 0, part: begun };
  const done = { type: 'response.content_part.done', content_index: 0, part };
  return {
    item: { ...item, status: 'completed', content: [part] },
    begun: { ...item, status: 'in_progress', content: [] },
    events: [added, ...events, done],
  };
}

function reasoning(id: string, summary: readonly string[]): Drafted {
  const part = (text: string): object => ({ type: 'summary_text', text });
  const events = summary.flatMap((text, summary_index) => [
    { type: 'response.reasoning_summary_part.added', summary_index, part: part('') },
    ...split(text, 2).map((delta) => ({ type: 'response.reasoning_summary_text.delta', summary_index, delta })),
    { type: 'response.reasoning_summary_text.done', summary_index, text },
    { type: 'response.reasoning_summary_part.done', summary_index, part: part(text) },
  ]);
  return {
    item: { id, type: 'reasoning', summary: summary.map(part) },
    begun: { id, type: 'reasoning', summary: [] },
    events,
  };
}

function call(id: string, given: { id?: string; name: string; arguments?: unknown }, n: number): Drafted {
  const text = typeof given.arguments === 'string' ? given.arguments : JSON.stringify(given.arguments ?? {});
  const item = { id, type: 'function_call', call_id: given.id ?? `call_emulated_${n}`, name: given.name };
  const events = split(text, 3).map((delta) => ({ type: 'response.function_call_arguments.delta', delta }));
  const done = { type: 'response.function_call_arguments.done', arguments: text };
  return {
    item: { ...item, status: 'completed', arguments: text },
    begun: { ...item, status: 'in_progress', arguments: '' },
    events: [...events, done],
  };
}

/** Reasoning is bound to its own id and to the item that follows it: neither goes back without the other. */
function seal(drafts: readonly Drafted[], echo: ResponsesEcho): void {
  for (const [n, { item, begun }] of drafts.entries()) {
    if (item.type !== 'reasoning' || !echo.encrypted) continue;
    item['encrypted_content'] = encryptedOf(item.id, drafts[n + 1]?.item.id ?? '');
    begun['encrypted_content'] = 'not yet whole';
  }
}

function encryptedOf(id: string, next: string): string {
  const sealed = Buffer.from(JSON.stringify([id, next])).toString('base64url');
  return `${sealed}.${createHash('sha256').update(sealed).digest('base64url').slice(0, 16)}`;
}

/** What encrypted content was sealed with; null when a byte of it is not as it was. */
export function openEncrypted(content: string): { id: string; next: string } | null {
  const [sealed = ''] = content.split('.');
  try {
    const [id, next] = JSON.parse(Buffer.from(sealed, 'base64url').toString()) as [string, string];
    return encryptedOf(id, next) === content ? { id, next } : null;
  } catch {
    return null;
  }
}

export function sealCompacted(text: string): string {
  const sealed = Buffer.from(text).toString('base64url');
  return `${sealed}.${createHash('sha256').update(`compacted ${sealed}`).digest('base64url').slice(0, 16)}`;
}

/** What a compaction item was sealed with; null when a byte of it is not as it was. */
export function openCompacted(content: unknown): string | null {
  if (typeof content !== 'string') return null;
  const text = Buffer.from(content.split('.')[0] ?? '', 'base64url').toString();
  return sealCompacted(text) === content ? text : null;
}

/** At most `count` pieces, whole characters each. */
function split(text: string, count: number): string[] {
  const characters = Array.from(text);
  const size = Math.max(1, Math.ceil(characters.length / count));
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += size) pieces.push(characters.slice(at, at + size).join(''));
  return pieces;
}
