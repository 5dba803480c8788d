/**
 * What the Responses API refuses of a history: an answer to a call that is not there, a call without its answer, a
 * reasoning item without the item that followed it or with altered content, an item that was never stored.
 */
import { openCompacted, openEncrypted } from './responses-wire.ts';
import type { WireError } from './wire-server.ts';

export type Fields = { [key: string]: unknown };
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const refuse = (message: string, param: string | null, code: string | null = null): WireError => ({
  message,
  type: 'invalid_request_error',
  param,
  code,
});

/** What the provider gave out: the items that came right after a reasoning item, and those it keeps. */
export type Minted = {
  /** Id of an item → id of the reasoning item it came after. */
  after: ReadonlyMap<string, string>;
  stored: ReadonlySet<string>;
};

/** Items of the conversation, with all the members that each may have. */
const MEMBERS: { readonly [type: string]: ReadonlySet<string> | undefined } = {
  message: new Set(['type', 'role', 'content', 'id', 'status', 'phase']),
  function_call: new Set(['type', 'id', 'call_id', 'name', 'arguments', 'status', 'async', 'caller', 'namespace']),
  function_call_output: new Set(['type', 'id', 'call_id', 'output', 'status', 'caller', 'name', 'namespace']),
  reasoning: new Set(['type', 'id', 'summary', 'content', 'encrypted_content', 'status']),
  compaction: new Set(['type', 'id', 'encrypted_content']),
};
/** Calls of tools that run at the provider, and what else it takes back: their members are its own business. */
const HOSTED = new Set(
  `file_search_call computer_call computer_call_output web_search_call tool_search_call tool_search_output
  additional_tools configuration_update image_generation_call code_interpreter_call local_shell_call
  local_shell_call_output shell_call shell_call_output apply_patch_call apply_patch_call_output mcp_list_tools
  mcp_approval_request mcp_approval_response mcp_call custom_tool_call_output custom_tool_call item_reference program
  program_output`.split(/\s+/),
);
const CONTENT: { readonly [role: string]: readonly string[] | undefined } = {
  user: ['input_text', 'input_image', 'input_file'],
  system: ['input_text', 'input_image', 'input_file'],
  developer: ['input_text', 'input_image', 'input_file'],
  assistant: ['output_text', 'refusal'],
};
const PART_MEMBERS: { readonly [type: string]: readonly string[] | undefined } = {
  input_text: ['type', 'text', 'prompt_cache_breakpoint'],
  input_image: ['type', 'image_url', 'file_id', 'detail', 'prompt_cache_breakpoint'],
  input_file: ['type', 'file_data', 'filename', 'file_id', 'file_url', 'detail', 'prompt_cache_breakpoint'],
  output_text: ['type', 'text', 'annotations', 'logprobs'],
  refusal: ['type', 'refusal'],
};
const CALL_ID_CHARS = 64;
const FUNCTION_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** What is wrong with the input; null where nothing is. */
export function wrongInput(input: unknown, minted: Minted, store: boolean): WireError | null {
  if (typeof input === 'string' && input !== '') return null;
  if (!Array.isArray(input) || input.length === 0) {
    return refuse("Missing required parameter: 'input'.", 'input', 'missing_required_parameter');
  }
  const items = input as unknown[];
  const open = new Set<string>();
  const ids = new Set<string>();
  for (const [n, item] of items.entries()) {
    const at = `input[${n}]`;
    if (!isFields(item)) return refuse(`Invalid type for '${at}'.`, at);
    const wrong = wrongItem(item, at) ?? wrongPlace(items, n, minted, store);
    if (wrong !== null) return wrong;
    const { id, type } = item;
    if (typeof id === 'string' && ids.has(id)) return refuse(`Duplicate item found with id ${id}.`, 'input');
    if (typeof id === 'string') ids.add(id);
    if (type === 'function_call') open.add(item['call_id'] as string);
    if (type !== 'function_call_output') continue;
    const call = item['call_id'] as string;
    if (!open.delete(call)) {
      return refuse(`No tool call found for function call output with call_id ${call}.`, 'input');
    }
  }
  const [unanswered] = open;
  return unanswered === undefined ? null : refuse(`No tool output found for function call ${unanswered}.`, 'input');
}

function wrongItem(item: Fields, at: string): WireError | null {
  const { type: given } = item;
  const type = typeof given === 'string' ? given : given === undefined ? 'message' : '';
  const members = MEMBERS[type];
  if (members === undefined) {
    return HOSTED.has(type) ? null : refuse(`Invalid value: '${type}'.`, `${at}.type`, 'invalid_value');
  }
  const unknown = Object.keys(item).find((key) => !members.has(key));
  if (unknown !== undefined) {
    return refuse(`Unknown parameter: '${at}.${unknown}'.`, `${at}.${unknown}`, 'unknown_parameter');
  }
  switch (type) {
    case 'message':
      return wrongMessage(item, at);
    case 'function_call': {
      const { name, arguments: text } = item;
      if (typeof name !== 'string' || !FUNCTION_NAME.test(name)) return refuse(`Invalid '${at}.name'.`, `${at}.name`);
      if (typeof text !== 'string') return refuse(`Missing required parameter: '${at}.arguments'.`, `${at}.arguments`);
      return wrongCallId(item, at);
    }
    case 'function_call_output': {
      const { output } = item;
      if (typeof output !== 'string' && !Array.isArray(output))
        return refuse(`Invalid '${at}.output'.`, `${at}.output`);
      return wrongCallId(item, at);
    }
    case 'compaction': {
      if (openCompacted(item['encrypted_content']) !== null) return null;
      const message = `The encrypted content for item ${String(item['id'])} could not be verified.`;
      return refuse(message, null, 'invalid_encrypted_content');
    }
    default:
      return Array.isArray(item['summary'])
        ? null
        : refuse(`Missing required parameter: '${at}.summary'.`, `${at}.summary`, 'missing_required_parameter');
  }
}

function wrongCallId(item: Fields, at: string): WireError | null {
  const id = item['call_id'];
  if (typeof id !== 'string' || id === '')
    return refuse(`Missing required parameter: '${at}.call_id'.`, `${at}.call_id`);
  if (id.length <= CALL_ID_CHARS) return null;
  const message = `Invalid '${at}.call_id': string too long. Expected a string with maximum length ${CALL_ID_CHARS}.`;
  return refuse(message, `${at}.call_id`, 'string_above_max_length');
}

function wrongMessage(item: Fields, at: string): WireError | null {
  const { role, content } = item;
  const types = CONTENT[String(role)];
  if (types === undefined) return refuse(`Invalid value: '${String(role)}'.`, `${at}.role`, 'invalid_value');
  if (typeof content === 'string') return null;
  if (!Array.isArray(content) || content.length === 0) return refuse(`Invalid '${at}.content'.`, `${at}.content`);
  for (const [n, part] of (content as unknown[]).entries()) {
    const place = `${at}.content[${n}]`;
    const type = isFields(part) ? String(part['type']) : '';
    if (!isFields(part) || !types.includes(type)) return refuse(`Invalid value: '${type}'.`, place, 'invalid_value');
    const unknown = Object.keys(part).find((key) => PART_MEMBERS[type]?.includes(key) !== true);
    if (unknown !== undefined) return refuse(`Unknown parameter: '${place}.${unknown}'.`, place, 'unknown_parameter');
    const wrong = wrongPart(part, type);
    if (wrong !== null) return refuse(`Invalid '${place}': ${wrong}`, place, 'invalid_value');
  }
  return null;
}

const DATA_URL = /^data:([a-z0-9.+-]+\/[a-z0-9.+-]+);base64,([A-Za-z0-9+/]+={0,2})$/;
const IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

function wrongPart(part: Fields, type: string): string | null {
  switch (type) {
    case 'input_text':
    case 'output_text':
      return typeof part['text'] === 'string' ? null : 'text is missing.';
    case 'input_image': {
      const url = String(part['image_url']);
      if (url.startsWith('https://')) return null;
      const media = DATA_URL.exec(url)?.[1] ?? '';
      return IMAGES.has(media) ? null : 'expected a base64-encoded data URL with an image MIME type.';
    }
    case 'input_file': {
      if (typeof part['filename'] !== 'string' || part['filename'] === '') return 'filename is missing.';
      return DATA_URL.test(String(part['file_data'])) ? null : 'expected a base64-encoded data URL.';
    }
    default:
      return null;
  }
}

/** Reasoning goes back as it came, right before the item it led to; that item does not go back without it. */
function wrongPlace(items: readonly unknown[], n: number, minted: Minted, store: boolean): WireError | null {
  const item = items[n] as Fields;
  const { id, type } = item;
  const next = items[n + 1];
  if (type === 'reasoning') {
    const content = item['encrypted_content'];
    if (typeof content !== 'string' || content === '') {
      if (minted.stored.has(String(id))) return null;
      const hint = store ? '' : ' Items are not persisted when `store` is set to false.';
      return refuse(`Item with id '${String(id)}' not found.${hint}`, 'input');
    }
    const opened = openEncrypted(content);
    if (opened === null) {
      const message = `The encrypted content ${content.slice(0, 4)}... could not be verified.`;
      return refuse(message, null, 'invalid_encrypted_content');
    }
    if (opened.id !== id) return refuse('Encrypted content item_id did not match the target item id.', null);
    if (!isFields(next) || (opened.next !== '' && next['id'] !== opened.next)) {
      const message = `Item '${opened.id}' of type 'reasoning' was provided without its required following item.`;
      return refuse(message, 'input');
    }
    return null;
  }
  const before = items[n - 1];
  const wanted = typeof id === 'string' ? minted.after.get(id) : undefined;
  if (wanted === undefined || (isFields(before) && before['id'] === wanted)) return null;
  const message = `Item '${String(id)}' of type '${String(type)}' was provided without its required 'reasoning' item: '${wanted}'.`;
  return refuse(message, 'input');
}
