/**
 * Which schemas strict mode takes: a subset of JSON Schema (guide "structured outputs", "supported schemas"). Each
 * object names all its properties as required and allows no other; words that are not listed here are not supported.
 */
import type { JsonSchema } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { isObject } from './answer.ts';

const TYPES = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null']);
const FORMATS = new Set<unknown>([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uuid',
]);
/** Words that say nothing of other schemas. */
const PLAIN = new Set(
  `$schema title description type enum const multipleOf minimum maximum exclusiveMinimum
  exclusiveMaximum minItems maxItems required additionalProperties`.split(/\s+/),
);

/** Whether the provider can hold an answer to the schema; where it cannot, the schema is only its guide. */
export function fitsStrict(schema: JsonSchema): boolean {
  const counted = { properties: 0 };
  return schema['type'] === 'object' && fits(schema, 0, counted) && counted.properties <= LIMITS.strictProperties;
}

function fits(schema: unknown, depth: number, counted: { properties: number }): boolean {
  if (!isObject(schema) || depth > LIMITS.strictDepth) return false;
  // A reference within the schema, and nothing beside it; what it refers to is looked at where it stands.
  if ('$ref' in schema) return Object.keys(schema).length === 1 && REFERENCE.test(String(schema['$ref']));
  const { type, format, pattern, properties = {}, items, anyOf = [], $defs = {}, ...others } = schema;
  const types = Array.isArray(type) ? (type as unknown[]) : type === undefined ? [] : [type];
  const known = Object.keys(others).every((word) => PLAIN.has(word)) && types.every((one) => TYPES.has(one));
  if (!known || !(format === undefined || FORMATS.has(format)) || LOOKAROUND.test(String(pattern))) return false;
  if (!isObject(properties) || !isObject($defs) || !Array.isArray(anyOf)) return false;
  const names = Object.keys(properties);
  counted.properties += names.length;
  if (types.includes('object') && !isClosed(schema, names)) return false;
  if (types.includes('array') && items === undefined) return false;
  const inner = [...Object.values(properties), ...(items === undefined ? [] : [items]), ...(anyOf as unknown[])];
  return (
    inner.every((one) => fits(one, depth + 1, counted)) &&
    Object.values($defs).every((one) => fits(one, depth, counted))
  );
}

const REFERENCE = /^#(?:\/\$defs\/[^/]+)?$/;
const LOOKAROUND = /\(\?<?[=!]/;

function isClosed({ required, additionalProperties }: JsonSchema, names: readonly string[]): boolean {
  if (additionalProperties !== false) return false;
  return names.every((name) => Array.isArray(required) && (required as unknown[]).includes(name));
}
