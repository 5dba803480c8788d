/** OpenAPI 3.1 out of the table of methods. */
import type { Channel } from './channels.ts';
import { CHANNELS } from './channels.ts';
import type { ErrorCode } from './errors.ts';
import { ERROR_STATUS } from './errors.ts';
import type { Method } from './methods.ts';
import { COMMON_ERRORS, METHODS, pathParams } from './methods.ts';
import type { Json } from './schemas.ts';
import { componentSchemas, ref, toJsonSchema } from './schemas.ts';

/** The whole document; pure, the same each time. */
export function buildOpenApi(): Json {
  const paths: { [path: string]: { [verb: string]: Json } } = {};
  const add = (path: string, verb: string, operation: Json): void => {
    const item = (paths[path] ??= {});
    item[verb.toLowerCase()] = operation;
  };
  for (const [name, row] of Object.entries(METHODS)) add(row.path, row.verb, operationOf(name, row));
  for (const [name, row] of Object.entries(CHANNELS)) {
    if (name === 'events.stream') continue;
    add(row.path, row.verb, channelOperation(name, row));
  }
  mergeStream(paths);
  Object.assign(paths, AROUND);
  add('/blobs/{digest}', 'head', {
    ...channelOperation('blobs.head', CHANNELS['blobs.get']),
    responses: HEAD_RESPONSES,
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Perdure',
      version: '1',
      description:
        'A runtime for AI agents that must not lose their work. Accepted means durable; the seq is the cursor.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/v1' }],
    security: [{}, { bearer: [] }],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}

type Row = Pick<Method, 'verb' | 'path' | 'params' | 'body' | 'errors' | 'scope' | 'summary' | 'status' | 'open'>;

function operationOf(name: string, row: Method): Json {
  const content = { 'application/json': { schema: toJsonSchema(row.result, 'output') } };
  const responses: Json = {};
  for (const status of row.status) responses[status] = { description: STATUS_TEXT[status] ?? 'Success', content };
  return { ...headOf(name, row), ...inputsOf(row), responses: { ...responses, ...errorsOf(row.errors) } };
}

function headOf(name: string, row: Row): Json {
  const tags = [name.split('.')[0] ?? name];
  const security = row.open === true ? { security: [{}] } : {};
  return { operationId: name, summary: row.summary, tags, 'x-scope': row.scope, ...security };
}

/** Where each parameter stands: path, query or body. */
function inputsOf(row: Row): Json {
  const inPath = pathParams(row.path);
  const schema = toJsonSchema(row.params, 'input') as { properties?: Json; required?: string[] };
  const properties = schema.properties ?? {};
  const required = schema.required ?? [];
  const rest = Object.keys(properties).filter((name) => !inPath.includes(name));
  const parameters: Json[] = inPath.map((name) => ({ name, in: 'path', required: true, schema: properties[name] }));
  if (row.verb === 'GET' || row.verb === 'DELETE') {
    for (const name of rest)
      parameters.push({ name, in: 'query', required: required.includes(name), schema: properties[name] });
    return parameters.length > 0 ? { parameters } : {};
  }
  const inputs: Json = parameters.length > 0 ? { parameters } : {};
  if (rest.length === 0) return inputs;
  const needed = required.filter((name) => rest.includes(name));
  const whole = row.body === undefined ? undefined : properties[row.body];
  const object: Json = {
    type: 'object',
    properties: Object.fromEntries(rest.map((name) => [name, properties[name]])),
    ...(needed.length > 0 ? { required: needed } : {}),
    additionalProperties: false,
  };
  return {
    ...inputs,
    requestBody: { required: needed.length > 0, content: { 'application/json': { schema: whole ?? object } } },
  };
}

function errorsOf(own: readonly ErrorCode[]): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...COMMON_ERRORS, ...own])) {
    const status = ERROR_STATUS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses: Json = {};
  for (const [status, codes] of byStatus) {
    responses[status] = { description: codes.join(', '), content: { 'application/json': { schema: ref('Error') } } };
  }
  return responses;
}

function channelOperation(name: string, row: Channel): Json {
  const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  const json = row.answer === undefined ? null : { 'application/json': { schema: toJsonSchema(row.answer, 'output') } };
  const raw = row.content === undefined ? bytes : { [row.content]: { schema: { type: 'string', format: 'binary' } } };
  const content = row.mode === 'stream' ? EVENT_STREAM : (json ?? raw);
  const success = { [row.status[0]]: { description: STATUS_TEXT[row.status[0]] ?? 'Success', content } };
  return {
    ...headOf(name, row),
    description: row.description,
    ...inputsOf(row),
    ...(row.mode === 'binary' && row.verb === 'POST' ? { requestBody: { required: true, content: bytes } } : {}),
    responses: { ...success, ...errorsOf(row.errors) },
  };
}

const EVENT_STREAM: Json = { 'text/event-stream': { schema: { type: 'string' } } };
const HEAD_RESPONSES: Json = {
  200: { description: 'It is there; Content-Length says how long.' },
  404: { description: 'not_found' },
};

/** What is served beside the methods, for probes and for programs that read this document. */
const root = [{ url: '/' }];
const AROUND: { [path: string]: Json } = {
  '/openapi.json': {
    get: { operationId: 'openapi', summary: 'This document', responses: { 200: { description: 'OpenAPI 3.1' } } },
  },
  '/openrpc.json': {
    get: {
      operationId: 'openrpc',
      summary: 'The same methods as JSON-RPC',
      responses: { 200: { description: 'OpenRPC 1.3' } },
    },
  },
  '/rpc': {
    post: {
      operationId: 'rpc',
      summary: 'JSON-RPC 2.0: one message, or a batch; the same address takes a WebSocket, with subscriptions',
      requestBody: { required: true, content: { 'application/json': { schema: {} } } },
      responses: {
        200: { description: 'The answer, or the answers of a batch' },
        204: { description: 'Nothing asked for an answer' },
      },
    },
  },
  '/health/live': {
    servers: root,
    get: {
      operationId: 'health.live',
      summary: 'The process answers',
      security: [{}],
      responses: { 200: { description: 'It does' } },
    },
  },
  '/health/ready': {
    servers: root,
    get: {
      operationId: 'health.ready',
      summary: 'The server takes work; if not, the reason',
      security: [{}],
      responses: { 200: { description: 'Ready' }, 503: { description: 'Not ready: {ready, reason}' } },
    },
  },
};

/** One address, two answers: what `events.list` gives as JSON, `events.stream` gives as events. */
function mergeStream(paths: { [path: string]: { [verb: string]: Json } }): void {
  const stream = CHANNELS['events.stream'];
  const operation = paths[stream.path]?.['get'];
  if (operation === undefined) return;
  const responses = operation['responses'] as { [status: string]: { content: Json } };
  const success = responses['200'];
  if (success !== undefined) success.content = { ...success.content, ...EVENT_STREAM };
  const own = (inputsOf(stream)['parameters'] as Json[]).filter((parameter) => parameter['name'] === 'deltas');
  const header = { name: 'Last-Event-ID', in: 'header', required: false, schema: { type: 'string' } };
  operation['parameters'] = [...(operation['parameters'] as Json[]), ...own, header];
  operation['description'] =
    `With Accept: text/event-stream: ${stream.description} limit and waitMs are of the JSON answer only, deltas of the stream.`;
}

const STATUS_TEXT: { [status: number]: string } = {
  200: 'Done',
  201: 'Created',
  202: 'Accepted: durable, and under way',
};
