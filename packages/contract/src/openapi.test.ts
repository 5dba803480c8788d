import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { CHANNELS } from './channels.ts';
import { METHODS } from './methods.ts';
import { buildOpenApi } from './openapi.ts';

type Operation = {
  operationId: string;
  parameters?: { name: string; in: string; schema: unknown }[];
  requestBody?: { required: boolean; content: { [type: string]: { schema: { properties?: object } } } };
  responses: { [status: string]: { content?: { [type: string]: { schema: unknown } } } };
};
type Document = {
  paths: { [path: string]: { [verb: string]: Operation } };
  components: { schemas: { [name: string]: unknown } };
};
const document = buildOpenApi() as unknown as Document;
const generator = resolve(import.meta.dirname, 'generate.ts');

test('each row of the table is an operation with all its statuses', () => {
  for (const [name, row] of Object.entries(METHODS)) {
    const operation = document.paths[row.path]?.[row.verb.toLowerCase()];
    assert.equal(operation?.operationId, name);
    for (const status of row.status) assert.ok(operation?.responses[status], `${name} ${status}`);
  }
  for (const row of Object.values(CHANNELS)) assert.ok(document.paths[row.path]?.[row.verb.toLowerCase()]);
});

test('each reference is to a schema that is there, and named schemas are referred to', () => {
  const names = new Set(
    [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name),
  );
  for (const name of names) assert.ok(document.components.schemas[name ?? ''], name);
  for (const name of ['SessionView', 'RunView', 'WaitView', 'Entry', 'Message', 'Span', 'Input', 'Answer', 'Error'])
    assert.ok(names.has(name), name);
});

test('parameters stand where a client must put them, and a whole body is the body', () => {
  const list = document.paths['/sessions/{session}/events']?.['get'];
  const places = list?.parameters?.map((parameter) => `${parameter.name} ${parameter.in}`);
  assert.deepEqual(places, [
    'session path',
    'after query',
    'limit query',
    'waitMs query',
    'deltas query',
    'Last-Event-ID header',
  ]);
  assert.deepEqual(Object.keys(list?.responses['200']?.content ?? {}), ['application/json', 'text/event-stream']);
  const start = document.paths['/sessions/{session}/runs']?.['post']?.requestBody;
  assert.deepEqual(Object.keys(start?.content['application/json']?.schema.properties ?? {}), [
    'input',
    'mode',
    'submission',
    'priority',
    'config',
  ]);
  assert.equal(start?.required, true);
  const answer = document.paths['/sessions/{session}/waits/{wait}']?.['post']?.requestBody;
  assert.deepEqual(answer?.content['application/json']?.schema, { $ref: '#/components/schemas/Answer' });
});

test('the committed documents are those that the table gives, and --check notices one that is not', (context) => {
  execFileSync(process.execPath, [generator, '--check']);
  for (const name of ['openapi.json', 'openrpc.json']) {
    const folder = mkdtempSync(join(tmpdir(), 'perdure-documents-'));
    context.after(() => rmSync(folder, { recursive: true }));
    execFileSync(process.execPath, [generator, folder]);
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    assert.equal(text, readFileSync(resolve(import.meta.dirname, '..', name), 'utf8'));
    writeFileSync(path, text.replace('"info"', '"inf"'));
    assert.notEqual(spawnSync(process.execPath, [generator, '--check', folder]).status, 0, name);
  }
});
