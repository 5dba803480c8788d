/**
 * What the Messages API refuses, from its reference: parameters, tools, thinking. A request that breaks a rule gets the
 * provider's kind of 400 here too, so that a mistake of the adapter is not answered kindly.
 */
import { countMarkers, MARKERS_MAX } from './messages-cache.ts';
import { isFields, readMessages, type Fields, type HistoryMessage } from './messages-history.ts';
import { rulesOf, type ModelRules } from './messages-models.ts';
import { checkThinking, isThinking, type Dropped } from './messages-signature.ts';
import type { WireError } from './wire-server.ts';

export type MessagesRequest = {
  model: string;
  /** With consecutive messages of one role joined, as the provider reads them. */
  messages: readonly HistoryMessage[];
  stream: boolean;
  maxTokens: number;
  /** Thinking that the model does not see. */
  dropped: readonly Dropped[];
  /** What was dropped is told in the answer. */
  reports: boolean;
  omitThinking: boolean;
  /** It asks for a summary in place of the conversation. */
  compacts: boolean;
};

/** The beta that a request about bound thinking needs. */
const BINDING_BETA = 'thinking-binding-controls-2026-08-01';
const COMPACTION_BETA = 'compact-2026-09-04';
const PARAMETERS = new Set(
  `model messages max_tokens cache_control compaction container diagnostics inference_geo metadata output_config service_tier speed
  stop_sequences stream system thinking tool_choice tools`.split(/\s+/),
);
const TOOL = 'name description input_schema cache_control strict type eager_input_streaming input_examples'.split(' ');
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,128}$/;

const refuse = (message: string): WireError => ({ type: 'invalid_request_error', message });
const NO_MODEL: WireError = { type: 'not_found_error', message: 'model: there is no such model' };

/** The request as the emulator reads it, or what the provider would say is wrong with it. */
export function readMessagesRequest(
  body: unknown,
  betas: readonly string[],
): { request: MessagesRequest } | { status: number; error: WireError } {
  const wrongWith = (message: string): { status: number; error: WireError } => ({
    status: 400,
    error: refuse(message),
  });
  if (!isFields(body)) return wrongWith('The request body is not valid JSON');
  const unknown = Object.keys(body).find((key) => !PARAMETERS.has(key));
  if (unknown !== undefined) return wrongWith(`${unknown}: Extra inputs are not permitted`);
  const { model } = body;
  if (typeof model !== 'string') return wrongWith('model: Field required');
  const rules = rulesOf(model);
  if (rules === null) return { status: 404, error: NO_MODEL };
  const compacts = body['compaction'] !== undefined && body['compaction'] !== null;
  const read = readMessages(body['messages'], rules.prefill || compacts);
  if ('wrong' in read) return wrongWith(read.wrong);
  const odd = wrongCompaction(body, read.messages, rules, betas);
  if (odd !== null) return wrongWith(odd);
  const wrong =
    wrongParameter(body) ?? wrongTools(body) ?? wrongThinking(body, rules, betas) ?? wrongForce(body, rules);
  if (wrong !== null) return wrongWith(wrong);
  if (countMarkers(body, read.messages) > MARKERS_MAX) {
    return wrongWith(`A maximum of ${MARKERS_MAX} blocks with cache_control may be provided.`);
  }
  const thinking = isFields(body['thinking']) ? body['thinking'] : {};
  const binding = isFields(thinking['block_binding']) ? thinking['block_binding'] : {};
  const drops = binding['prefix_mismatch_behavior'] === 'drop_block';
  const checked = checkThinking(body, read.messages, rules, drops);
  if ('wrong' in checked) return wrongWith(checked.wrong);
  const late = startsLate(body, read.messages);
  if (late) return wrongWith('Expected `thinking` or `redacted_thinking` to begin the final `assistant` message');
  const request: MessagesRequest = {
    model,
    messages: read.messages,
    stream: body['stream'] === true,
    maxTokens: body['max_tokens'] as number,
    dropped: checked.dropped,
    reports: betas.includes(BINDING_BETA),
    compacts,
    omitThinking: rules.thinking.omitted && thinking['display'] !== 'summarized',
  };
  return { request };
}

/** "Compaction on demand": a beta, of newer models, and of whole conversations. */
function wrongCompaction(
  { compaction }: Fields,
  messages: readonly HistoryMessage[],
  rules: ModelRules,
  betas: readonly string[],
): string | null {
  const sendsBlock = messages[0]?.content[0]?.['type'] === 'compaction';
  const asks = compaction !== undefined && compaction !== null;
  if (!asks && !sendsBlock) return null;
  if (!betas.includes(COMPACTION_BETA)) return 'compaction: Extra inputs are not permitted';
  if (!rules.compacts) return 'compaction: not supported for this model';
  if (!asks) return null;
  if (!isFields(compaction) || compaction['type'] !== 'summarize') return 'compaction.type: Input should be summarize';
  const said = messages.flatMap(({ content }) => content).filter(({ type }) => type !== 'compaction');
  return said.length === 0 ? 'compaction_nothing_to_summarize: there is nothing to summarize' : null;
}

function wrongParameter(body: Fields): string | null {
  const { max_tokens: maxTokens, stream, service_tier: tier, output_config: config, system } = body;
  if (!(Number.isInteger(maxTokens) && (maxTokens as number) >= 1)) return 'max_tokens: Field required';
  if (stream !== undefined && typeof stream !== 'boolean') return 'stream: Input should be a valid boolean';
  if (tier !== undefined && tier !== 'auto' && tier !== 'standard_only') return 'service_tier: not a tier';
  const blank = (block: unknown): boolean => !isFields(block) || String(block['text']).trim() === '';
  if (Array.isArray(system) ? system.some(blank) : system !== undefined && typeof system !== 'string') {
    return 'system: text content blocks must be non-empty';
  }
  if (config === undefined) return null;
  if (!isFields(config)) return 'output_config: Input should be an object';
  const extra = Object.keys(config).find((key) => key !== 'effort' && key !== 'format');
  if (extra !== undefined) return `output_config.${extra}: Extra inputs are not permitted`;
  const { format } = config;
  if (format === undefined) return null;
  if (!isFields(format) || format['type'] !== 'json_schema' || !isFields(format['schema'])) {
    return 'output_config.format: Input should be a json_schema';
  }
  return wrongSchema(format['schema'], 'output_config.format.schema');
}

const UNSUPPORTED = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
const UNSUPPORTED_TOO = ['minLength', 'maxLength', 'maxItems', 'uniqueItems', 'oneOf', 'not', 'patternProperties'];

/** "Structured outputs", JSON Schema limitations. */
function wrongSchema(schema: Fields, at: string): string | null {
  const odd = [...UNSUPPORTED, ...UNSUPPORTED_TOO].find((name) => schema[name] !== undefined);
  if (odd !== undefined) return `${at}: property '${odd}' is not supported`;
  if (schema['type'] === 'object' && schema['additionalProperties'] !== false) {
    return `${at}: For 'object' type, 'additionalProperties' must be explicitly set to false`;
  }
  const typed = ['type', 'anyOf', 'allOf', 'enum', 'const', '$ref'].some((name) => schema[name] !== undefined);
  if (!typed) return `${at}: a type is required`;
  const inner = [schema['items'], ...Object.values(isFields(schema['properties']) ? schema['properties'] : {})];
  for (const each of [...inner, ...(Array.isArray(schema['anyOf']) ? schema['anyOf'] : [])]) {
    const wrong = isFields(each) ? wrongSchema(each, at) : null;
    if (wrong !== null) return wrong;
  }
  return null;
}

function wrongTools({ tools, tool_choice: choice }: Fields): string | null {
  if (tools === undefined) return choice === undefined ? null : 'tool_choice may only be specified with tools';
  if (!Array.isArray(tools)) return 'tools: Input should be a list';
  const names: unknown[] = [];
  for (const [n, tool] of tools.entries()) {
    if (!isFields(tool)) return `tools.${n}: Input should be an object`;
    const extra = Object.keys(tool).find((key) => !TOOL.includes(key));
    if (extra !== undefined) return `tools.${n}.custom.${extra}: Extra inputs are not permitted`;
    if (!TOOL_NAME.test(String(tool['name']))) return `tools.${n}.custom.name: String should match pattern`;
    const schema = tool['input_schema'];
    if (!isFields(schema) || schema['type'] !== 'object') return `tools.${n}.custom.input_schema.type: Field required`;
    if (names.includes(tool['name'])) return 'tools: Tool names must be unique.';
    names.push(tool['name']);
  }
  if (choice === undefined) return null;
  const type = isFields(choice) ? choice['type'] : undefined;
  if (type === 'auto' || type === 'any' || type === 'none') return null;
  return isFields(choice) && type === 'tool' && names.includes(choice['name'])
    ? null
    : 'tool_choice: not found in tools';
}

function wrongThinking(body: Fields, rules: ModelRules, betas: readonly string[]): string | null {
  const effort = isFields(body['output_config']) ? body['output_config']['effort'] : undefined;
  if (effort !== undefined && !rules.efforts.some((known) => known === effort)) {
    return `This model does not support the effort ${JSON.stringify(effort)}`;
  }
  const { thinking } = body;
  if (thinking === undefined) return null;
  if (!isFields(thinking)) return 'thinking: Input should be an object';
  const { type, budget_tokens: budget, block_binding: binding } = thinking;
  if (!rules.thinking.takes.includes(String(type))) {
    return `"thinking.type.${String(type)}" is not supported for this model.`;
  }
  const off = type === 'disabled' || type === 'between_tools';
  if (off && (effort === 'xhigh' || effort === 'max')) return 'thinking cannot be turned off at this effort';
  if (off && Object.keys(thinking).length > 1) return `thinking.${String(type)}: Extra inputs are not permitted`;
  if (type === 'enabled') {
    if (!(Number.isInteger(budget) && (budget as number) >= 1_024))
      return 'thinking.enabled.budget_tokens: at least 1024';
    if ((budget as number) >= (body['max_tokens'] as number)) return '`max_tokens` must be greater than the budget';
  }
  if (binding !== undefined && !betas.includes(BINDING_BETA))
    return 'thinking.block_binding: Extra inputs are not permitted';
  return null;
}

function wrongForce(body: Fields, rules: ModelRules): string | null {
  const type = isFields(body['tool_choice']) ? body['tool_choice']['type'] : undefined;
  if (type !== 'any' && type !== 'tool') return null;
  if (!rules.forcedCalls) return `tool_choice: '${type}' is not supported for this model`;
  const asked = isFields(body['thinking']) ? body['thinking']['type'] : undefined;
  const thinks = asked === undefined ? rules.thinking.byDefault : asked === 'adaptive' || asked === 'enabled';
  return thinks ? 'Thinking may not be enabled when tool_choice forces tool use.' : null;
}

/** With a budget, a tool loop goes on with the thinking that it began with ("Extended thinking", with tool use). */
function startsLate(body: Fields, messages: readonly HistoryMessage[]): boolean {
  const budgeted = isFields(body['thinking']) && body['thinking']['type'] === 'enabled';
  const inLoop = messages.at(-1)?.content.some(({ type }) => type === 'tool_result') === true;
  const first = messages.at(-2)?.content[0];
  return budgeted && inLoop && first !== undefined && !isThinking(first);
}
