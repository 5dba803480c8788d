/**
 * JSON Schema as structured outputs take it ("Structured outputs", JSON Schema limitations). What the API cannot hold
 * the model to is told to it in the description, as the official client does; the whole schema is checked on our side
 * in any case.
 */
import type { JsonSchema } from '@perdure/runtime/ports';

const FORMATS = new Set('date-time time date duration email hostname uri ipv4 ipv6 uuid'.split(' '));

const isObject = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isPlain = (value: unknown): boolean => value === null || typeof value !== 'object';

/** Null: it cannot be said in what the API takes (a schema without a type, one that contains itself). */
export function wireSchema(schema: JsonSchema): JsonSchema | null {
  if (!WIRE.has(schema)) WIRE.set(schema, recurses(schema) ? null : reduce(schema));
  return WIRE.get(schema) ?? null;
}

/** The schema of a pin is one object for all its turns. */
const WIRE = new WeakMap<JsonSchema, JsonSchema | null>();

function reduce(schema: unknown): JsonSchema | null {
  if (!isObject(schema)) return null;
  const wire: JsonSchema = {};
  const rest = new Map(Object.entries(schema));
  const take = (name: string): unknown => {
    const value = rest.get(name);
    rest.delete(name);
    return value;
  };
  take('$schema');
  const defs = take('$defs');
  if (defs !== undefined && !keep(wire, '$defs', reduceAll(defs))) return null;
  const ref = take('$ref');
  if (ref !== undefined) return typeof ref === 'string' && ref.startsWith('#/') ? { ...wire, $ref: ref } : null;
  if (!takeKind(wire, rest, take)) return null;
  for (const name of ['title', 'description']) keep(wire, name, take(name) ?? null);
  if (wire['type'] === 'object' && !takeProperties(wire, take)) return null;
  const format = rest.get('format');
  if (wire['type'] === 'string' && typeof format === 'string' && FORMATS.has(format)) wire['format'] = take('format');
  const items = wire['type'] === 'array' ? take('items') : undefined;
  if (items !== undefined && !keep(wire, 'items', reduce(items))) return null;
  const least = rest.get('minItems');
  if (wire['type'] === 'array' && (least === 0 || least === 1)) wire['minItems'] = take('minItems');
  tell(wire, rest);
  return wire;
}

/** Sets a member; false where there is nothing to set. */
function keep(wire: JsonSchema, name: string, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  wire[name] = value;
  return true;
}

/** What a value is: one of several, one of these, or of a type. */
function takeKind(wire: JsonSchema, rest: Map<string, unknown>, take: (name: string) => unknown): boolean {
  for (const name of ['anyOf', 'oneOf', 'allOf']) {
    if (!rest.has(name)) continue;
    const variants = take(name);
    take('type');
    const reduced = Array.isArray(variants) ? variants.map(reduce) : [null];
    return !reduced.includes(null) && keep(wire, name === 'allOf' ? 'allOf' : 'anyOf', reduced);
  }
  const among = rest.get('enum');
  if (Array.isArray(among) && among.length > 0 && among.every(isPlain)) wire['enum'] = take('enum');
  if (rest.has('const') && isPlain(rest.get('const'))) wire['const'] = take('const');
  if ('enum' in wire || 'const' in wire) {
    take('type');
    return true;
  }
  return keep(wire, 'type', take('type'));
}

/** The API takes only objects that name all their members. */
function takeProperties(wire: JsonSchema, take: (name: string) => unknown): boolean {
  const required = take('required');
  take('additionalProperties');
  wire['additionalProperties'] = false;
  if (required !== undefined) wire['required'] = required;
  return keep(wire, 'properties', reduceAll(take('properties') ?? {}));
}

function reduceAll(named: unknown): JsonSchema | null {
  if (!isObject(named)) return null;
  const reduced = Object.entries(named).map(([name, schema]) => [name, reduce(schema)] as const);
  return reduced.some(([, schema]) => schema === null) ? null : Object.fromEntries(reduced);
}

function tell(wire: JsonSchema, rest: ReadonlyMap<string, unknown>): void {
  if (rest.size === 0) return;
  const more = `(${[...rest].map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ')})`;
  wire['description'] = typeof wire['description'] === 'string' ? `${wire['description']} ${more}` : more;
}

/** A definition that leads back to itself, which the API refuses. */
function recurses(schema: JsonSchema): boolean {
  const defs = isObject(schema['$defs']) ? schema['$defs'] : {};
  const sound = new Set<string>();
  const leads = (from: unknown, path: readonly string[]): boolean => {
    if (Array.isArray(from)) return from.some((each) => leads(each, path));
    if (!isObject(from)) return false;
    const ref = from['$ref'];
    if (typeof ref === 'string') {
      const name = ref.replace('#/$defs/', '');
      if (path.includes(name) || !Object.hasOwn(defs, name)) return true;
      if (!sound.has(name) && leads(defs[name], [...path, name])) return true;
      sound.add(name);
    }
    return Object.entries(from).some(([name, each]) => name !== '$defs' && leads(each, path));
  };
  return leads(schema, []);
}
