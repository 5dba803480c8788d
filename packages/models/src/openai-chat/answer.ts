/**
 * Puts a streamed answer together: text, reasoning, calls, usage, and the assistant message as it came, to be sent back
 * as it was.
 *
 * 1. A chunk is foreign data: each member is looked at before it is used.
 * 2. The answer is whole only after a finish reason and the terminal event; until then it is worth nothing.
 * 3. A call whose arguments may be cut (length, filter) is not handed on: it must never run.
 */
import type { AskedCall, Delta, GenerateOutcome, Usage } from '@perdure/runtime/ports';
import type { ChatCompletionChunk } from 'openai/resources/chat/completions';
import { BOUND, failed, type Failed } from '../failures.ts';
import { LIMITS } from '../limits.ts';
import { boundOf, countOf, isCount, type UsageBound } from '../usage.ts';

type Done = Extract<GenerateOutcome, { type: 'done' }>;
type WireDelta = Partial<ChatCompletionChunk.Choice.Delta> & { reasoning_content?: unknown; reasoning?: unknown };
/** One element of a content that is a list. */
type ContentChunk = { type?: unknown; text?: unknown; thinking?: unknown } | null;
type WireCall = Partial<ChatCompletionChunk.Choice.Delta.ToolCall>;
export type WireChunk = {
  choices?: { index?: number; delta?: WireDelta; finish_reason?: unknown }[];
  usage?: unknown;
  error?: unknown;
};

type Call = AskedCall & { extra: Map<string, unknown> | null };

const STOPS: { readonly [reason: string]: Done['stop'] | undefined } = {
  stop: 'end',
  tool_calls: 'calls',
  length: 'length',
  content_filter: 'filtered',
  // Mistral: the window is full.
  model_length: 'length',
};

export class Answer {
  /** The provider's word for why it stopped; null until it came. */
  finish: string | null = null;
  #text = '';
  #reasoning = '';
  #refusal = '';
  #usage: Usage | null = null;
  readonly #calls: Call[] = [];
  /** Wire index → place in `#calls`: an index may come again with another id. */
  readonly #places = new Map<number, Call>();
  #extra: Map<string, unknown> | null = null;
  readonly #key: string;
  readonly #tell: (delta: Delta) => void;

  /** `key` names calls that came without an id of their own. */
  constructor(key: string, tell: (delta: Delta) => void) {
    this.#key = key;
    this.#tell = tell;
  }

  /** Takes one chunk in; a failure ends the answer. */
  take(chunk: WireChunk): Failed | null {
    if (typeof chunk.usage === 'object' && chunk.usage !== null) this.#usage = usageOf(chunk.usage);
    const choice = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
    if (typeof choice !== 'object' || choice === null) return null;
    const { delta, finish_reason: finish } = choice;
    const wrong = typeof delta === 'object' && delta !== null ? this.#takeDelta(delta) : null;
    if (typeof finish === 'string') this.finish = finish;
    return wrong;
  }

  #takeDelta(delta: WireDelta): Failed | null {
    for (const name in delta) {
      const value = delta[name as keyof WireDelta];
      if (value === null || value === undefined || value === '') continue;
      if (name === 'content') this.#takeContent(value);
      else if (name === 'tool_calls') {
        const wrong = this.#takeCalls(value);
        if (wrong !== null) return wrong;
      } else if (name === 'refusal') this.#refuse(value);
      else if (name !== 'role') this.#extra = keep(this.#extra, name, value);
    }
    this.#think(delta.reasoning_content ?? delta.reasoning);
    return null;
  }

  /** A text; or, of Mistral's thinking models, a list of texts and thoughts. */
  #takeContent(content: unknown): void {
    if (!Array.isArray(content)) return this.#say(content);
    for (const part of content as ContentChunk[]) {
      if (part?.type === 'text') this.#say(part.text);
      if (part?.type === 'thinking' && Array.isArray(part.thinking))
        for (const thought of part.thinking as ContentChunk[]) this.#think(thought?.text);
    }
  }

  #think(thought: unknown): void {
    if (typeof thought !== 'string' || thought === '') return;
    this.#reasoning += thought;
    this.#tell({ part: 'reasoning', text: thought });
  }

  #say(text: unknown): void {
    if (typeof text !== 'string') return;
    this.#text += text;
    this.#tell({ part: 'text', text });
  }

  #refuse(text: unknown): void {
    if (typeof text !== 'string') return;
    this.#refusal += text;
    this.#tell({ part: 'text', text });
  }

  #takeCalls(list: unknown): Failed | null {
    if (!Array.isArray(list)) return failed('malformed', 'tool_calls is not a list', 'now', BOUND);
    for (const wire of list as (WireCall | null)[]) {
      if (typeof wire !== 'object' || wire === null) continue;
      const call = this.#callOf(wire);
      if (call === null) return failed('too_large', `more than ${LIMITS.callsPerAnswer} calls`, 'no', BOUND);
      this.#takeCall(call, wire);
    }
    return null;
  }

  #takeCall(call: Call, wire: WireCall): void {
    for (const name in wire) {
      if (name === 'index' || name === 'id' || name === 'type' || name === 'function') continue;
      call.extra = keep(call.extra, name, wire[name as keyof WireCall]);
    }
    const { name, arguments: text } = wire.function ?? {};
    if (typeof name === 'string' && name !== '') call.name = name;
    if (typeof text !== 'string' || text === '') return;
    call.arguments += text;
    this.#tell({ part: 'arguments', call: this.#calls.indexOf(call), name: call.name, text });
  }

  /** The call a delta belongs to; null when there are too many. Some compatibles number every call 0: a new id is a new call. */
  #callOf(wire: WireCall): Call | null {
    const index = typeof wire.index === 'number' ? wire.index : this.#calls.length;
    const id = typeof wire.id === 'string' ? wire.id : '';
    const known = this.#places.get(index);
    if (known !== undefined && (id === '' || known.id === '' || id === known.id)) {
      known.id ||= id;
      return known;
    }
    if (this.#calls.length >= LIMITS.callsPerAnswer) return null;
    const call: Call = { id, name: '', arguments: '', extra: null };
    this.#calls.push(call);
    this.#places.set(index, call);
    return call;
  }

  /** Answers are sent back under the call's id: one that is missing or came twice gets one of ours. */
  #finishCalls(): void {
    const ids = new Set<string>();
    for (const [n, call] of this.#calls.entries()) {
      if (call.id === '' || ids.has(call.id)) call.id = `call_${this.#key.slice(0, 16)}_${n}`;
      if (call.arguments === '') call.arguments = '{}';
      ids.add(call.id);
    }
  }

  /**
   * The outcome, once the terminal event has come. A refusal (the provider's `refusal` text, whose finish reason is
   * `stop`) is no answer to what was asked: it counts as filtered, its text kept. A forced call ends with `stop` too:
   * where there are calls, calls it is. An unknown reason is not taken for success.
   */
  outcome(bound: UsageBound): GenerateOutcome {
    const stop = STOPS[this.finish ?? ''];
    if (stop === undefined) return failed('malformed', `unknown finish reason '${this.finish}'`, 'no', BOUND);
    const whole = stop === 'end' || stop === 'calls';
    if (stop === 'calls' && this.#calls.length === 0) {
      return failed('malformed', "the finish reason is 'tool_calls', and there is none", 'now', BOUND);
    }
    this.#finishCalls();
    const calls = whole ? this.#calls : [];
    const refused = this.#refusal !== '';
    return {
      type: 'done',
      stop: whole ? (calls.length > 0 ? 'calls' : refused ? 'filtered' : 'end') : stop,
      text: refused && this.#text === '' ? this.#refusal : this.#text,
      reasoning: this.#reasoning,
      calls: calls.map(({ id, name, arguments: text }) => ({ id, name, arguments: text })),
      usage: this.#usage ?? boundOf(bound),
      native: this.#native(calls),
    };
  }

  #native(calls: readonly Call[]): object {
    return {
      role: 'assistant',
      content: this.#text === '' ? null : this.#text,
      ...(this.#refusal === '' ? {} : { refusal: this.#refusal }),
      ...(this.#extra === null ? {} : Object.fromEntries(this.#extra)),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map(nativeCall) }),
    };
  }
}

function nativeCall(call: Call): object {
  return {
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
    ...(call.extra === null ? {} : Object.fromEntries(call.extra)),
  };
}

/** Members we do not read are kept for the way back: text is joined, lists are joined, the last of the rest wins. */
function keep(extra: Map<string, unknown> | null, name: string, value: unknown): Map<string, unknown> {
  const kept = extra ?? new Map<string, unknown>();
  const before = kept.get(name);
  if (typeof before === 'string' && typeof value === 'string') return kept.set(name, before + value);
  if (Array.isArray(before) && Array.isArray(value)) return kept.set(name, joinLists(before, value));
  return kept.set(name, value);
}

type Piece = { [member: string]: unknown };
const isPiece = (value: unknown): value is Piece & { index: number } =>
  typeof value === 'object' && value !== null && typeof (value as Piece)['index'] === 'number';

/** What has the index of an element that is there is its next piece (OpenRouter's `reasoning_details`). */
function joinLists(before: readonly unknown[], more: readonly unknown[]): unknown[] {
  const joined = [...before];
  for (const value of more) {
    const place = isPiece(value)
      ? joined.findIndex((known) => isPiece(known) && known.index === value.index && known['type'] === value['type'])
      : -1;
    if (place < 0) joined.push(value);
    else joined[place] = joinPieces(joined[place] as Piece, value as Piece);
  }
  return joined;
}

/** Content grows; what names it stays. */
function joinPieces(before: Piece, more: Piece): Piece {
  const joined: Piece = { ...before };
  for (const [name, value] of Object.entries(more)) {
    const known = joined[name];
    const grows = GROWING.has(name) && typeof known === 'string' && typeof value === 'string';
    if (value !== null && value !== undefined) joined[name] = grows ? known + value : value;
  }
  return joined;
}
const GROWING: ReadonlySet<string> = new Set(['text', 'summary', 'data']);

type WireUsage = {
  prompt_tokens?: unknown;
  completion_tokens?: unknown;
  total_tokens?: unknown;
  prompt_tokens_details?: { cached_tokens?: unknown; cache_write_tokens?: unknown } | null;
  completion_tokens_details?: { reasoning_tokens?: unknown } | null;
  /** DeepSeek's name for the cached part. */
  prompt_cache_hit_tokens?: unknown;
};

/**
 * The provider counts cached and written tokens among the input; here each token is counted once. Google and xAI bill
 * thoughts that they leave out of `completion_tokens`: what the total has beyond the prompt is output. Null: not believable.
 */
function usageOf(wire: WireUsage): Usage | null {
  const { prompt_tokens: prompt, completion_tokens: said } = wire;
  if (!isCount(prompt) || !isCount(said)) return null;
  const output = Math.max(said, countOf(wire.total_tokens) - prompt);
  const details = wire.prompt_tokens_details;
  const cachedInput = Math.min(prompt, countOf(details?.cached_tokens ?? wire.prompt_cache_hit_tokens));
  const cacheWrite = Math.min(prompt - cachedInput, countOf(details?.cache_write_tokens));
  return {
    input: prompt - cachedInput - cacheWrite,
    cachedInput,
    cacheWrite,
    output,
    reasoning: Math.max(output - said, Math.min(output, countOf(wire.completion_tokens_details?.reasoning_tokens))),
    source: 'provider',
  };
}
