/** From a request to a method's parameters: read with a hard cap, parsed once, checked once. */
import { ApiError, LIMITS as WIRE, MISSING, misfitsOf, pathParams } from '@perdure/contract';
import type { Method } from '@perdure/contract';
import { LIMITS } from './limits.ts';

export type Row = Pick<Method, 'verb' | 'path' | 'params' | 'body'>;
/** What a request says, as it stands in it. */
export type Raw = { path: Record<string, string>; query: string; body: () => Promise<unknown> };
export type ParamsOf<R extends Pick<Row, 'params'>> = ReturnType<R['params']['parse']>;

type Plain = { [name: string]: unknown };

/** Builds what reads a row's parameters. It throws ApiError: `not_found` for a malformed name in the path. */
export function createReader<R extends Row>(row: R): (raw: Raw) => Promise<ParamsOf<R>> {
  const inPath = new Set(pathParams(row.path));
  const types = new Map(Object.entries(row.params.shape).map(([name, schema]) => [name, typeOf(schema)]));
  const hasBody = row.verb !== 'GET' && row.verb !== 'DELETE';
  return async (raw) => {
    const merged: Plain = {};
    if (raw.query !== '') addQuery(merged, raw.query, types, inPath);
    if (hasBody) {
      if (raw.query !== '') throw invalid(Object.keys(merged)[0] ?? raw.query, 'is not a parameter of this address');
      addBody(merged, await raw.body(), row.body, inPath);
    }
    for (const name of inPath) merged[name] = coerce(raw.path[name] ?? '', types.get(name));
    return checked(row, merged, inPath, row.body);
  };
}

/** Builds what checks a row's parameters given by name, in one object. It throws the same as what reads a request. */
export function createChecker<R extends Pick<Row, 'params' | 'path'>>(row: R): (params: unknown) => ParamsOf<R> {
  const inPath = new Set(pathParams(row.path));
  return (params) => {
    if (typeof params !== 'object' || params === null || Array.isArray(params))
      throw new ApiError('invalid_request', 'give the parameters by name, as an object');
    checkShape(params);
    return checked(row, params, inPath, undefined);
  };
}

function checked<R extends Pick<Row, 'params'>>(
  row: R,
  params: object,
  inPath: Set<string>,
  whole: string | undefined,
): ParamsOf<R> {
  const parsed = row.params.safeParse(params);
  if (parsed.success) return parsed.data as ParamsOf<R>;
  throw refusal(parsed.error.issues, inPath, whole);
}

function addQuery(into: Plain, query: string, types: Map<string, string>, inPath: Set<string>): void {
  for (const [name, value] of new URLSearchParams(query)) {
    if (inPath.has(name)) throw invalid(name, 'is an unknown field: it stands in the path');
    if (Object.hasOwn(into, name)) throw invalid(name, 'is given twice');
    // Whatever the name is, it becomes a member of its own: `__proto__` too, which the schema then refuses.
    const coerced = coerce(value, types.get(name));
    Object.defineProperty(into, name, { value: coerced, enumerable: true, configurable: true, writable: true });
  }
}

function addBody(into: Plain, body: unknown, whole: string | undefined, inPath: Set<string>): void {
  if (whole !== undefined) {
    into[whole] = body;
    return;
  }
  if (body === undefined) return;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_request', 'the body must be a JSON object');
  }
  for (const name of inPath) if (name in body) throw invalid(name, 'is an unknown field: it stands in the path');
  Object.assign(into, body);
}

type Definition = { type: string; innerType?: unknown };

/** What a query's text must become: the schema's own type under its defaults and options. */
function typeOf(schema: unknown): string {
  let { def } = schema as { def: Definition };
  while (def.innerType !== undefined) ({ def } = def.innerType as { def: Definition });
  return def.type;
}

function coerce(text: string, type: string | undefined): unknown {
  if (type === 'number' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

const invalid = (path: string, message: string): ApiError =>
  new ApiError('invalid_request', `${path} ${message}`, { details: { issues: [{ path, message }] } });

/** All that is wrong, each with its path; a name in the path that cannot exist is simply not there. */
function refusal(issues: readonly unknown[], inPath: Set<string>, whole: string | undefined): ApiError {
  const found = misfitsOf(issues, whole);
  const lost = found.find(({ path, message }) => inPath.has(path) && message !== MISSING);
  if (lost !== undefined) return new ApiError('not_found', `there is no such ${lost.path} here`);
  const [first] = found;
  const text = first === undefined ? 'the request is not valid' : `${first.path} ${first.message}`.trim();
  return new ApiError('invalid_request', text, { details: { issues: found.slice(0, LIMITS.issues) } });
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A request's JSON: undefined where it has no body. `too_large` beyond the cap, whatever its headers claim. */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const bytes = await readJsonBytes(request, maxBytes);
  if (bytes === undefined) return undefined;
  const value = parseJson(bytes);
  checkShape(value);
  return value;
}

/** The same as it was sent. */
export async function readJsonBytes(request: Request, maxBytes: number): Promise<Uint8Array | undefined> {
  const length = request.headers.get('content-length');
  const isChunked = request.headers.get('transfer-encoding') !== null;
  if (length === null ? !isChunked && request.body === null : length === '0') return undefined;
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) return undefined;
  const type = request.headers.get('content-type') ?? '';
  if (/^application\/json\s*(;|$)/i.test(type)) return bytes;
  throw new ApiError('unsupported_media_type', 'send the body as Content-Type: application/json', {
    details: { type },
  });
}

/** Throws ApiError for what is no JSON in UTF-8. */
export function parseJson(given: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof given === 'string' ? given : utf8.decode(given));
  } catch (error) {
    // The parser quotes what it read, which may be a secret: of its message only the place is kept.
    const place = error instanceof SyntaxError ? (/position \d+/.exec(error.message)?.[0] ?? 'its end') : 'its UTF-8';
    throw new ApiError('invalid_request', `the body is not valid JSON: look at ${place}`);
  }
}

/** The bytes of a body, at most `maxBytes`; `too_large` as soon as there are more. */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const length = request.headers.get('content-length');
  if (length !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
  // The server keeps a body to its announced length, so that it can be taken whole.
  if (length !== null) return capped(new Uint8Array(await request.arrayBuffer()), maxBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function capped(bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  return bytes;
}

const tooLarge = (maxBytes: number): ApiError =>
  new ApiError('too_large', `the body is larger than ${maxBytes} bytes`, { details: { maxBytes } });

/** Too deep for anyone who walks it with recursion; and no member that could reach a prototype. */
function checkShape(root: unknown): void {
  let level: unknown[] = [root];
  for (let depthOf = 0; level.length > 0; depthOf += 1) {
    if (depthOf >= WIRE.jsonDepth && level.some((value) => typeof value === 'object')) {
      throw new ApiError('invalid_request', `the body is nested deeper than ${WIRE.jsonDepth}`, {
        details: { maxDepth: WIRE.jsonDepth },
      });
    }
    const below: unknown[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue;
      if (Object.hasOwn(value, '__proto__')) throw invalid('__proto__', 'is an unknown field');
      for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) below.push(member);
    }
    level = below;
  }
}
