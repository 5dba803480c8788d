import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import picomatch from 'picomatch';
import { LIMITS } from '../limits.ts';
import { compileExpression, compileGlob } from './patterns.ts';

const invalid = { code: 'invalid_pattern' };

describe('an expression', () => {
  it('finds where a match starts', () => {
    const expression = compileExpression('b+', false);
    assert.equal(expression.indexIn('aab'), 2);
    assert.equal(expression.indexIn('xyz'), -1);
    assert.equal(expression.test('AB'), false);
    assert.equal(compileExpression('b+', true).test('AB'), true);
  });

  it('is refused with a reason where it does not parse or asks for backtracking', () => {
    for (const source of [
      '(',
      '[',
      '*',
      'a**',
      '\\',
      '(a)\\1',
      '(?=a)',
      '(?!a)',
      '(?<=a)b',
      '(?>a)',
      '\\Q\\E\\',
      'x{1001}',
    ])
      assert.throws(() => compileExpression(source, false), invalid, source);
  });

  it('is refused where its compiled size would not be bounded', () => {
    for (const source of ['(a{100}){100}', '((a{30}){30}){30}', '.{999}.{999}', `(${'a?'.repeat(499)}){9}`])
      assert.throws(() => compileExpression(source, false), invalid, source);
  });

  it('is done at once with what keeps a backtracking matcher busy for ever', () => {
    // A matcher that backtracks would take longer than the age of the world, and this test would never end.
    const long = 'a'.repeat(LIMITS.searchedLineChars);
    for (const source of [
      '(a+)+$',
      '^(a|a)*$',
      '(a|aa)+$',
      '^(a*)*(a*)*(a*)*$',
      '^a*a*a*a*a*a*a*a*a*a*$',
      '^(a?){80}a{80}$',
      '^(([a-z])+.)+[A-Z]$',
    ])
      assert.equal(compileExpression(source, false).test(`${long}!`), false, source);
  });
});

describe('a glob', () => {
  it('matches what it says', () => {
    const cases: [string, string[], string[]][] = [
      ['*.ts', ['a.ts', 'x/y/a.ts', '.ts', '.hidden.ts'], ['a.tsx', 'a.ts/b']],
      ['./*.ts', ['a.ts'], ['x/a.ts']],
      ['src/*.ts', ['src/a.ts'], ['src/x/a.ts', 'a/src/a.ts']],
      ['src/**/*.ts', ['src/a.ts', 'src/x/y/a.ts'], ['a.ts', 'xsrc/a.ts']],
      ['**/test/**', ['test/a', 'x/test/y/z'], ['test', 'x/testing/a']],
      ['**', ['a', 'a/b/c', '.a/.b'], []],
      ['a/**b', ['a/b', 'a/xb'], ['a/x/b']],
      ['{src,test}/**/*.{ts,js}', ['src/a.ts', 'test/x/b.js'], ['lib/a.ts', 'src/a.css']],
      ['{a,b/**}/c', ['a/c', 'b/x/y/c'], ['c']],
      ['file?.[ch]', ['file1.c', 'file2.h'], ['file.c', 'file12.c', 'file1.x']],
      ['[!a-c]x', ['dx'], ['ax', '/x']],
      ['[-a]x', ['-x', 'ax'], ['bx']],
      ['[!-a]x', ['bx', 'Bx', '1x'], ['-x', 'ax', 'b/x']],
      ['[]]x', [']x'], ['x']],
      ['\\[id\\].tsx', ['app/[id].tsx'], ['i.tsx']],
      ['a+b(c).t^x$', ['a+b(c).t^x$'], ['aab(c).t^x$']],
      ['{a}.txt', ['a.txt'], []],
      ['a,b', ['a,b'], ['a']],
      ['😀?.md', ['😀é.md', '😀😀.md'], ['😀.md']],
    ];
    for (const [glob, yes, no] of cases) {
      const matches = compileGlob(glob);
      for (const path of yes) assert.equal(matches(path), true, `${glob} matches ${path}`);
      for (const path of no) assert.equal(matches(path), false, `${glob} does not match ${path}`);
    }
  });

  it('is refused where it would be read differently elsewhere', () => {
    for (const glob of [
      '!a',
      '/etc/*',
      '@(a|b)',
      '+(a)',
      '!(a)/b',
      'x/*(a)',
      '{1..3}',
      '{a,b',
      '[abc',
      '[]',
      '[z-a]',
      '[[:alpha:]]',
    ])
      assert.throws(() => compileGlob(glob), invalid, glob);
  });

  it('reads a path as picomatch does', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-'), minLength: 1, maxLength: 3 });
    const path = fc
      .array(name, { minLength: 1, maxLength: 4 })
      .filter((names) => !names.some((one) => /^\.+$/.test(one)));
    const atom = fc.constantFrom('a', 'b', '.', '-', '*', '?', '[ab]', '[^a]', '{a,b}', '{a,*b}');
    const part = fc.oneof(
      { weight: 1, arbitrary: fc.constant('**') },
      { weight: 3, arbitrary: fc.array(atom, { minLength: 1, maxLength: 3 }).map((atoms) => atoms.join('')) },
    );
    const glob = fc
      .array(part, { minLength: 2, maxLength: 4 })
      .map((parts) => parts.join('/'))
      // Runs of stars inside a name mean different things to different readers.
      .filter((one) => !/\*\*[^/]|[^/]\*\*/.test(one) && !/(^|\/)\.+(\/|$)/.test(one));
    fc.assert(
      fc.property(glob, path, (pattern, names) => {
        const tried = names.join('/');
        // Its short cuts read `**/*.*` and `a/*.*` in two ways: of these the first does not match `a.`.
        const theirs = picomatch(pattern, { dot: true, strictSlashes: true, fastpaths: false })(tried);
        assert.equal(compileGlob(pattern)(tried), theirs, `${pattern} on ${tried}`);
      }),
      { numRuns: 2_000, examples: [['**/*.*', ['a.']]] },
    );
  });

  it('is done at once however many stars it has', () => {
    const stars = compileGlob(`${'*a'.repeat(100)}b`);
    assert.equal(stars('a'.repeat(250)), false);
    const folders = compileGlob(`${'**/a/'.repeat(60)}b`);
    assert.equal(folders('a/'.repeat(1_000)), false);
  });
});
