/**
 * The bytes of the Messages protocol, written from Anthropic's API reference (messages, "Streaming messages", "Errors")
 * at version 2026-10-21. Nothing here is shared with the adapter.
 */
import { split } from './chat-wire.ts';
import { signSummary } from './messages-signature.ts';
import type { WireError } from './wire-server.ts';

export type MessagesUsage = {
  /** Neither read from the cache nor written to it. */
  input: number;
  output: number;
  cacheRead?: number;
  cacheWrite?: number;
  /** Among the output tokens. */
  thinking?: number;
};

export type MessagesBlock =
  | { type: 'text'; text: string; citations?: readonly object[] }
  /** Without a signature it is signed as the provider would. */
  | { type: 'thinking'; thinking: string; signature?: string }
  | { type: 'redacted_thinking'; data: string }
  /** `input` is an object (sent as JSON) or the exact text, malformed if you like. */
  | { type: 'tool_use'; id?: string; name: string; input?: unknown }
  /** Any other block, sent whole as it begins: what server tools find, say. */
  | { type: 'raw'; block: { type: string; [name: string]: unknown } };

export type MessagesAnswer = {
  /** Thinking, text and calls in this order, unless `content` says all of it. */
  thinking?: string;
  text?: string;
  calls?: readonly { id?: string; name: string; input?: unknown }[];
  content?: readonly MessagesBlock[];
  /** Text and arguments come in this many deltas; default 3. */
  pieces?: number;
  stop?: string;
  /** The answer to a request to compact: the summary, null where none would do. */
  compaction?: string | null;
  /** Of a refusal. */
  explanation?: string;
  /** Without it the emulator counts by itself. */
  usage?: MessagesUsage;
};

/** What the request decides of an answer. */
export type MessagesFrame = {
  model: string;
  usage: MessagesUsage;
  /** Signs a thinking block for the place it will stand at. */
  sign(thinking: string): string;
  /** Thinking comes without its text. */
  omitThinking: boolean;
  /** What was left out of the request; null: the request did not ask. */
  transformed: readonly object[] | null;
};

export function blocksOf(answer: MessagesAnswer): readonly MessagesBlock[] {
  if (answer.content !== undefined) return answer.content;
  if (answer.compaction !== undefined) return [{ type: 'raw', block: compactionBlock(answer.compaction) }];
  return [
    ...(answer.thinking === undefined ? [] : [{ type: 'thinking', thinking: answer.thinking } as const]),
    ...(answer.text === undefined ? [] : [{ type: 'text', text: answer.text } as const]),
    ...(answer.calls ?? []).map((call) => ({ type: 'tool_use', ...call }) as const),
  ];
}

function compactionBlock(content: string | null): { type: string; [name: string]: unknown } {
  const signature = content === null ? null : signSummary(content);
  return { type: 'compaction', content, encrypted_content: null, signature, tool_changes: [] };
}

const stopOf = (answer: MessagesAnswer): string =>
  answer.stop ??
  (answer.compaction === undefined ? undefined : 'compaction') ??
  (blocksOf(answer).some(({ type }) => type === 'tool_use') ? 'tool_use' : 'end_turn');

function stopDetails(answer: MessagesAnswer): object | null {
  if (stopOf(answer) !== 'refusal') return null;
  return { type: 'refusal', category: null, explanation: answer.explanation ?? null };
}

function usageOf({ input, output, cacheRead = 0, cacheWrite = 0, thinking = 0 }: MessagesUsage): object {
  return {
    input_tokens: input,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cacheRead,
    output_tokens: output,
    output_tokens_details: { thinking_tokens: thinking },
    server_tool_use: null,
  };
}

function startUsage(usage: MessagesUsage): object {
  const { cacheWrite = 0 } = usage;
  return {
    ...usageOf({ ...usage, output: 1, thinking: 0 }),
    cache_creation: { ephemeral_5m_input_tokens: cacheWrite, ephemeral_1h_input_tokens: 0 },
    inference_geo: 'global',
    service_tier: 'standard',
    speed: 'standard',
  };
}

const messageOf = (frame: MessagesFrame): object => ({
  id: 'msg_emulated',
  type: 'message',
  role: 'assistant',
  model: frame.model,
  container: null,
  diagnostics: null,
  ...(frame.transformed === null ? {} : { input_transformations: frame.transformed }),
});

/** A block as a whole message has it. */
function whole(block: MessagesBlock, n: number, frame: MessagesFrame): object {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text, citations: block.citations ?? null };
    case 'thinking': {
      const thinking = frame.omitThinking ? '' : block.thinking;
      return { type: 'thinking', thinking, signature: block.signature ?? frame.sign(thinking) };
    }
    case 'tool_use': {
      const input = typeof block.input === 'string' ? { malformed: block.input } : (block.input ?? {});
      return { type: 'tool_use', id: idOf(block, n), name: block.name, input, caller: { type: 'direct' } };
    }
    case 'raw':
      return block.block;
    default:
      return block;
  }
}

const idOf = (block: { id?: string }, n: number): string => block.id ?? `toolu_emulated_${n}`;

/** The answer to a request without `stream`. */
export function messageBody(answer: MessagesAnswer, frame: MessagesFrame): string {
  const usage = answer.usage ?? frame.usage;
  return JSON.stringify({
    ...messageOf(frame),
    content: blocksOf(answer).map((block, n) => whole(block, n, frame)),
    stop_reason: stopOf(answer),
    stop_sequence: null,
    stop_details: stopDetails(answer),
    usage: { ...startUsage(usage), ...(answer.compaction === undefined ? usageOf(usage) : compactionUsage(usage)) },
  });
}

/** What the summary took is told apart: nothing is sampled besides. */
function compactionUsage({ input, output, cacheRead = 0, cacheWrite = 0 }: MessagesUsage): object {
  const iteration = {
    type: 'compaction',
    input_tokens: input,
    output_tokens: output,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
    cache_creation: null,
  };
  return { ...usageOf({ input: 0, output: 0 }), iterations: [iteration] };
}

/** The events of a streamed answer, each with its blank line; the last one is the terminal `message_stop`. */
export function messageEvents(answer: MessagesAnswer, frame: MessagesFrame): string[] {
  const usage = answer.usage ?? frame.usage;
  const open = { content: [], stop_reason: null, stop_sequence: null, stop_details: null };
  const start = { ...messageOf(frame), ...open, usage: startUsage(usage) };
  const delta = {
    stop_reason: stopOf(answer),
    stop_sequence: null,
    stop_details: stopDetails(answer),
    container: null,
  };
  return [
    event('message_start', { message: start }),
    event('ping', {}),
    ...blocksOf(answer).flatMap((block, index) => blockEvents(block, index, frame, answer.pieces ?? 3)),
    event('message_delta', { delta, usage: usageOf(usage) }),
    event('message_stop', {}),
  ];
}

function blockEvents(block: MessagesBlock, index: number, frame: MessagesFrame, pieces: number): string[] {
  const { start, deltas } = parts(block, index, frame, pieces);
  return [
    event('content_block_start', { index, content_block: start }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ];
}

/** How a block begins, and what comes after. */
function parts(
  block: MessagesBlock,
  n: number,
  frame: MessagesFrame,
  pieces: number,
): { start: object; deltas: object[] } {
  switch (block.type) {
    case 'text': {
      const cited = (block.citations ?? []).map((citation) => ({ type: 'citations_delta', citation }));
      const deltas = split(block.text, pieces).map((text) => ({ type: 'text_delta', text }));
      return {
        start: { type: 'text', text: '', citations: block.citations === undefined ? null : [] },
        deltas: [...deltas, ...cited],
      };
    }
    case 'thinking': {
      const told = frame.omitThinking ? '' : block.thinking;
      const deltas = split(told, pieces).map((thinking) => ({ type: 'thinking_delta', thinking }));
      const signature = { type: 'signature_delta', signature: block.signature ?? frame.sign(told) };
      return { start: { type: 'thinking', thinking: '', signature: '' }, deltas: [...deltas, signature] };
    }
    case 'tool_use': {
      const text = typeof block.input === 'string' ? block.input : JSON.stringify(block.input ?? {});
      const deltas = ['', ...split(text === '{}' ? '' : text, pieces)].map((partial) => ({
        type: 'input_json_delta',
        partial_json: partial,
      }));
      const start = { type: 'tool_use', id: idOf(block, n), name: block.name, input: {}, caller: { type: 'direct' } };
      return { start, deltas };
    }
    default:
      return { start: whole(block, n, frame), deltas: [] };
  }
}

const event = (name: string, data: object): string =>
  `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;

const wireError = ({ type, message }: WireError): object => ({ error: { type, message }, request_id: 'req_emulated' });

/** An error in the middle of a stream that began with 200. */
export const errorEvent = (error: WireError): string => event('error', wireError(error));
export const errorBody = (error: WireError): string => JSON.stringify({ type: 'error', ...wireError(error) });
