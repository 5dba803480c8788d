/**
 * What the Responses API refuses, from OpenAI's API reference and guides: parameters it does not know or that a model
 * does not take, schemas that strict mode does not allow, a background response that is not stored. What is refused
 * there is refused here too, so that a mistake of the adapter is not answered kindly. The history: responses-input.ts.
 */
import { readCompact, type CompactRequest } from './responses-compaction.ts';
import { isFields, refuse, wrongInput, type Fields, type Minted } from './responses-input.ts';
import type { WireCall, WireError } from './wire-server.ts';
import { jsonOf } from './wire-server.ts';

export type ResponsesRequest =
  | {
      kind: 'create';
      model: string;
      stream: boolean;
      background: boolean;
      store: boolean;
      encrypted: boolean;
      obfuscation: boolean;
      input: readonly Fields[];
    }
  | CompactRequest
  | { kind: 'retrieve'; id: string; stream: boolean; after: number; encrypted: boolean }
  | { kind: 'cancel'; id: string };

const PARAMETERS = new Set(
  `access_programs background context_management conversation image include input instructions max_output_tokens
  max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key
  prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options
  temperature text tool_choice tools top_logprobs top_p truncation user`.split(/\s+/),
);
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const MIN_OUTPUT_TOKENS = 16;
const ENCRYPTED = 'reasoning.encrypted_content';
const EFFORTS = new Set<unknown>(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);
const TIERS = new Set<unknown>(['auto', 'default', 'flex', 'scale', 'priority', 'fast', 'ultrafast']);

/** Models that do not reason, and refuse what only a model that does can take. */
const PLAIN = /^(?:gpt-4|gpt-3\.5|chatgpt-)/;

export type ResponsesRules = {
  /** The organisation is not verified: it gets no summaries of the reasoning. */
  unverified?: boolean;
};

/** The request as the emulator reads it, or what the provider would say is wrong with it. */
export function readResponsesCall(
  call: WireCall,
  minted: Minted,
  rules: ResponsesRules,
): { body: unknown; request: ResponsesRequest } | { body: unknown; status: number; error: WireError } {
  const url = new URL(call.path, 'http://emulated');
  const [, id = '', cancel] = /^\/v1\/responses\/([^/]+)(\/cancel)?$/.exec(url.pathname) ?? [];
  if (call.method === 'GET' && id !== '' && cancel === undefined) return readRetrieve(id, url.searchParams);
  if (call.method === 'POST' && id !== '' && cancel !== undefined)
    return { body: null, request: { kind: 'cancel', id } };
  const compacts = url.pathname === '/v1/responses/compact';
  if (call.method !== 'POST' || (url.pathname !== '/v1/responses' && !compacts)) {
    const error = { message: `Invalid URL (${call.method} ${call.path})`, type: 'invalid_request_error' };
    return { body: null, status: 404, error };
  }
  const body = jsonOf(call);
  const read = compacts ? readCompact(body, minted) : readCreate(body, minted, rules);
  return 'request' in read ? { body, ...read } : { body, status: 400, error: read };
}

function readRetrieve(
  id: string,
  query: URLSearchParams,
): { body: null; request: ResponsesRequest } | { body: null; status: number; error: WireError } {
  const unknown = [...query.keys()].find((key) => !['include[]', 'stream', 'starting_after'].includes(key));
  if (unknown !== undefined) {
    return { body: null, status: 400, error: refuse(`Unknown parameter: '${unknown}'.`, unknown, 'unknown_parameter') };
  }
  const stream = query.get('stream') === 'true';
  const after = Number(query.get('starting_after') ?? -1);
  const encrypted = query.getAll('include[]').includes(ENCRYPTED);
  return { body: null, request: { kind: 'retrieve', id, stream, after, encrypted } };
}

function readCreate(body: unknown, minted: Minted, rules: ResponsesRules): { request: ResponsesRequest } | WireError {
  if (!isFields(body)) return refuse('the body is not a JSON object', null);
  const unknown = Object.keys(body).find((key) => !PARAMETERS.has(key));
  if (unknown !== undefined) return refuse(`Unknown parameter: '${unknown}'.`, unknown, 'unknown_parameter');
  const store = body['store'] !== false;
  const error =
    wrongParameter(body) ??
    wrongForModel(body, rules) ??
    wrongFormat(body['text']) ??
    wrongTools(body) ??
    wrongInput(body['input'], minted, store);
  if (error !== null) return error;
  const background = body['background'] === true;
  if (background && !store) return refuse("Background mode requires 'store' to be true.", 'background');
  const { stream_options: options, input, include } = body;
  return {
    request: {
      kind: 'create',
      model: body['model'] as string,
      stream: body['stream'] === true,
      background,
      store,
      encrypted: Array.isArray(include) && include.includes(ENCRYPTED),
      obfuscation: !(isFields(options) && options['include_obfuscation'] === false),
      input: typeof input === 'string' ? [{ role: 'user', content: input }] : (input as Fields[]),
    },
  };
}

function wrongParameter(body: Fields): WireError | null {
  if (typeof body['model'] !== 'string' || body['model'] === '') {
    return refuse("Missing required parameter: 'model'.", 'model', 'missing_required_parameter');
  }
  if (body['stream_options'] !== undefined && body['stream'] !== true) {
    return refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'stream_options');
  }
  const most = body['max_output_tokens'];
  if (most !== undefined && !(Number.isInteger(most) && (most as number) >= MIN_OUTPUT_TOKENS)) {
    const message = `Invalid 'max_output_tokens': expected an integer >= ${MIN_OUTPUT_TOKENS}.`;
    return refuse(message, 'max_output_tokens', 'integer_below_min_value');
  }
  const { temperature, service_tier: tier } = body;
  if (temperature !== undefined && !(typeof temperature === 'number' && temperature >= 0 && temperature <= 2)) {
    return refuse("Invalid 'temperature': a number from 0 to 2 is expected.", 'temperature');
  }
  if (tier !== undefined && !TIERS.has(tier)) return refuse(`Invalid value: ${JSON.stringify(tier)}.`, 'service_tier');
  return null;
}

function wrongForModel(body: Fields, rules: ResponsesRules): WireError | null {
  const model = String(body['model']);
  const { include, reasoning } = body;
  const unsupported = (name: string): WireError =>
    refuse(`Unsupported parameter: '${name}' is not supported with this model.`, name, 'unsupported_parameter');
  if (include !== undefined && !Array.isArray(include)) return refuse("Invalid type for 'include'.", 'include');
  if (reasoning !== undefined && !isFields(reasoning)) return refuse("Invalid type for 'reasoning'.", 'reasoning');
  if (PLAIN.test(model)) {
    if (include?.includes(ENCRYPTED) === true)
      return refuse('Encrypted content is not supported with this model.', 'include');
    const [asked] = Object.keys(reasoning ?? {});
    return asked === undefined ? null : unsupported(`reasoning.${asked}`);
  }
  if (body['temperature'] !== undefined) return unsupported('temperature');
  const effort = reasoning?.['effort'];
  if (effort !== undefined && !EFFORTS.has(effort)) {
    return refuse(`Invalid value: ${JSON.stringify(effort)}.`, 'reasoning.effort', 'invalid_value');
  }
  if (reasoning?.['summary'] !== undefined && rules.unverified === true) {
    const message = 'Your organization must be verified to generate reasoning summaries.';
    return refuse(message, 'reasoning.summary', 'unsupported_value');
  }
  return null;
}

function wrongFormat(text: unknown): WireError | null {
  if (text === undefined) return null;
  const format = isFields(text) ? text['format'] : undefined;
  if (format === undefined) return null;
  const type = isFields(format) ? format['type'] : undefined;
  if (type === 'text' || type === 'json_object') return null;
  const { name, schema, strict } = format as Fields;
  if (type !== 'json_schema' || typeof name !== 'string' || !TOOL_NAME.test(name) || !isFields(schema)) {
    return refuse("Invalid value: 'text.format'.", 'text.format');
  }
  const wrong = strict === true ? unfitForStrict(schema) : null;
  return wrong === null
    ? null
    : refuse(`Invalid schema for response_format '${name}': ${wrong}`, 'text.format.schema', 'invalid_json_schema');
}

function wrongTools(body: Fields): WireError | null {
  const { tools, tool_choice: choice } = body;
  if (tools === undefined) {
    return choice === undefined || typeof choice === 'string'
      ? null
      : refuse("Tool choice is only allowed when 'tools' are specified.", 'tool_choice');
  }
  if (!Array.isArray(tools)) return refuse("Invalid type for 'tools'.", 'tools');
  const names: unknown[] = [];
  for (const [n, tool] of (tools as unknown[]).entries()) {
    if (!isFields(tool) || tool['type'] !== 'function') continue;
    const { name, parameters, strict } = tool;
    if (typeof name !== 'string' || !TOOL_NAME.test(name))
      return refuse(`Invalid 'tools[${n}].name'.`, `tools[${n}].name`);
    if (!isFields(parameters)) return refuse(`Invalid 'tools[${n}].parameters'.`, `tools[${n}].parameters`);
    // Functions are strict unless they say otherwise.
    const wrong = strict === false ? null : unfitForStrict(parameters);
    if (wrong !== null) {
      return refuse(
        `Invalid schema for function '${name}': ${wrong}`,
        `tools[${n}].parameters`,
        'invalid_function_parameters',
      );
    }
    names.push(name);
  }
  if (choice === undefined || choice === 'auto' || choice === 'none' || choice === 'required') return null;
  const chosen = isFields(choice) && choice['type'] === 'function' ? choice['name'] : undefined;
  return names.includes(chosen) ? null : refuse(`Tool choice '${String(chosen)}' not found in 'tools'.`, 'tool_choice');
}

const NOT_STRICT = ['allOf', 'not', 'if', 'then', 'else', 'oneOf', 'patternProperties', 'dependentRequired', 'default'];

/** Why strict mode does not take a schema; null where it does. */
function unfitForStrict(schema: unknown, root = true): string | null {
  if (!isFields(schema)) return 'a schema must be an object.';
  if (root && schema['type'] !== 'object') return 'schema must be a JSON Schema of \'type: "object"\'.';
  const odd = NOT_STRICT.find((key) => key in schema);
  if (odd !== undefined) return `'${odd}' is not permitted.`;
  const { properties, required } = schema;
  if (schema['type'] === 'object' || properties !== undefined) {
    if (schema['additionalProperties'] !== false)
      return "'additionalProperties' is required to be supplied and to be false.";
    const missing = Object.keys(properties ?? {}).find((key) => !Array.isArray(required) || !required.includes(key));
    if (missing !== undefined)
      return `'required' is required to include every key in properties. Missing '${missing}'.`;
  }
  const inner = [
    schema['items'],
    ...Object.values((properties ?? {}) as Fields),
    ...((schema['anyOf'] ?? []) as unknown[]),
  ];
  for (const one of [...inner, ...Object.values((schema['$defs'] ?? {}) as Fields)]) {
    const wrong = one === undefined ? null : unfitForStrict(one, false);
    if (wrong !== null) return wrong;
  }
  return null;
}
