import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ENTRY_KINDS } from '@perdure/runtime';
import type { Golden } from './golden.ts';
import { differsAt, readGolden } from './golden.ts';

const folder = join(import.meta.dirname, '../golden');
const files = globSync('*/*.json', { cwd: folder }).toSorted();
const goldenAt = (name: string): Golden => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Golden;

for (const name of files)
  test(`what was read out of the golden log ${name} is read out of it today [P3]`, () => {
    const golden = goldenAt(name);
    assert.equal(differsAt(golden.expect, readGolden(golden)), null);
  });

test('there is a golden log of each kind of entry', () => {
  const kinds = new Set(files.flatMap((name) => goldenAt(name).frames.flatMap(({ text }) => kindsIn(text))));
  assert.deepEqual(
    ENTRY_KINDS.filter((kind) => !kinds.has(kind)),
    [],
    'npm run golden makes those that are missing',
  );
});

test('a reading that says less, or something else, is noticed', () => {
  const golden = goldenAt(files[0] ?? assert.fail('there are golden logs'));
  const reading = readGolden(golden) as { state: { head: number; phase?: string } };
  assert.equal(differsAt(golden.expect, { ...reading, more: 1 }), null);
  const { phase: _phase, ...less } = reading.state;
  assert.equal(differsAt(golden.expect, { ...reading, state: less }), '.state.phase');
  const text = (golden.frames[0]?.text ?? '').replace('"at":1', '"at":2');
  const frames = golden.frames.with(0, { ...(golden.frames[0] ?? assert.fail('empty')), text });
  assert.throws(() => readGolden({ frames }), /chained/);
});

const kindsIn = (text: string): string[] =>
  (JSON.parse(text) as { entries: { kind: string }[] }).entries.map(({ kind }) => kind);
