/** OpenRPC 1.3 out of the table of methods. What the server sends by itself stands in `x-notifications`. */
import type { ErrorCode } from './errors.ts';
import type { Method } from './methods.ts';
import { COMMON_ERRORS, METHODS } from './methods.ts';
import { NOTIFICATIONS, rpcCodeOf, rpcErrorSchema, SUBSCRIPTIONS } from './rpc.ts';
import type { Json } from './schemas.ts';
import { componentSchemas, toJsonSchema } from './schemas.ts';

type Row = Pick<Method, 'params' | 'result' | 'errors' | 'scope' | 'summary'>;

/** The whole document; pure, the same each time. */
export function buildOpenRpc(): Json {
  const called = Object.entries(METHODS).map(([name, row]) => methodOf(name, row));
  const subscribed = Object.entries(SUBSCRIPTIONS).map(([name, row]) => ({
    ...methodOf(name, row),
    'x-transport': 'websocket',
    ...('notification' in row ? { 'x-notification': row.notification } : {}),
  }));
  return {
    openrpc: '1.3.2',
    info: {
      title: 'Perdure',
      version: '1',
      description:
        'A runtime for AI agents that must not lose their work. JSON-RPC 2.0: POST one message or a batch, or open a WebSocket at the same address. Accepted means durable; the seq is the cursor.',
      license: { name: 'Apache-2.0' },
    },
    servers: [{ name: 'rpc', url: '/v1/rpc' }],
    methods: [...called, ...subscribed],
    components: { schemas: { ...componentSchemas(), RpcError: toJsonSchema(rpcErrorSchema, 'output') } },
    'x-notifications': Object.entries(NOTIFICATIONS).map(([name, { summary, params }]) => ({
      name,
      summary,
      params: toJsonSchema(params, 'output'),
    })),
  };
}

function methodOf(name: string, row: Row): Json {
  const { properties = {}, required = [] } = toJsonSchema(row.params, 'input') as {
    properties?: Json;
    required?: string[];
  };
  return {
    name,
    summary: row.summary,
    tags: [{ name: name.split('.')[0] }],
    'x-scope': row.scope,
    paramStructure: 'by-name',
    params: Object.entries(properties).map(([param, schema]) => ({
      name: param,
      required: required.includes(param),
      schema,
    })),
    result: { name: 'result', schema: toJsonSchema(row.result, 'output') },
    errors: errorsOf(row.errors),
  };
}

/** One for each number; `message` lists the stable codes that `data.code` may have there. */
function errorsOf(own: readonly ErrorCode[]): Json[] {
  const byNumber = new Map<number, ErrorCode[]>();
  for (const code of new Set([...COMMON_ERRORS, ...own])) {
    const number = rpcCodeOf(code);
    byNumber.set(number, [...(byNumber.get(number) ?? []), code]);
  }
  return [...byNumber].map(([code, codes]) => ({ code, message: codes.join(', ') }));
}
