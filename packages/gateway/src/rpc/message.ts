/** Messages of JSON-RPC 2.0 (jsonrpc.org/specification): read, and answered in their own form. */
import { ApiError, RPC_CODES, rpcCodeOf } from '@perdure/contract';
import type { RpcError } from '@perdure/contract';
import { LIMITS } from '../limits.ts';

export type Id = string | number | null;
/** `id` undefined: a notification, which gets no answer. */
export type Call = { id: Id | undefined; method: string; params: unknown };
/** What is no call, and is told so under the id that it has, if it has one. */
export type Broken = { id: Id; error: RpcFailure };
export type Message = { calls: (Call | Broken)[]; isBatch: boolean };

/** A refusal with a number of the specification's own in the place of that of its code. */
export class RpcFailure extends ApiError {
  readonly number: number;
  constructor(number: number, ...given: ConstructorParameters<typeof ApiError>) {
    super(...given);
    this.number = number;
  }
}

/** Takes parsed JSON apart. Throws RpcFailure for what has no part that could be answered. */
export function readMessage(value: unknown): Message {
  if (!Array.isArray(value)) return { calls: [readCall(value)], isBatch: false };
  if (value.length === 0) throw invalid('the batch is empty');
  if (value.length > LIMITS.rpcBatch)
    throw invalid(`the batch has more than ${LIMITS.rpcBatch} messages`, { maxBatch: LIMITS.rpcBatch });
  return { calls: value.map(readCall), isBatch: true };
}

const MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params']);

function readCall(value: unknown): Call | Broken {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { id: null, error: invalid('a message is an object') };
  const { jsonrpc, id, method, params } = value as { [name: string]: unknown };
  if (id !== undefined && !isId(id))
    return { id: null, error: invalid(`id must be a number, null, or text of at most ${LIMITS.requestIdChars}`) };
  const broken = (text: string): Broken => ({ id: id ?? null, error: invalid(text) });
  if (jsonrpc !== '2.0') return broken("jsonrpc must be '2.0'");
  if (typeof method !== 'string') return broken('method must be a name');
  const unknown = Object.keys(value).find((name) => !MEMBERS.has(name));
  if (unknown !== undefined) return broken(`${unknown.slice(0, LIMITS.requestIdChars)} is an unknown member`);
  return { id, method, params };
}

const isId = (id: unknown): id is Id =>
  id === null || typeof id === 'number' || (typeof id === 'string' && id.length <= LIMITS.requestIdChars);

const invalid = (message: string, details?: { [name: string]: unknown }): RpcFailure =>
  new RpcFailure(RPC_CODES.invalidRequest, 'invalid_request', message, details === undefined ? {} : { details });

export function resultText(id: Id, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

export function errorText(id: Id, error: ApiError, requestId: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error: errorOf(error, requestId) });
}

export function notificationText(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params });
}

function errorOf(error: ApiError, requestId: string): RpcError {
  const data: RpcError['data'] = { code: error.code, requestId: error.requestId ?? requestId };
  if (error.details !== undefined) data.details = error.details;
  const code = error instanceof RpcFailure ? error.number : rpcCodeOf(error.code);
  return { code, message: error.message, data };
}
