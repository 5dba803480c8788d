/** What the Messages API refuses in `messages`: blocks, their places, and calls without their answers. */

import { signSummary } from './messages-signature.ts';

export type Fields = { [key: string]: unknown };
/** Consecutive messages of one role are one, as the provider joins them; a string is one block of text. */
export type HistoryMessage = { role: string; content: Fields[] };

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Members each kind of block may have; a star: what it must have. */
const BLOCKS: { readonly [type: string]: string | undefined } = {
  text: 'text* citations cache_control',
  image: 'source* transformations cache_control',
  document: 'source* title context citations cache_control',
  tool_result: 'tool_use_id* content is_error toolset_name cache_control',
  thinking: 'thinking* signature*',
  redacted_thinking: 'data*',
  tool_use: 'id* name* input* caller toolset_name cache_control',
  server_tool_use: 'id* name* input* caller cache_control',
  web_search_tool_result: 'tool_use_id* content* caller cache_control',
  compaction: 'content encrypted_content signature tool_changes cache_control',
};
const OF_USER = new Set(['text', 'image', 'document', 'tool_result']);
const OF_ASSISTANT = new Set(['text', 'thinking', 'redacted_thinking', 'tool_use', 'server_tool_use', 'compaction']);
const ID = /^[a-zA-Z0-9_-]+$/;
const IMAGE_TYPES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

/**
 * Reads the list as the provider does, or says what is wrong with it. `open`: it may end with what the model said (a
 * prefill, or what is to be compacted).
 */
export function readMessages(list: unknown, open: boolean): { messages: HistoryMessage[] } | { wrong: string } {
  if (!Array.isArray(list) || list.length === 0) return { wrong: 'messages: at least one message is required' };
  const messages: HistoryMessage[] = [];
  for (const [n, message] of list.entries()) {
    const wrong = wrongMessage(message, `messages.${n}`);
    if (wrong !== null) return { wrong };
    const { role, content } = message as { role: string; content: string | Fields[] };
    const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else messages.push({ role, content: [...blocks] });
  }
  const [first] = messages;
  if (first?.role !== 'user' && first?.content[0]?.['type'] !== 'compaction')
    return { wrong: 'messages: first message must use the "user" role' };
  if (!open && messages.at(-1)?.role === 'assistant') {
    return {
      wrong: 'This model does not support assistant message prefill. The conversation must end with a user message.',
    };
  }
  const wrong = wrongCompaction(messages) ?? wrongEnd(messages) ?? wrongCalls(messages);
  return wrong === null ? { messages } : { wrong };
}

function wrongMessage(message: unknown, at: string): string | null {
  if (!isFields(message)) return `${at}: Input should be an object`;
  const extra = Object.keys(message).find((key) => key !== 'role' && key !== 'content');
  if (extra !== undefined) return `${at}.${extra}: Extra inputs are not permitted`;
  const { role, content } = message;
  if (role !== 'user' && role !== 'assistant') return `${at}.role: Input should be 'user' or 'assistant'`;
  if (typeof content === 'string') return content.trim() === '' ? `${at}: text content blocks must be non-empty` : null;
  if (!Array.isArray(content) || content.length === 0) return `${at}: content must be a string or a non-empty list`;
  for (const [n, block] of content.entries()) {
    const wrong = wrongBlock(block, role, `${at}.content.${n}`);
    if (wrong !== null) return wrong;
  }
  return null;
}

function wrongBlock(block: unknown, role: string, at: string): string | null {
  if (!isFields(block) || typeof block['type'] !== 'string') return `${at}: Input should be an object with a type`;
  const { type } = block;
  const members = Object.hasOwn(BLOCKS, type) ? BLOCKS[type]?.split(' ') : undefined;
  const fits = role === 'user' ? OF_USER.has(type) : OF_ASSISTANT.has(type) || type.endsWith('_tool_result');
  if (members === undefined || !fits) return `${at}: Input tag '${type}' found is not expected in a ${role} message`;
  const names = members.map((name) => name.replace('*', ''));
  const extra = Object.keys(block).find((key) => key !== 'type' && !names.includes(key));
  if (extra !== undefined) return `${at}.${type}.${extra}: Extra inputs are not permitted`;
  const missing = members.find((name) => name.endsWith('*') && block[name.slice(0, -1)] === undefined);
  if (missing !== undefined) return `${at}.${type}.${missing.slice(0, -1)}: Field required`;
  return wrongMembers(block, type, `${at}.${type}`);
}

function wrongMembers(block: Fields, type: string, at: string): string | null {
  if (type === 'text' && (typeof block['text'] !== 'string' || block['text'].trim() === '')) {
    return `${at}: text content blocks must contain non-whitespace text`;
  }
  if (type === 'tool_use') {
    if (!isFields(block['input'])) return `${at}.input: Input should be a valid dictionary`;
    if (!ID.test(String(block['id']))) return `${at}.id: String should match pattern '^[a-zA-Z0-9_-]+$'`;
  }
  if (type === 'tool_result') {
    const { content } = block;
    const fine = content === undefined || typeof content === 'string' || Array.isArray(content);
    return fine ? null : `${at}.content: Input should be a string or a list`;
  }
  return type === 'image' || type === 'document' ? wrongSource(block['source'], type, `${at}.source`) : null;
}

function wrongSource(source: unknown, type: string, at: string): string | null {
  if (!isFields(source)) return `${at}: Input should be an object`;
  const { type: kind, media_type: media, data } = source;
  if (typeof data !== 'string' || data === '') return `${at}.data: Field required`;
  if (kind === 'text' && type === 'document') return media === 'text/plain' ? null : `${at}.media_type: not supported`;
  if (kind !== 'base64') return `${at}.type: not emulated`;
  if (Buffer.from(data, 'base64').toString('base64') !== data) return `${at}.data: Invalid base64 data`;
  const fits = type === 'image' ? IMAGE_TYPES.has(String(media)) : media === 'application/pdf';
  return fits ? null : `${at}.media_type: '${String(media)}' is not supported`;
}

/** What was compacted stands at the beginning, once, as it was given out. */
function wrongCompaction(messages: readonly HistoryMessage[]): string | null {
  const all = messages.flatMap(({ content }) => content).filter(({ type }) => type === 'compaction');
  const block = all[0];
  if (block === undefined) return null;
  if (all.length > 1) return 'compaction_block_ambiguous: more than one `compaction` block with content';
  if (messages[0]?.content[0] !== block) return 'compaction_block_misplaced: a `compaction` block must come first';
  const { content, signature } = block;
  if (typeof content !== 'string' || content === '') return 'compaction: content must be a non-empty string';
  return signature === signSummary(content) ? null : 'compaction_content_mismatch: not the text that was signed';
}

function wrongEnd(messages: readonly HistoryMessage[]): string | null {
  for (const [n, { role, content }] of messages.entries()) {
    const type = content.at(-1)?.['type'];
    if (role === 'assistant' && (type === 'thinking' || type === 'redacted_thinking')) {
      return `messages.${n}: The final block in an assistant message cannot be \`thinking\`.`;
    }
  }
  return null;
}

/** Each call is answered in the very next message, and before anything else is said there. */
function wrongCalls(messages: readonly HistoryMessage[]): string | null {
  const seen = new Set<string>();
  let open: string[] = [];
  for (const [n, { role, content }] of messages.entries()) {
    const answers = content.filter(({ type }) => type === 'tool_result').map((block) => String(block['tool_use_id']));
    const late = content.findIndex(({ type }) => type !== 'tool_result');
    if (late !== -1 && content.slice(late).some(({ type }) => type === 'tool_result')) {
      return `messages.${n}: tool_result blocks must come first`;
    }
    const stray = answers.find((id) => !open.includes(id));
    if (stray !== undefined)
      return `messages.${n}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray}`;
    const left = open.filter((id) => !answers.includes(id));
    if (left.length > 0) {
      return `messages.${n - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${left.join(', ')}`;
    }
    if (new Set(answers).size < answers.length) return `messages.${n}: each tool_use must have a single result`;
    open = role === 'user' ? [] : content.filter(({ type }) => type === 'tool_use').map((block) => String(block['id']));
    for (const id of open) {
      if (seen.has(id)) return 'messages: `tool_use` ids must be unique';
      seen.add(id);
    }
  }
  return open.length === 0
    ? null
    : `messages: \`tool_use\` ids were found without \`tool_result\` blocks: ${open.join(', ')}`;
}
