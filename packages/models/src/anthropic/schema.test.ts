import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { wireSchema } from './schema.ts';

describe('a schema for structured outputs', () => {
  it('keeps what the API can hold a model to, and says the rest', () => {
    assert.deepEqual(
      wireSchema({
        type: 'object',
        description: 'A list.',
        additionalProperties: { type: 'string' },
        properties: {
          many: { type: 'array', items: { type: 'string', format: 'email', maxLength: 9 }, minItems: 1, maxItems: 3 },
          two: { type: 'array', minItems: 2 },
          one: { oneOf: [{ const: 1 }, { enum: ['a', null] }] },
          maybe: { anyOf: [{ type: 'number', maximum: 5 }, { type: 'null' }], title: 'Maybe' },
        },
        required: ['many'],
        minProperties: 1,
      }),
      {
        type: 'object',
        description: 'A list. (minProperties: 1)',
        additionalProperties: false,
        required: ['many'],
        properties: {
          many: {
            type: 'array',
            items: { type: 'string', format: 'email', description: '(maxLength: 9)' },
            minItems: 1,
            description: '(maxItems: 3)',
          },
          two: { type: 'array', description: '(minItems: 2)' },
          one: { anyOf: [{ const: 1 }, { enum: ['a', null] }] },
          maybe: { anyOf: [{ type: 'number', description: '(maximum: 5)' }, { type: 'null' }], title: 'Maybe' },
        },
      },
    );
  });

  it('may use a definition often, but never inside of itself', () => {
    const point = { type: 'object', properties: { x: { type: 'number' } } };
    const at = { $ref: '#/$defs/point' };
    const line = { $defs: { point }, type: 'object', properties: { from: at, to: at } };
    const wire = wireSchema(line) as { properties: object };
    assert.deepEqual(wire.properties, { from: at, to: at });
    const inner = { a: { $ref: '#/$defs/b' }, b: { type: 'array', items: { $ref: '#/$defs/a' } } };
    for (const schema of [
      { $defs: inner, type: 'object', properties: { a: { $ref: '#/$defs/a' } } },
      { type: 'object', properties: { next: { $ref: '#' } } },
      { type: 'object', properties: { next: { $ref: 'https://example.org/schema' } } },
    ]) {
      assert.equal(wireSchema(schema), null);
    }
  });

  it('without a type cannot be told', () => {
    for (const schema of [{}, { description: 'x' }, { type: 'object', properties: { a: {} } }, { anyOf: [{}] }]) {
      assert.equal(wireSchema(schema), null);
    }
  });
});
