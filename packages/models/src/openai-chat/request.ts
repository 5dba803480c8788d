/**
 * What is sent. The messages are the runtime's own text of the items, kept from turn to turn, so that a request costs
 * what is new; everything before them is the same in each turn of a run, and the provider's prompt cache finds its
 * prefix (tools, then messages, in their order).
 */
import { createHash } from 'node:crypto';
import type { GenerateRequest, LoadedPart, NeutralItem, ToolDeclaration } from '@perdure/runtime/ports';
import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionCreateParamsStreaming,
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
  ChatCompletionToolMessageParam,
} from 'openai/resources/chat/completions';
import type { Endpoint, Quirks } from './endpoint.ts';

/** One item as JSON of the messages it adds; '' adds none. Pure. */
export function renderItem(item: NeutralItem, model: string, quirks: Quirks): string {
  if (item.kind === 'turn') return renderTurn(item, model, quirks);
  const message: ChatCompletionMessageParam =
    item.kind === 'message' ? { role: 'user', content: contentOf(item.parts) } : toolMessage(item, quirks);
  return JSON.stringify(message);
}

function toolMessage(item: Extract<NeutralItem, { kind: 'result' }>, quirks: Quirks): ChatCompletionToolMessageParam {
  const id = callId(item.providerId, quirks);
  const content = resultText(item);
  // Its role stands last where what follows it matters: see `bridged`.
  if (quirks.assistantAfterTool === true) return { content, tool_call_id: id, role: 'tool' };
  return { role: 'tool', tool_call_id: id, content };
}

const SHORT_ID = /^[a-zA-Z0-9]{9}$/;

/** The same id for the same call, always; nine letters and digits where it must be. */
function callId(id: string, { shortCallIds }: Quirks): string {
  if (shortCallIds !== true || SHORT_ID.test(id)) return id;
  return createHash('sha256').update(id).digest('hex').slice(0, 9);
}

/**
 * One text where there is nothing else, as every compatible takes it; else content parts (API reference, "Create chat
 * completion": `image_url` with a data URL, `file` with `file_data`).
 */
function contentOf(parts: readonly LoadedPart[]): string | ChatCompletionContentPart[] {
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return texts.length === parts.length ? texts.join('\n') : parts.map(contentPart);
}

function contentPart(part: LoadedPart): ChatCompletionContentPart {
  if (part.type === 'text') return { type: 'text', text: part.text };
  const url = `data:${part.mediaType};base64,${part.base64}`;
  if (part.type === 'image') return { type: 'image_url', image_url: { url } };
  return { type: 'file', file: { filename: part.name, file_data: url } };
}

/** The protocol has no mark for a failed call: the text says it. */
function resultText(item: Extract<NeutralItem, { kind: 'result' }>): string {
  return item.outcome === 'done' ? item.content : `[${item.outcome}] ${item.content}`;
}

/** The message as it came when this model said it, else its text and calls. An empty one would be refused: left out. */
function renderTurn(item: Extract<NeutralItem, { kind: 'turn' }>, model: string, quirks: Quirks): string {
  if (item.model === model && isAssistant(item.native)) {
    if (!saysSomething(item.native)) return '';
    return JSON.stringify(fitted(item.native, quirks));
  }
  const message: ChatCompletionAssistantMessageParam = {
    role: 'assistant',
    content: item.text === '' ? null : item.text,
  };
  if (item.calls.length > 0) {
    message.tool_calls = item.calls.map((call, n) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
      ...(n === 0 && quirks.signedCalls === true ? { extra_content: UNSIGNED } : {}),
    }));
  }
  return saysSomething(message) ? JSON.stringify(fitted(message, quirks)) : '';
}

/** Google's word for a call without a signature: it stands on the first call of a message. */
const UNSIGNED = { google: { thought_signature: 'skip_thought_signature_validator' } };

/** A message of the assistant as this endpoint takes it back. */
function fitted(message: ChatCompletionAssistantMessageParam, quirks: Quirks): object {
  let own: { reasoning_content?: unknown; tool_calls?: { id: string }[] } & object = message;
  if (quirks.dropReasoning === true) own = withoutReasoning(message);
  if (quirks.shortCallIds === true && message.tool_calls !== undefined)
    own = { ...own, tool_calls: message.tool_calls.map((call) => ({ ...call, id: callId(call.id, quirks) })) };
  const hasCalls = (message.tool_calls?.length ?? 0) > 0;
  if (quirks.reasoningWithCalls === true && hasCalls && own.reasoning_content === undefined)
    own = { ...own, reasoning_content: '' };
  return own;
}

function withoutReasoning(native: ChatCompletionAssistantMessageParam): object {
  return Object.fromEntries(Object.entries(native).filter(([name]) => !name.startsWith('reasoning')));
}

function isAssistant(native: unknown): native is ChatCompletionAssistantMessageParam {
  return typeof native === 'object' && native !== null && (native as { role?: unknown }).role === 'assistant';
}

function saysSomething(message: ChatCompletionAssistantMessageParam): boolean {
  return Boolean(message.content) || Boolean(message.refusal) || (message.tool_calls?.length ?? 0) > 0;
}

/** Tool declarations of a pin are one array for all its turns: their JSON is made once. */
const TOOLS_JSON = new WeakMap<readonly ToolDeclaration[], string>();

function toolsJson(tools: readonly ToolDeclaration[]): string {
  const known = TOOLS_JSON.get(tools);
  if (known !== undefined) return known;
  const wire: ChatCompletionFunctionTool[] = tools.map(({ name, description, input }) => ({
    type: 'function',
    function: { name, description, parameters: input },
  }));
  const json = JSON.stringify(wire);
  TOOLS_JSON.set(tools, json);
  return json;
}

type Head = Omit<ChatCompletionCreateParamsStreaming, 'messages' | 'tools'> & { thinking?: { type: 'disabled' } };

/** The exact body of the request. */
export function renderBody(request: GenerateRequest, endpoint: Endpoint): string {
  const head = JSON.stringify(headOf(request, endpoint));
  const tools = request.tools.length === 0 ? '' : `,"tools":${toolsJson(request.tools)}`;
  const system: ChatCompletionMessageParam = { role: 'system', content: request.instructions };
  const first = request.instructions === '' ? '' : JSON.stringify(system);
  const comma = first !== '' && request.rendered !== '' ? ',' : '';
  const rendered = endpoint.quirks.assistantAfterTool === true ? bridged(request.rendered) : request.rendered;
  return `${head.slice(0, -1)}${tools},"messages":[${first}${comma}${rendered}]}`;
}

/** Between a tool's answer and a user's message; within a text its quotes would be escaped. */
const TOOL_THEN_USER = '"role":"tool"},{"role":"user"';
const BRIDGED = '"role":"tool"},{"role":"assistant","content":"Understood."},{"role":"user"';
const bridged = (rendered: string): string => rendered.replaceAll(TOOL_THEN_USER, BRIDGED);

function headOf(request: GenerateRequest, endpoint: Endpoint): Head {
  const { params, output, tools } = request;
  const { quirks } = endpoint;
  const head: Head = { model: wireModel(request.model, endpoint), stream: true };
  if (quirks.noStreamOptions !== true) head.stream_options = { include_usage: true };
  head[quirks.maxTokensField ?? 'max_completion_tokens'] = params.maxOutputTokens;
  if (quirks.cacheKey === true && request.cacheKey !== undefined) head.prompt_cache_key = request.cacheKey;
  if (params.temperature !== undefined) head.temperature = params.temperature;
  if (params.tier !== undefined) head.service_tier = params.tier;
  if (params.effort !== undefined) head.reasoning_effort = params.effort as NonNullable<Head['reasoning_effort']>;
  if (params.toolChoice !== undefined && tools.length > 0) {
    const choice = params.toolChoice;
    head.tool_choice = typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.tool } };
    const isForced = choice !== 'auto' && choice !== 'none';
    if (isForced && quirks.noForcedThinking === true) head.thinking = { type: 'disabled' };
  }
  if (output !== undefined) {
    head.response_format =
      quirks.noJsonSchema === true
        ? { type: 'json_object' }
        : { type: 'json_schema', json_schema: { name: 'answer', schema: output } };
  }
  return head;
}

/** `endpoint/model` as an agent names it → the provider's own name, which may hold further slashes. */
function wireModel(id: string, endpoint: Endpoint): string {
  const prefix = `${endpoint.name}/`;
  return id.startsWith(prefix) ? id.slice(prefix.length) : id;
}
