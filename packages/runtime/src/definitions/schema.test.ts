import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../limits.ts';
import { compileSchema, misfitOf } from './schema.ts';

test('a value fits, or one line says where it does not', () => {
  const schema = {
    type: 'object',
    properties: { n: { type: 'integer' }, to: { format: 'email' } },
    required: ['n'],
    additionalProperties: false,
  };
  assert.equal(misfitOf(schema, { n: 1 }), null);
  assert.match(misfitOf(schema, { n: 'x' }) ?? '', /arguments\/n must be integer/);
  assert.match(misfitOf(schema, { n: 'x' }, 'answer') ?? '', /answer\/n must be integer/);
  assert.match(misfitOf(schema, { m: 1 }) ?? '', /required property 'n'.*additional/);
  assert.match(misfitOf(schema, { n: 1, to: 'nobody' }) ?? '', /arguments\/to must match format "email"/);
});

test('a broken schema is told, not thrown', () => {
  for (const schema of [
    { type: 'nothing' },
    { $ref: 'https://example.com/other.json' },
    { pattern: '(' },
    { $async: true },
  ]) {
    const compiled = compileSchema(schema);
    assert.equal(compiled.ok, false);
    assert.notEqual(misfitOf(schema, {}), null);
  }
});

test('two schemas with one id do not know of each other', () => {
  const one = { $id: 'https://example.com/tool', type: 'object', required: ['a'] };
  const two = { $id: 'https://example.com/tool', type: 'object', required: ['b'] };
  assert.equal(misfitOf(one, { a: 1 }), null);
  assert.equal(misfitOf(two, { b: 1 }), null);
  assert.notEqual(misfitOf(two, { a: 1 }), null);
});

test('what is told of many errors has a bound', () => {
  const schema = { type: 'array', items: { type: 'string' } };
  const text =
    misfitOf(
      schema,
      Array.from({ length: 50_000 }, () => 1),
    ) ?? '';
  assert.ok(text.length <= LIMITS.messageChars);
  assert.match(text, /and 49990 more$/);
});

test('arguments named like members of every object pollute nothing and get no leave', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false };
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const value = JSON.parse(`{"${name}": {"polluted": true}}`) as unknown;
    assert.notEqual(misfitOf(schema, value), null, name);
  }
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});
