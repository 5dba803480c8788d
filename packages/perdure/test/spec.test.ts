import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { createPlace } from './process.ts';

const here = resolve(import.meta.dirname, '..');
const place = createPlace(['--disable-warning=ExperimentalWarning', '--test']);
after(async () => place.leave());

test('the laws that the guide shows hold', async () => {
  const guide = readFileSync(join(here, '../../docs/guides/testing.md'), 'utf8');
  const shown = [...guide.matchAll(/```ts\n([^]*?)```/g)].find(([, code]) => code?.includes('{ spec, steps }'))?.[1];
  mkdirSync(join(place.directory, 'node_modules'));
  symlinkSync(here, join(place.directory, 'node_modules/perdure'));
  writeFileSync(join(place.directory, 'package.json'), '{"type": "module"}');
  writeFileSync(join(place.directory, 'laws.test.ts'), shown ?? assert.fail('the guide shows none'));
  const { code, stdout, stderr } = await place.run(['laws.test.ts']);
  assert.deepEqual([code, /pass 3\n/.test(stdout)], [0, true], stdout + stderr);
});
