/** The suites for parts of one's own, on parts that keep their laws; and that they notice those that do not. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { modelSuite } from './model-suite.ts';
import { createScriptedModel } from './scripted-model.ts';
import { toolSuite } from './tool-suite.ts';

const BROKEN = process.env['BROKEN_PART'] ?? '';

modelSuite({
  name: 'scripted',
  open: async () => {
    const model = createScriptedModel(({ items }) => {
      const last = items.at(-1);
      const isCall = last?.kind === 'message' && JSON.stringify(last).includes('with the tool');
      return isCall ? { calls: [{ name: 'add', arguments: { a: 2, b: 3 } }] } : { text: 'It is five.' };
    });
    const { source } = model;
    const garbled: typeof source = {
      ...source,
      resolve: (id) => {
        const found = source.resolve(id);
        if (!found.ok) return found;
        const generate: typeof found.adapter.generate = async (request, context) =>
          found.adapter.generate(request, { ...context, delta: (piece) => context.delta({ ...piece, text: 'x' }) });
        return { ...found, adapter: { ...found.adapter, generate } };
      },
    };
    const prompts = { text: 'Say it.', call: 'Add 2 and 3 with the tool.' };
    return { source: BROKEN === 'model' ? garbled : source, model: 'scripted', prompts };
  },
});

toolSuite({
  open: () => {
    const seen = new Map<string, number>();
    const tool: ToolDefinition = {
      name: 'charge',
      description: 'Charges an amount.',
      input: { type: 'object', properties: { cents: { type: 'integer' } }, required: ['cents'] },
      effect: 'keyed',
      approval: 'never',
      timeoutMs: 1_000,
      run: async (_args, { key }) => {
        seen.set(key, BROKEN === 'tool' ? (seen.get(key) ?? 0) + 1 : 1);
        return 'charged';
      },
      verify: async (key) =>
        seen.has(key) ? { outcome: 'done', content: 'charged' } : { outcome: 'failed', message: 'not charged' },
    };
    return { tool, happened: (key) => seen.get(key) ?? 0 };
  },
  takes: [{ cents: 1 }],
  refuses: [{ cents: 'one' }, {}],
});

for (const [part, law] of [
  ['model', 'an answer is the text that was streamed'],
  ['tool', 'three attempts with one key are one change'],
] as const)
  test(`a ${part} that breaks a law fails its suite`, { skip: BROKEN !== '' }, async () => {
    const env = { PATH: process.env['PATH'], BROKEN_PART: part };
    const file = join(import.meta.dirname, 'suites.test.ts');
    const run = promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', '--test', file], {
      env,
    });
    const failed = await run.then(
      () => assert.fail('the suite passed'),
      (error: { stdout: string }) => error.stdout,
    );
    assert.ok(failed.includes(law), failed);
  });
