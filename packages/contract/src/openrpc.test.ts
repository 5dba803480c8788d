import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_STATUS } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { METHODS } from './methods.ts';
import { buildOpenRpc } from './openrpc.ts';
import { NOTIFICATIONS, RPC_CODES, rpcCodeOf, SUBSCRIPTIONS } from './rpc.ts';

type Described = {
  name: string;
  params: { name: string; required: boolean; schema: unknown }[];
  result: unknown;
  errors: { code: number; message: string }[];
  'x-notification'?: string;
};
const document = buildOpenRpc() as unknown as {
  methods: Described[];
  components: { schemas: { [name: string]: unknown } };
  'x-notifications': { name: string }[];
};

test('each row of the table and each subscription is a method, with its parameters by name', () => {
  const names = document.methods.map(({ name }) => name);
  assert.deepEqual(names, [...Object.keys(METHODS), ...Object.keys(SUBSCRIPTIONS)]);
  assert.equal(new Set(names).size, names.length);
  const start = document.methods.find(({ name }) => name === 'runs.start');
  assert.deepEqual(
    start?.params.map(({ name, required }) => [name, required]),
    [
      ['session', true],
      ['input', true],
      ['mode', false],
      ['submission', false],
      ['priority', false],
      ['config', false],
    ],
  );
  for (const { name, errors } of document.methods)
    assert.equal(new Set(errors.map(({ code }) => code)).size, errors.length, name);
});

test('each subscription but the one that ends it names a notification that is described', () => {
  const described = document['x-notifications'].map(({ name }) => name);
  assert.deepEqual(described, Object.keys(NOTIFICATIONS));
  const told = document.methods.flatMap((method) => method['x-notification'] ?? []);
  assert.deepEqual(told, ['events.event', 'feed.event']);
});

test('each reference is to a schema that is there', () => {
  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g))
    assert.ok(document.components.schemas[name ?? ''], name);
});

test('each stable code has a number; only what the specification names has one of its own', () => {
  const numbers = Object.keys(ERROR_STATUS).map((code) => [code, rpcCodeOf(code as ErrorCode)] as const);
  const own = numbers.filter(([, number]) => number !== RPC_CODES.refused);
  assert.deepEqual(own, [
    ['invalid_request', -32_602],
    ['internal', -32_603],
  ]);
});
