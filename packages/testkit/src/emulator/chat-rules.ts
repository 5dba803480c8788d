/**
 * What the provider refuses, from OpenAI's API reference: parameters, messages, tools. A request that breaks a rule
 * gets the provider's kind of 400 here too, so that a mistake of the adapter is not answered kindly.
 */
import type { ChatHouse } from './chat-houses.ts';
import type { ChatError } from './chat-wire.ts';

export type ChatRequest = {
  model: string;
  messages: readonly ChatMessage[];
  stream: boolean;
  includeUsage: boolean;
  cacheKey: string | null;
};
export type ChatMessage = {
  role: string;
  content?: unknown;
  tool_call_id?: string;
  tool_calls?: readonly { id: string; type: string; function: { name: string; arguments: string } }[];
};

const PARAMETERS = new Set(
  `messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
  metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
  prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop
  store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options`.split(
    /\s+/,
  ),
);
const ROLES = new Set(['developer', 'system', 'user', 'assistant', 'tool', 'function']);
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const TOOLS_MAX = 128;

export type Fields = { [key: string]: unknown };
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const refuse = (message: string, param: string | null, code: string | null = null): ChatError => ({
  message,
  type: 'invalid_request_error',
  param,
  code,
});

/** The request as the emulator reads it, or what the provider would say is wrong with it. */
export function readChatRequest(body: unknown, house: ChatHouse = {}): { request: ChatRequest } | { error: ChatError } {
  if (!isFields(body)) return { error: refuse('the body is not a JSON object', null) };
  const unknown = Object.keys(body).find(
    (key) => (!PARAMETERS.has(key) && house.takes?.includes(key) !== true) || house.refuses?.includes(key) === true,
  );
  if (unknown !== undefined) {
    return { error: refuse(`Unrecognized request argument supplied: ${unknown}`, unknown, 'unknown_parameter') };
  }
  const error = wrongParameter(body) ?? wrongTools(body) ?? wrongMessages(body['messages']);
  if (error !== null) return { error };
  const { stream_options: options, prompt_cache_key: cacheKey } = body;
  return {
    request: {
      model: body['model'] as string,
      messages: body['messages'] as ChatMessage[],
      stream: body['stream'] === true,
      includeUsage: isFields(options) && options['include_usage'] === true,
      cacheKey: typeof cacheKey === 'string' ? cacheKey : null,
    },
  };
}

function wrongParameter(body: Fields): ChatError | null {
  if (typeof body['model'] !== 'string' || body['model'] === '') {
    return refuse('you must provide a model parameter', 'model');
  }
  if (body['stream_options'] !== undefined && body['stream'] !== true) {
    return refuse("'stream_options' is only allowed when 'stream' is enabled", 'stream_options');
  }
  for (const name of ['max_tokens', 'max_completion_tokens']) {
    const value = body[name];
    if (value !== undefined && !(Number.isInteger(value) && (value as number) >= 1)) {
      return refuse(`invalid '${name}': an integer of at least 1 is expected`, name);
    }
  }
  const temperature = body['temperature'];
  if (temperature !== undefined && !(typeof temperature === 'number' && temperature >= 0 && temperature <= 2)) {
    return refuse("invalid 'temperature': a number from 0 to 2 is expected", 'temperature');
  }
  return wrongFormat(body['response_format']);
}

function wrongFormat(format: unknown): ChatError | null {
  if (format === undefined) return null;
  const type = isFields(format) ? format['type'] : undefined;
  if (type === 'text' || type === 'json_object') return null;
  const schema = isFields(format) ? format['json_schema'] : undefined;
  if (type === 'json_schema' && isFields(schema) && typeof schema['name'] === 'string') return null;
  return refuse("invalid 'response_format'", 'response_format');
}

function wrongTools(body: Fields): ChatError | null {
  const { tools, tool_choice: choice } = body as { tools?: unknown; tool_choice?: unknown };
  if (tools === undefined) {
    return choice === undefined
      ? null
      : refuse("'tool_choice' is only allowed when 'tools' are specified", 'tool_choice');
  }
  if (!Array.isArray(tools) || tools.length === 0 || tools.length > TOOLS_MAX) {
    return refuse(`invalid 'tools': 1 to ${TOOLS_MAX} tools are expected`, 'tools');
  }
  const names = tools.map((tool: unknown) => {
    const named = isFields(tool) && tool['type'] === 'function' ? tool['function'] : undefined;
    return isFields(named) ? named['name'] : undefined;
  });
  const wrong = names.findIndex((name) => typeof name !== 'string' || !TOOL_NAME.test(name));
  if (wrong !== -1) return refuse(`invalid 'tools[${wrong}].function.name'`, `tools[${wrong}].function.name`);
  if (choice === undefined || choice === 'auto' || choice === 'none' || choice === 'required') return null;
  const chosen = isFields(choice) && isFields(choice['function']) ? choice['function']['name'] : undefined;
  return names.includes(chosen) ? null : refuse("'tool_choice' names a tool that is not there", 'tool_choice');
}

function wrongMessages(messages: unknown): ChatError | null {
  if (!Array.isArray(messages) || messages.length === 0) {
    return refuse("invalid 'messages': at least one is expected", 'messages');
  }
  let open: string[] = [];
  for (const [n, message] of messages.entries() as IterableIterator<[number, ChatMessage]>) {
    const at = `messages[${n}]`;
    if (!isFields(message) || !ROLES.has(message.role)) return refuse(`invalid '${at}.role'`, `${at}.role`);
    if (message.role === 'tool') {
      const answered = open.indexOf(message.tool_call_id ?? '');
      if (answered === -1) {
        return refuse("a message with role 'tool' must answer a preceding message with 'tool_calls'", `${at}.role`);
      }
      open.splice(answered, 1);
    } else if (open.length > 0) {
      return refuse(`tool_calls without an answer: ${open.join(', ')}`, `${at}.role`);
    }
    if (wrongContent(message)) return refuse(`invalid '${at}.content'`, `${at}.content`);
    if (message.tool_calls !== undefined) {
      const wrong = wrongCalls(message);
      if (wrong !== null) return refuse(wrong, `${at}.tool_calls`);
      open = message.tool_calls.map((call) => call.id);
    }
  }
  return open.length === 0 ? null : refuse(`tool_calls without an answer: ${open.join(', ')}`, 'messages');
}

function wrongContent(message: ChatMessage): boolean {
  if (typeof message.content === 'string') return false;
  if (Array.isArray(message.content)) return message.content.length === 0 || message.content.some(wrongPart(message));
  return !(message.role === 'assistant' && (message.tool_calls !== undefined || 'refusal' in message));
}

const DATA_URL = /^data:[\w.+-]+\/[\w.+-]+;base64,[A-Za-z0-9+/]+={0,2}$/;

/** The parts of a message; only a user's may hold more than text. */
const wrongPart =
  (message: ChatMessage) =>
  (part: unknown): boolean => {
    if (!isFields(part)) return true;
    if (part['type'] === 'text') return typeof part['text'] !== 'string';
    if (message.role !== 'user') return true;
    const image = part['type'] === 'image_url' ? part['image_url'] : undefined;
    if (isFields(image)) return !String(image['url']).startsWith('https:') && !DATA_URL.test(String(image['url']));
    const file = part['type'] === 'file' ? part['file'] : undefined;
    if (!isFields(file)) return true;
    return typeof file['filename'] !== 'string' || !DATA_URL.test(String(file['file_data']));
  };

function wrongCalls(message: ChatMessage): string | null {
  if (message.role !== 'assistant') return "only the assistant has 'tool_calls'";
  if (!Array.isArray(message.tool_calls) || message.tool_calls.length === 0) return "'tool_calls' is empty";
  const whole = message.tool_calls.every(
    (call) => typeof call.id === 'string' && call.type === 'function' && typeof call.function.arguments === 'string',
  );
  return whole ? null : "an element of 'tool_calls' is not whole";
}
