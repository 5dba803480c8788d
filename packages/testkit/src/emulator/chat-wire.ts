/**
 * The bytes of the Chat Completions protocol, written from OpenAI's API reference (chat/completions: "the chat
 * completion object", "the chat completion chunk object", streaming, errors). Nothing here is shared with the adapter.
 */
import type { ChatHouse } from './chat-houses.ts';
import type { WireError } from './wire-server.ts';

export type ChatUsage = {
  /** All input tokens, the cached ones among them. */
  prompt: number;
  completion: number;
  cached?: number;
  /** Among the output tokens. */
  reasoning?: number;
};

export type ChatAnswer = {
  text?: string;
  /** The text comes in this many chunks, or in exactly these; default 3. */
  pieces?: number | readonly string[];
  /** What compatibles add; `field` is `reasoning_content` unless told otherwise. */
  reasoning?: { text: string; field?: 'reasoning_content' | 'reasoning' };
  refusal?: string;
  /** `arguments` is an object (sent as JSON) or the exact text, malformed if you like. */
  calls?: readonly { id?: string; name: string; arguments?: unknown }[];
  /** Argument pieces of several calls come in turns instead of one call after the other. */
  interleave?: boolean;
  finish?: 'stop' | 'length' | 'tool_calls' | 'content_filter';
  /** Null leaves it out, as some compatibles do. */
  usage?: ChatUsage | null;
};

const CREATED = 1_700_000_000;
const ID = 'chatcmpl-emulated';

type Call = { id: string; name: string; arguments: string };

function callsOf(answer: ChatAnswer): Call[] {
  return (answer.calls ?? []).map((call, n) => ({
    id: call.id ?? `call_emulated_${n}`,
    name: call.name,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments ?? {}),
  }));
}

const finishOf = (answer: ChatAnswer): string =>
  answer.finish ?? ((answer.calls ?? []).length > 0 ? 'tool_calls' : 'stop');

function usageOf(answer: ChatAnswer, house: ChatHouse = {}): object | null {
  if (answer.usage === null) return null;
  const { prompt, completion, cached = 0, reasoning = 0 } = answer.usage ?? { prompt: 9, completion: 12 };
  if (house.thoughtsBeside === true)
    return { prompt_tokens: prompt, completion_tokens: completion - reasoning, total_tokens: prompt + completion };
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** The answer to a request without `stream`. */
export function chatCompletion(answer: ChatAnswer, model: string): string {
  const calls = callsOf(answer);
  const text = answer.text ?? null;
  const message = {
    role: 'assistant',
    content: text === null && calls.length === 0 && answer.refusal === undefined ? '' : text,
    refusal: answer.refusal ?? null,
    annotations: [],
    ...(answer.reasoning === undefined ? {} : { [fieldOf(answer)]: answer.reasoning.text }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(toolCall) }),
  };
  return JSON.stringify({
    id: ID,
    object: 'chat.completion',
    created: CREATED,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishOf(answer) }],
    ...(answer.usage === null ? {} : { usage: usageOf(answer) }),
    service_tier: 'default',
    system_fingerprint: null,
  });
}

const toolCall = (call: Call): object => ({
  id: call.id,
  type: 'function',
  function: { name: call.name, arguments: call.arguments },
});

const fieldOf = (answer: ChatAnswer): string => answer.reasoning?.field ?? 'reasoning_content';

export type StreamOptions = { model: string; includeUsage: boolean; done: boolean; house?: ChatHouse };

/** The events of a streamed answer, each with its blank line; the last one is the terminal `[DONE]`. */
export function chatEvents(answer: ChatAnswer, options: StreamOptions): string[] {
  const { house = {} } = options;
  const base = { id: ID, object: 'chat.completion.chunk', created: CREATED, model: options.model };
  const said = house.usage === 'each' || house.usage === 'unasked' ? usageOf(answer, house) : null;
  const chunk = (delta: object, finish: string | null): string =>
    event({
      ...base,
      service_tier: 'default',
      system_fingerprint: null,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(said !== null && (house.usage === 'each' || finish !== null) ? { usage: said } : {}),
      ...(said === null && options.includeUsage ? { usage: null } : {}),
    });
  const events = [chunk(firstDelta(answer), null), ...deltasOf(answer, house).map((delta) => chunk(delta, null))];
  events.push(chunk({}, finishOf(answer)));
  const usage = options.includeUsage && said === null ? usageOf(answer, house) : null;
  if (usage !== null) events.push(event({ ...base, service_tier: 'default', choices: [], usage }));
  if (options.done) events.push('data: [DONE]\n\n');
  return events;
}

const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

/** An error in the middle of a stream that began with 200. */
export function errorEvent(error: ChatError): string {
  return event({ error: { param: null, code: null, ...error } });
}

export type ChatError = WireError;

export function errorBody(error: ChatError): string {
  return JSON.stringify({
    error: { message: error.message, type: error.type, param: error.param ?? null, code: error.code ?? null },
  });
}

function firstDelta(answer: ChatAnswer): object {
  const content = (answer.calls ?? []).length > 0 && answer.text === undefined ? null : '';
  return { role: 'assistant', content, refusal: null };
}

function deltasOf(answer: ChatAnswer, house: ChatHouse): object[] {
  const reasoning = answer.reasoning === undefined ? [] : split(answer.reasoning.text, 2);
  return [
    ...reasoning.map((text) => thought(text, answer, house)),
    ...piecesOf(answer).map((content) => ({ content })),
    ...(answer.refusal === undefined ? [] : split(answer.refusal, 2).map((refusal) => ({ refusal }))),
    ...callDeltas(answer, house),
  ];
}

function piecesOf(answer: ChatAnswer): readonly string[] {
  if (typeof answer.pieces === 'object') return answer.pieces;
  return split(answer.text ?? '', answer.pieces ?? 3);
}

/** At most `count` pieces, whole characters each. */
export function split(text: string, count: number): string[] {
  const characters = Array.from(text);
  const size = Math.max(1, Math.ceil(characters.length / count));
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += size) pieces.push(characters.slice(at, at + size).join(''));
  return pieces;
}

function thought(text: string, answer: ChatAnswer, house: ChatHouse): object {
  if (house.listedThoughts === true) return { content: [{ type: 'thinking', thinking: [{ type: 'text', text }] }] };
  const details = [{ type: 'reasoning.text', text, index: 0, format: 'emulated-v1' }];
  return { [fieldOf(answer)]: text, ...(house.detailedThoughts === true ? { reasoning_details: details } : {}) };
}

/** Of the emulated house's own calls. */
export const SIGNATURE = { google: { thought_signature: 'emulated-signature' } };

function callDeltas(answer: ChatAnswer, house: ChatHouse): object[] {
  const streams = callsOf(answer).map((call, index) => [
    { tool_calls: [{ index, ...signed(index, house), ...toolCall({ ...call, arguments: '' }) }] },
    ...split(call.arguments, 3).map((text) => ({ tool_calls: [{ index, function: { arguments: text } }] })),
  ]);
  if (answer.interleave !== true) return streams.flat();
  const longest = Math.max(0, ...streams.map((stream) => stream.length));
  return Array.from({ length: longest }, (_, n) => streams.flatMap((stream) => stream[n] ?? [])).flat();
}

const signed = (index: number, house: ChatHouse): object =>
  house.signs === true && index === 0 ? { extra_content: SIGNATURE } : {};
