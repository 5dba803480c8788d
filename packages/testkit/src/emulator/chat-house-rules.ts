/** What a compatible refuses in a request that OpenAI would take (see chat-houses.ts). */
import type { ChatHouse } from './chat-houses.ts';
import { isFields, refuse, type ChatMessage, type Fields } from './chat-rules.ts';
import { SIGNATURE, type ChatError } from './chat-wire.ts';

/** Whoever sends calls that this house did not make says so. */
const UNSIGNED = 'skip_thought_signature_validator';

/** `body` is one that `readChatRequest` took. */
export function wrongInHouse(given: unknown, house: ChatHouse): ChatError | null {
  const body = given as Fields;
  const lost = house.passesOver?.find((name) => name in body);
  if (lost !== undefined) return refuse(`'${lost}' is passed over here: what it asks for does not hold`, lost);
  const messages = body['messages'] as readonly ChatMessage[];
  const thinks = house.thinks === true && !isOff(body['thinking']);
  if (thinks && isForced(body['tool_choice'])) return refuse('Thinking mode does not support this tool_choice', null);
  const format = isFields(body['response_format']) ? body['response_format']['type'] : 'text';
  if (house.plainJsonOnly === true && format === 'json_schema')
    return refuse('This response_format type is unavailable now', 'response_format');
  for (const [n, message] of messages.entries()) {
    const wrong = wrongMessage(message, messages[n - 1], house, thinks);
    if (wrong !== null) return refuse(wrong, `messages[${n}]`);
  }
  return null;
}

const isOff = (thinking: unknown): boolean => isFields(thinking) && thinking['type'] === 'disabled';
const isForced = (choice: unknown): boolean => choice === 'required' || isFields(choice);

function wrongMessage(
  message: ChatMessage,
  before: ChatMessage | undefined,
  house: ChatHouse,
  thinks: boolean,
): string | null {
  const fields = message as ChatMessage & Fields;
  if (house.strictOrder === true && before?.role === 'tool' && message.role !== 'tool' && message.role !== 'assistant')
    return `Unexpected role '${message.role}' after role 'tool'`;
  if (message.role === 'tool') return wrongId(message.tool_call_id ?? '', house);
  if (message.role !== 'assistant') return null;
  const extra = house.refusesInMessages?.find((name) => name in fields);
  if (extra !== undefined) return `property '${extra}' is unsupported`;
  const calls = message.tool_calls ?? [];
  if (thinks && calls.length > 0 && typeof fields['reasoning_content'] !== 'string')
    return 'The `reasoning_content` in the thinking mode must be passed back to the API.';
  if (house.signs === true && calls.length > 0 && !isSigned(calls[0]))
    return 'Function call is missing a thought_signature';
  return calls.map((call) => wrongId(call.id, house)).find((wrong) => wrong !== null) ?? null;
}

const wrongId = (id: string, { callIds }: ChatHouse): string | null =>
  callIds === undefined || callIds.test(id)
    ? null
    : `Tool call id was ${id} but must be a-z, A-Z, 0-9, with a length of 9.`;

function isSigned(call: unknown): boolean {
  const extra = isFields(call) && isFields(call['extra_content']) ? call['extra_content'] : {};
  const signature = isFields(extra['google']) ? extra['google']['thought_signature'] : undefined;
  return signature === UNSIGNED || signature === SIGNATURE.google.thought_signature;
}
