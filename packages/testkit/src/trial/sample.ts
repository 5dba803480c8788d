/** Arguments that fit a JSON Schema, as plain as can be: for tools that nobody wrote a message for. */
import type { JsonSchema } from '@perdure/runtime/ports';

const DEPTH_MAX = 8;

/** Null where none is found: the schema asks for more than its types and bounds. */
export function sampleOf(schema: JsonSchema, depth = 0): unknown {
  if (depth > DEPTH_MAX) return null;
  if ('const' in schema) return schema['const'];
  if ('default' in schema) return schema['default'];
  const listed = ['enum', 'examples'].map((name) => schema[name]).find((list) => Array.isArray(list));
  if (Array.isArray(listed)) return listed[0] as unknown;
  const options = ['anyOf', 'oneOf', 'allOf'].map((name) => schema[name]).find((list) => Array.isArray(list));
  if (Array.isArray(options)) return sampleOf((options[0] ?? {}) as JsonSchema, depth + 1);
  const type = Array.isArray(schema['type']) ? (schema['type'][0] as unknown) : schema['type'];
  switch (type) {
    case 'object':
      return sampleObject(schema, depth);
    case 'array': {
      const item = sampleOf((schema['items'] ?? {}) as JsonSchema, depth + 1);
      return Array.from({ length: numberOf(schema['minItems']) ?? 0 }, () => item);
    }
    case 'integer':
    case 'number':
      return sampleNumber(schema);
    case 'string':
      return sampleText(schema);
    case 'boolean':
      return true;
    default:
      return null;
  }
}

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

function sampleObject(schema: JsonSchema, depth: number): object {
  const properties = (schema['properties'] ?? {}) as { [name: string]: JsonSchema };
  const required = (schema['required'] ?? []) as string[];
  return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] ?? {}, depth + 1)]));
}

function sampleNumber(schema: JsonSchema): number {
  const above = numberOf(schema['exclusiveMinimum']);
  const least = numberOf(schema['minimum']) ?? (above === undefined ? 1 : above + 1);
  const most = numberOf(schema['maximum']) ?? Number.POSITIVE_INFINITY;
  return Math.min(Math.max(1, least), most);
}

const FORMATS: { readonly [format: string]: string } = {
  'date-time': '2030-01-31T08:00:00Z',
  date: '2030-01-31',
  email: 'someone@example.org',
  uri: 'https://example.org/',
  uuid: '00000000-0000-4000-8000-000000000000',
};

function sampleText(schema: JsonSchema): string {
  const known = FORMATS[String(schema['format'])];
  if (known !== undefined) return known;
  return 'text'.padEnd(numberOf(schema['minLength']) ?? 0, 't').slice(0, numberOf(schema['maxLength']) ?? Infinity);
}
