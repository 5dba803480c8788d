/**
 * Puts a streamed message together: its blocks as they came, to be sent back as they were, and of them what the engine
 * reads: text, thinking, calls, usage.
 *
 * 1. An event is foreign data: each member is looked at before it is used. Kinds that are not known are left alone
 *    ("Streaming messages": new ones may come), blocks of other kinds (server tools) are kept and not read.
 * 2. The answer is whole only after a stop reason and `message_stop`; until then it is worth nothing.
 * 3. A call whose arguments may be cut is not handed on: it must never run.
 */
import type { RawMessageStreamEvent, StopReason, ToolUseBlock } from '@anthropic-ai/sdk/resources/messages';
import type { AskedCall, Delta, GenerateOutcome, Usage } from '@perdure/runtime/ports';
import { BOUND, failed, type Failed } from '../failures.ts';
import { LIMITS } from '../limits.ts';
import { boundOf, countOf, isCount, type UsageBound } from '../usage.ts';
import { inputOf } from './request.ts';

type Done = Extract<GenerateOutcome, { type: 'done' }>;
/** Any event of the stream, as far as it may be believed. */
export type WireEvent = { [name: string]: unknown; type?: RawMessageStreamEvent['type'] | 'error' | 'ping' };
export type Members = { [name: string]: unknown };
type Block = {
  wire: Members;
  /** What has come of the input of a call. */
  input: string;
  /** Place among the calls of this answer; null: not a call of ours. */
  call: number | null;
  open: boolean;
};

/**
 * What the stop reasons are to the engine ("Handling stop reasons"). `pause_turn` is a turn of server tools that is not
 * over: a cut answer, like one that met the end of the window.
 */
const STOPS: { readonly [reason in StopReason]: Done['stop'] } = {
  end_turn: 'end',
  stop_sequence: 'end',
  tool_use: 'calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  pause_turn: 'length',
  refusal: 'filtered',
};

export class Answer {
  readonly #blocks = new Map<number, Block>();
  readonly #tell: (delta: Delta) => void;
  #begun = false;
  #calls = 0;
  #stop: string | null = null;
  /** Why the provider refused, in its own words. */
  #explanation = '';
  /** Later counts replace earlier ones: they are totals. */
  #usage: Members = {};
  /** What the provider left out of our history (thinking that is no longer valid); kept with the answer. */
  #transformed: unknown = null;

  constructor(tell: (delta: Delta) => void) {
    this.#tell = tell;
  }

  /** Takes one event in; a failure ends the answer. */
  take(event: WireEvent): Failed | null {
    switch (event.type) {
      case 'message_start':
        return this.#start(membersOf(event['message']));
      case 'content_block_start':
        return this.#open(event['index'], membersOf(event['content_block']));
      case 'content_block_delta':
        return this.#extend(event['index'], membersOf(event['delta']));
      case 'content_block_stop':
        return this.#close(event['index']);
      case 'message_delta':
        return this.#finish(membersOf(event['delta']), membersOf(event['usage']));
      default:
        return null;
    }
  }

  #start(message: Members): Failed | null {
    this.#begun = true;
    this.#count(membersOf(message['usage']));
    const transformed = message['input_transformations'];
    if (Array.isArray(transformed) && transformed.length > 0) this.#transformed = transformed;
    return null;
  }

  #open(index: unknown, wire: Members): Failed | null {
    if (!isCount(index) || this.#blocks.has(index) || typeof wire['type'] !== 'string') return broken('a block');
    const isCall = wire['type'] === 'tool_use';
    if (isCall && !(typeof wire['id'] === 'string' && typeof wire['name'] === 'string')) return broken('a call');
    if (isCall && this.#calls >= LIMITS.callsPerAnswer) {
      return failed('too_large', `more than ${LIMITS.callsPerAnswer} calls`, 'no', BOUND);
    }
    const block: Block = { wire: { ...wire }, input: '', call: isCall ? this.#calls++ : null, open: true };
    this.#blocks.set(index, block);
    for (const [name, part] of TEXTS) this.#say(part, wire[name]);
    return null;
  }

  #extend(index: unknown, delta: Members): Failed | null {
    const block = isCount(index) ? this.#blocks.get(index) : undefined;
    if (block?.open !== true) return broken('a delta of no open block');
    const { wire } = block;
    const append = (name: string): void => {
      if (typeof delta[name] === 'string') wire[name] = textOf(wire[name]) + delta[name];
    };
    switch (delta['type']) {
      case 'text_delta':
        append('text');
        this.#say('text', delta['text']);
        return null;
      case 'thinking_delta':
        append('thinking');
        this.#say('reasoning', delta['thinking']);
        return null;
      case 'signature_delta':
        append('signature');
        return null;
      case 'input_json_delta':
        this.#extendInput(block, textOf(delta['partial_json']));
        return null;
      case 'citations_delta':
        if (!Array.isArray(wire['citations'])) wire['citations'] = [];
        (wire['citations'] as unknown[]).push(delta['citation']);
        return null;
      default:
        return null;
    }
  }

  #extendInput(block: Block, text: string): void {
    block.input += text;
    if (block.call === null || text === '') return;
    this.#tell({ part: 'arguments', call: block.call, name: textOf(block.wire['name']), text });
  }

  #close(index: unknown): Failed | null {
    const block = isCount(index) ? this.#blocks.get(index) : undefined;
    if (block?.open !== true) return broken('the end of no open block');
    block.open = false;
    if (block.input !== '') block.wire['input'] = inputOf(block.input);
    return null;
  }

  #finish(delta: Members, usage: Members): Failed | null {
    this.#count(usage);
    if (typeof delta['stop_reason'] === 'string') this.#stop = delta['stop_reason'];
    this.#explanation = textOf(membersOf(delta['stop_details'])['explanation']);
    return null;
  }

  #count(usage: Members): void {
    for (const [name, value] of Object.entries(usage)) {
      if (value !== null && value !== undefined) this.#usage[name] = value;
    }
  }

  #say(part: 'text' | 'reasoning', text: unknown): void {
    if (typeof text === 'string' && text !== '') this.#tell({ part, text });
  }

  /**
   * The outcome, once `message_stop` has come. An unknown stop reason is not taken for success; a forced call may end
   * with `end_turn`: where there are calls, calls it is. A refusal without a word says what the provider says of it.
   */
  outcome(bound: UsageBound): GenerateOutcome {
    if (!this.#begun || this.#stop === null) {
      return failed('stream_cut', 'message_stop came without a stop reason', 'now', BOUND);
    }
    const blocks = [...this.#blocks].toSorted(([a], [b]) => a - b).map(([, block]) => block);
    if (blocks.some(({ open }) => open)) return broken('the end of a message whose blocks are not closed');
    const stop = Object.hasOwn(STOPS, this.#stop) ? STOPS[this.#stop as StopReason] : null;
    if (stop === null) return failed('malformed', `unknown stop reason '${this.#stop}'`, 'no', BOUND);
    const whole = stop === 'end' || stop === 'calls';
    const calls = whole ? callsOf(blocks) : [];
    if (stop === 'calls' && calls.length === 0) return broken("the stop reason 'tool_use' without a call");
    const text = joined(blocks, 'text');
    if (text === '' && stop === 'filtered') this.#say('text', this.#explanation);
    return {
      type: 'done',
      stop: calls.length > 0 ? 'calls' : stop,
      text: text === '' && stop === 'filtered' ? this.#explanation : text,
      reasoning: joined(blocks, 'thinking'),
      calls,
      usage: usageOf(this.#usage) ?? boundOf(bound),
      native: this.#native(whole ? blocks : cut(blocks)),
    };
  }

  #native(blocks: readonly Block[]): object {
    const content = blocks.filter(({ wire }) => wire['type'] !== 'text' || textOf(wire['text']).trim() !== '');
    return {
      role: 'assistant',
      content: content.map(({ wire }) => wire),
      ...(this.#transformed === null ? {} : { input_transformations: this.#transformed }),
    };
  }
}

const TEXTS = [
  ['text', 'text'],
  ['thinking', 'reasoning'],
] as const;

const broken = (what: string): Failed => failed('malformed', `${what} that the protocol does not know`, 'now', BOUND);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
export const membersOf = (value: unknown): Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};

const joined = (blocks: readonly Block[], type: 'text' | 'thinking'): string =>
  blocks.map(({ wire }) => (wire['type'] === type ? textOf(wire[type]) : '')).join('');

/** The arguments as they came; a call without any came with its input in one piece. */
function callsOf(blocks: readonly Block[]): AskedCall[] {
  return blocks.flatMap(({ wire, input, call }) => {
    if (call === null) return [];
    const { id, name, input: whole } = wire as Pick<ToolUseBlock, 'id' | 'name' | 'input'>;
    return [{ id, name, arguments: input === '' ? JSON.stringify(whole ?? {}) : input }];
  });
}

/**
 * What of a cut answer may be sent back: a call without an answer and a message that ends with thinking would both be
 * refused ("Extended thinking", with tool use).
 */
function cut(blocks: readonly Block[]): Block[] {
  const kept = blocks.filter(({ call }) => call === null);
  while (/^(?:redacted_)?thinking$/.test(textOf(kept.at(-1)?.wire['type']))) kept.pop();
  return kept;
}

/** The three kinds of input add up to all of it ("Prompt caching", tracking). Null: not believable. */
export function usageOf(wire: Members): Usage | null {
  const { input_tokens: input, output_tokens: output } = wire;
  if (!isCount(input) || !isCount(output)) return null;
  return {
    input,
    cachedInput: countOf(wire['cache_read_input_tokens']),
    cacheWrite: countOf(wire['cache_creation_input_tokens']),
    output,
    reasoning: Math.min(output, countOf(membersOf(wire['output_tokens_details'])['thinking_tokens'])),
    source: 'provider',
  };
}
