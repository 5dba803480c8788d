import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blank, findInCode, listImports } from './source.ts';

test('an import is found in every form it can take', () => {
  const source = [
    "import 'node:fs';",
    "import a, { type B, c as d } from 'one';",
    "import type { E } from 'two';",
    "import * as f from 'three';",
    "export { g } from 'four';",
    "export type { H } from 'five';",
    "const i = await import('six');",
    "import {\n  j,\n  k,\n} from 'seven';",
    "import type from 'eight';",
  ].join('\n');
  const found = listImports(source).map(({ specifier, typeOnly, names, line }) => [specifier, typeOnly, names, line]);
  assert.deepEqual(
    found.sort(([, , , a], [, , , b]) => Number(a) - Number(b)),
    [
      ['node:fs', false, [], 1],
      ['one', false, ['*', 'B', 'c'], 2],
      ['two', true, ['E'], 3],
      ['three', false, ['*'], 4],
      ['four', false, ['g'], 5],
      ['five', true, ['H'], 6],
      ['six', false, ['*'], 7],
      ['seven', false, ['j', 'k'], 8],
      ['eight', false, ['*'], 12],
    ],
  );
});

test('what stands in a comment, a string, a template or a regular expression is not code', () => {
  const source = [
    "// import 'a';",
    "/* import 'b'; */",
    `const s = "import 'c'";`,
    "const t = `import 'd' ${call(`import 'e'`, {})} import 'f'`;",
    "const r = /import 'g'['\"`]/g;",
    'const q = 4 / 2; const p = 1 / 3;',
    "import 'real';",
  ].join('\n');
  assert.deepEqual(
    listImports(source).map(({ specifier }) => specifier),
    ['real'],
  );
});

test('the code in the hole of a template is code', () => {
  assert.deepEqual(findInCode('const t = `now ${new Date()} now`;', /new Date/g), [1]);
});

test('blanking keeps every character at its place', () => {
  const source = "const a = 'x\\'y'; // z\nconst b = /[/]/;\n";
  const code = blank(source);
  assert.equal(code.length, source.length);
  assert.equal(code, "const a = '    ';     \nconst b = /   /;\n");
});
