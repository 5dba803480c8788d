/**
 * What is sent. The messages are the runtime's own text of the items, kept from turn to turn; everything before them
 * is the same in each turn of a run, so that the provider's prompt cache finds its prefix (tools, system, messages, in
 * this order), and thinking that is bound to its prefix stays valid ("Preserved thinking").
 */
import type {
  MessageCreateParamsStreaming,
  OutputConfig,
  TextBlockParam,
  Tool,
  ToolChoice,
  ToolResultBlockParam,
  ToolUseBlockParam,
} from '@anthropic-ai/sdk/resources/messages';
import type { BetaThinkingConfigParam } from '@anthropic-ai/sdk/resources/beta/messages';
import type { GenerateRequest, JsonSchema, NeutralItem, ToolDeclaration } from '@perdure/runtime/ports';
import { blocksOf, textBlock, type UserBlock } from './content.ts';
import { CACHE, messagesText, userText } from './conversation.ts';
import { wireSchema } from './schema.ts';
import { thinkingOf } from './thinking.ts';

/** One item as JSON of the messages it adds; '' adds none. Pure. */
export function renderItem(item: NeutralItem, model: string): string {
  if (item.kind === 'turn') return renderTurn(item, model);
  const blocks = item.kind === 'message' ? blocksOf(item.parts) : [resultBlock(item)];
  return userText(blocks.map((block: UserBlock | ToolResultBlockParam) => JSON.stringify(block)).join(','));
}

/** What did not succeed is an error to the model; what is more than a failure says what it is. */
function resultBlock(item: Extract<NeutralItem, { kind: 'result' }>): ToolResultBlockParam {
  const block: ToolResultBlockParam = { type: 'tool_result', tool_use_id: wireId(item.providerId) };
  const mark = item.outcome === 'done' || item.outcome === 'failed' ? '' : `[${item.outcome}] `;
  if (mark !== '' || item.content !== '') block.content = `${mark}${item.content}`;
  if (item.outcome !== 'done') block.is_error = true;
  return block;
}

/** The message as it came when this model said it, else its text and calls. An empty one would be refused: left out. */
function renderTurn(item: Extract<NeutralItem, { kind: 'turn' }>, model: string): string {
  const own = item.model === model ? contentOf(item.native) : null;
  const content = own ?? [
    ...(item.text.trim() === '' ? [] : [textBlock(item.text)]),
    ...item.calls.map((call): ToolUseBlockParam => ({
      type: 'tool_use',
      id: wireId(call.id),
      name: call.name,
      input: inputOf(call.arguments),
    })),
  ];
  return content.length === 0 ? '' : JSON.stringify({ role: 'assistant', content });
}

function contentOf(native: unknown): unknown[] | null {
  if (typeof native !== 'object' || native === null) return null;
  const { role, content } = native as { role?: unknown; content?: unknown };
  return role === 'assistant' && Array.isArray(content) ? content.map(withWireId) : null;
}

/** Compatible endpoints give out ids that they take back and the API's own rules do not know. */
function withWireId(block: unknown): unknown {
  const { type, id } = (block ?? {}) as { type?: unknown; id?: unknown };
  return type === 'tool_use' && typeof id === 'string' ? { ...(block as object), id: wireId(id) } : block;
}

/** Other providers' ids may hold what this API refuses (`^[a-zA-Z0-9_-]+$`); the answer is given the same one. */
function wireId(id: string): string {
  const wire = id.replace(/[^a-zA-Z0-9_-]/gu, (odd) => `_${odd.codePointAt(0)?.toString(16) ?? ''}_`);
  return wire === '' ? '_' : wire;
}

/** The API wants an object; what is none is shown to the model under a name that says so ("Fine-grained streaming"). */
export function inputOf(text: string): { [name: string]: unknown } {
  try {
    const input: unknown = JSON.parse(text);
    if (typeof input === 'object' && input !== null && !Array.isArray(input))
      return input as { [name: string]: unknown };
  } catch {
    // Told below.
  }
  return { INVALID_JSON: text };
}

/** The exact body of the request; `more` is said besides. */
export function renderBody(request: GenerateRequest, model: string, more: object = {}): string {
  const head = JSON.stringify({ ...headOf(request, model), ...more });
  const tools = request.tools.length === 0 ? '' : `,"tools":${toolsJson(request.tools)}`;
  const system = systemOf(request);
  const middle = system === null ? '' : `,"system":${JSON.stringify([system])}`;
  return `${head.slice(0, -1)}${tools}${middle},"messages":[${messagesText(request.rendered)}]}`;
}

function systemOf({ instructions, output }: GenerateRequest): TextBlockParam | null {
  const asked = output === undefined || wireSchema(output) !== null ? '' : askFor(output);
  const text = [instructions, asked].filter((piece) => piece.trim() !== '').join('\n\n');
  return text === '' ? null : { type: 'text', text, cache_control: CACHE };
}

/** For a schema that the API cannot be told: what the model is asked, and our side checks. */
const askFor = (output: JsonSchema): string =>
  `Give your final answer as one JSON value and nothing else, without a code fence. It must fit this JSON Schema: ${JSON.stringify(output)}`;

/** Tool declarations of a pin are one array for all its turns: their JSON is made once. */
const TOOLS_JSON = new WeakMap<readonly ToolDeclaration[], string>();

function toolsJson(tools: readonly ToolDeclaration[]): string {
  const known = TOOLS_JSON.get(tools);
  if (known !== undefined) return known;
  const wire = tools.map(({ name, description, input }): Tool => ({
    name,
    description,
    input_schema: { type: 'object', ...input },
  }));
  const last = wire.at(-1);
  if (last !== undefined) last.cache_control = CACHE;
  const json = JSON.stringify(wire);
  TOOLS_JSON.set(tools, json);
  return json;
}

type Head = Omit<MessageCreateParamsStreaming, 'messages' | 'tools' | 'system' | 'thinking'> & {
  thinking?: BetaThinkingConfigParam;
};

function headOf(request: GenerateRequest, model: string): Head {
  const { params, output, tools } = request;
  const head: Head = { model, stream: true, max_tokens: params.maxOutputTokens };
  const { thinking, effort } = thinkingOf(request, model);
  if (thinking !== null) head.thinking = thinking;
  const config: OutputConfig = effort === null ? {} : { effort };
  const schema = output === undefined ? null : wireSchema(output);
  if (schema !== null) config.format = { type: 'json_schema', schema };
  if (Object.keys(config).length > 0) head.output_config = config;
  if (params.tier !== undefined) head.service_tier = params.tier === 'priority' ? 'auto' : 'standard_only';
  if (params.toolChoice !== undefined && tools.length > 0) head.tool_choice = choiceOf(params.toolChoice);
  return head;
}

function choiceOf(choice: NonNullable<GenerateRequest['params']['toolChoice']>): ToolChoice {
  if (typeof choice !== 'string') return { type: 'tool', name: choice.tool };
  return { type: choice === 'required' ? 'any' : choice };
}
