import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'perdure-reference-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('the reference has a page for each door, and every function and class on it says what it does', () => {
  const script = join(import.meta.dirname, '../scripts/reference.ts');
  execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, folder]);
  for (const [door, known] of Object.entries({
    index: 'createRuntime',
    client: 'createClient',
    ports: 'StoreDamage',
    testing: 'createTestRuntime',
  })) {
    const [values = '', types = ''] = readFileSync(join(folder, `${door}.md`), 'utf8').split('\n## Types\n');
    assert.ok(values.includes(`### ${known}\n`), known);
    assert.ok(types.includes('```ts\ntype ') || types.includes('```ts\ninterface '), door);
    const bare = [...values.matchAll(/^### (.+)\n\n```/gm)].map(([, name]) => name);
    assert.deepEqual(bare, [], `${door}: without a docstring`);
  }
});
