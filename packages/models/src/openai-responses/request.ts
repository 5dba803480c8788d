/**
 * What is sent. The input is the runtime's own text of the items, kept from turn to turn, so that a request costs what is
 * new; everything before it is the same in each turn of a run, and the provider's prompt cache finds its prefix
 * (instructions and tools, then the input, in their order).
 *
 * Nothing of the conversation is kept at the provider (`store: false`): reasoning travels encrypted with the input. Only
 * a background response has to be stored, and is asked for with its whole input all the same.
 */
import type { AskedCall, GenerateRequest, LoadedPart, NeutralItem, ToolDeclaration } from '@perdure/runtime/ports';
import type {
  FunctionTool,
  ResponseCreateParamsStreaming,
  ResponseIncludable,
  ResponseInputContent,
  ResponseInputItem,
} from 'openai/resources/responses/responses';
import { createHash } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { isObject } from './answer.ts';
import { fitsStrict } from './strict.ts';

/** Reasoning goes back to the provider with the input: it keeps none. */
const ENCRYPTED: ResponseIncludable = 'reasoning.encrypted_content';

/** One item as JSON of the input items it adds; '' adds none. Pure. */
export function renderItem(item: NeutralItem, model: string): string {
  switch (item.kind) {
    case 'message':
      return json({ role: 'user', content: contentOf(item.parts) });
    case 'result':
      return json({ type: 'function_call_output', call_id: callId(item.providerId), output: resultText(item) });
    case 'turn':
      return renderTurn(item, model);
    default: {
      const never: never = item;
      return never;
    }
  }
}

const json = (item: ResponseInputItem): string => JSON.stringify(item);

/** One text where there is nothing else; else content parts (guides "images and vision", "file inputs": data URLs). */
function contentOf(parts: readonly LoadedPart[]): string | ResponseInputContent[] {
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return texts.length === parts.length ? texts.join('\n') : parts.map(contentPart);
}

function contentPart(part: LoadedPart): ResponseInputContent {
  if (part.type === 'text') return { type: 'input_text', text: part.text };
  const url = `data:${part.mediaType};base64,${part.base64}`;
  if (part.type === 'image') return { type: 'input_image', image_url: url, detail: 'auto' };
  return { type: 'input_file', filename: part.name, file_data: url };
}

/** The protocol has no mark for a failed call: the text says it. */
function resultText(item: Extract<NeutralItem, { kind: 'result' }>): string {
  return item.outcome === 'done' ? item.content : `[${item.outcome}] ${item.content}`;
}

/**
 * The items as they came when this model said them; else text and calls, without ids, so that the provider looks for
 * nothing that belongs to them.
 */
function renderTurn(item: Extract<NeutralItem, { kind: 'turn' }>, model: string): string {
  if (item.model === model && isReplayable(item.native)) {
    return item.native.map((own) => JSON.stringify(own)).join(',');
  }
  const said: ResponseInputItem[] = item.text === '' ? [] : [{ role: 'assistant', content: item.text }];
  return [...said, ...item.calls.map(callItem)].map(json).join(',');
}

/** Reasoning without its encrypted content is only an id, of something that the provider has not kept. */
function isReplayable(native: unknown): native is readonly unknown[] {
  if (!Array.isArray(native)) return false;
  const reasoning = (native as unknown[]).filter((own) => isObject(own) && own['type'] === 'reasoning');
  return reasoning.every((own) => isObject(own) && typeof own['encrypted_content'] === 'string');
}

const callItem = (call: AskedCall): ResponseInputItem => ({
  type: 'function_call',
  call_id: callId(call.id),
  name: functionName(call.name),
  arguments: call.arguments,
});

/** Ids of other providers may be longer than this one takes: the same id gives the same short one. */
function callId(id: string): string {
  if (id.length <= LIMITS.openAiCallIdChars) return id;
  return `call_${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
}

/** A name that another model made up may hold what this provider refuses. */
function functionName(name: string): string {
  const fit = name.replaceAll(/[^a-zA-Z0-9_-]/g, '_').slice(0, LIMITS.openAiNameChars);
  return fit === '' ? 'unknown' : fit;
}

/** Tool declarations of a pin are one array for all its turns: their JSON is made once. */
const TOOLS_JSON = new WeakMap<readonly ToolDeclaration[], string>();

function toolsJson(tools: readonly ToolDeclaration[]): string {
  const known = TOOLS_JSON.get(tools);
  if (known !== undefined) return known;
  // Functions are strict unless they say otherwise, and then no argument may be optional.
  const wire: FunctionTool[] = tools.map(({ name, description, input }) => ({
    type: 'function',
    name,
    description,
    parameters: input,
    strict: false,
  }));
  const text = JSON.stringify(wire);
  TOOLS_JSON.set(tools, text);
  return text;
}

type Head = Omit<ResponseCreateParamsStreaming, 'input' | 'tools'>;

/** How a request is made besides what it says. */
export type Manner = {
  /** The prefix of the models' ids: the provider's name. */
  provider: string;
  background: boolean;
  /** Asks for summaries of the reasoning. */
  summaries: boolean;
  /** Sends `prompt_cache_key` (guide "prompt caching"): OpenAI's own servers route by it, and others may not know it. */
  cacheKey: boolean;
};

/** The exact body of the request. */
export function renderBody(request: GenerateRequest, manner: Manner): string {
  const head = JSON.stringify(headOf(request, manner));
  const tools = request.tools.length === 0 ? '' : `,"tools":${toolsJson(request.tools)}`;
  return `${head.slice(0, -1)}${tools},"input":[${request.rendered}]}`;
}

/** Models that do not reason refuse to be asked for reasoning; none of their kind will be added. */
const PLAIN = /^(?:gpt-3\.5|gpt-4|chatgpt-|ft:gpt-[34]|gpt-[\w.]+-chat)/;

const doesReason = (model: string): boolean => !PLAIN.test(model);

/** What a response that is asked for again should hold. */
export function retrievalQuery(id: string, provider: string): string {
  return doesReason(wireModel(id, provider)) ? `?${new URLSearchParams({ 'include[]': ENCRYPTED }).toString()}` : '';
}

function headOf(request: GenerateRequest, manner: Manner): Head {
  const { params, output, tools, instructions } = request;
  const model = wireModel(request.model, manner.provider);
  const head: Head = { model, stream: true, store: manner.background, max_output_tokens: params.maxOutputTokens };
  if (manner.background) head.background = true;
  if (manner.cacheKey && request.cacheKey !== undefined) head.prompt_cache_key = request.cacheKey;
  const reasons = doesReason(model);
  if (reasons) head.include = [ENCRYPTED];
  const reasoning: NonNullable<Head['reasoning']> = {};
  if (params.effort !== undefined) reasoning.effort = params.effort as NonNullable<typeof reasoning.effort>;
  if (reasons && manner.summaries) reasoning.summary = 'auto';
  if (Object.keys(reasoning).length > 0) head.reasoning = reasoning;
  if (params.temperature !== undefined) head.temperature = params.temperature;
  if (params.tier !== undefined) head.service_tier = params.tier;
  if (params.toolChoice !== undefined && tools.length > 0) {
    const choice = params.toolChoice;
    head.tool_choice = typeof choice === 'string' ? choice : { type: 'function', name: choice.tool };
  }
  if (output !== undefined) {
    head.text = { format: { type: 'json_schema', name: 'answer', schema: output, strict: fitsStrict(output) } };
  }
  if (instructions !== '') head.instructions = instructions;
  return head;
}

/** `provider/model` as an agent names it → the provider's own name, which may hold further slashes. */
export function wireModel(id: string, provider: string): string {
  const prefix = `${provider}/`;
  return id.startsWith(prefix) ? id.slice(prefix.length) : id;
}
