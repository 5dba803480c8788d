import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { call, contextOf, makePlace } from '../../test/context.ts';
import { LIMITS } from '../limits.ts';
import { files } from './index.ts';

let place: ReturnType<typeof makePlace>;
let tools: ToolDefinition[];
const put = (path: string, content: string | Uint8Array): void => {
  mkdirSync(dirname(join(place.root, path)), { recursive: true });
  writeFileSync(join(place.root, path), content);
};
const remove = (path: string): void => rmSync(join(place.root, path), { recursive: true });
const content = async (tool: string, args: unknown): Promise<string> => {
  const result = await call(tools, tool, args);
  assert.equal(result.isError, undefined, result.content);
  return result.content;
};
const refused = async (tool: string, args: unknown): Promise<string> => {
  const result = await call(tools, tool, args);
  assert.equal(result.isError, true, result.content);
  assert.equal((result.details as { code: string }).code, result.content.split(':')[0]);
  return result.content;
};

before(() => {
  place = makePlace();
  mkdirSync(place.root);
  put('a.txt', 'one\ntwo\nthree\n');
  put('src/b.ts', 'const two = 2;\n// TWO\nexport { two };\n');
  put('src/deep/c.ts', 'import { two } from "../b.ts";\n');
  put('.github/ci.yml', 'on: push\n');
  put('.git/config', 'two\n');
  put('node_modules/pkg/index.js', 'two\n');
  put('empty.txt', '');
  put('picture.png', new Uint8Array([0x89, 0x50, 0, 0]));
  symlinkSync('a.txt', join(place.root, 'link'));
  tools = files({ root: place.root });
});
after(() => place[Symbol.dispose]());

describe('the definitions', () => {
  it('are four pure tools that run unasked, with the prefix before each name', () => {
    const named = files({ root: place.root, prefix: 'docs_' });
    assert.deepEqual(
      named.map(({ name, effect, approval }) => [name, effect, approval]),
      ['read_file', 'list_files', 'glob', 'grep'].map((name) => [`docs_${name}`, 'pure', 'never']),
    );
  });

  it('take an object of known properties only, and name no dialect', () => {
    for (const { input } of tools) {
      assert.equal(input['type'], 'object');
      assert.equal(input['additionalProperties'], false);
      assert.equal('$schema' in input, false);
    }
    assert.deepEqual(
      tools.map(({ input }) => input['required'] ?? []),
      [['path'], [], ['pattern'], ['pattern']],
    );
  });

  it('say their limits', () => {
    const said = tools.map(({ description }) => description);
    assert.match(
      said[0] ?? '',
      new RegExp(`${LIMITS.readLines} lines.*${LIMITS.answerChars} characters.*read on`, 's'),
    );
    assert.match(said[1] ?? '', new RegExp(`${LIMITS.listedEntries} entries`));
    assert.match(said[2] ?? '', new RegExp(`node_modules.*${LIMITS.globPaths} paths`, 's'));
    assert.match(said[3] ?? '', new RegExp(`RE2.*${LIMITS.grepMatches} matching`, 's'));
  });

  it('refuse arguments that do not fit, and an abort before the start', async () => {
    assert.match(await refused('read_file', { path: '' }), /^invalid_arguments: /);
    assert.match(await refused('read_file', { path: 'a.txt', lines: 3 }), /^invalid_arguments: /);
    assert.match(await refused('grep', { pattern: 'a', context: 99 }), /^invalid_arguments: /);
    const reason = new Error('stopped');
    for (const tool of tools) await assert.rejects(tool.run({}, contextOf(AbortSignal.abort(reason))), reason);
  });
});

describe('read_file', () => {
  it('gives the text as it is, and its place and size to people', async () => {
    const { content: text, details } = await call(tools, 'read_file', { path: './src/../a.txt' });
    assert.equal(text, 'one\ntwo\nthree');
    assert.deepEqual(details, { path: 'a.txt', bytes: 14, from: 1, to: 3, lines: 3, next: null });
    assert.equal(await content('read_file', { path: 'empty.txt' }), '[the file is empty]');
  });

  it('gives some lines and says how to read on', async () => {
    const text = await content('read_file', { path: 'a.txt', offset: 2, limit: 1 });
    assert.equal(text, 'two\n[up to here; there is more: read on with offset 3]');
    assert.equal(await content('read_file', { path: 'a.txt', offset: 3 }), 'three');
  });

  it('reads a line longer than one answer to its end by column', async () => {
    put('long.txt', `${'x'.repeat(LIMITS.answerChars)}END`);
    assert.match(await content('read_file', { path: 'long.txt' }), /with offset 1 and column 40001\]$/);
    assert.equal(await content('read_file', { path: 'long.txt', column: LIMITS.answerChars + 1 }), 'END');
    remove('long.txt');
  });

  it('says what is past the end, no text, or too large', async () => {
    assert.match(await refused('read_file', { path: 'a.txt', offset: 4 }), /^past_end: .* only 3 lines/);
    assert.match(await refused('read_file', { path: 'picture.png' }), /^binary: /);
    put('huge', '');
    truncateSync(join(place.root, 'huge'), LIMITS.fileBytes + 1);
    assert.match(await refused('read_file', { path: 'huge' }), /^too_large: /);
    remove('huge');
  });
});

describe('list_files', () => {
  it('lists a folder by name and marks what is no file', async () => {
    const text = await content('list_files', {});
    assert.equal(text, '.git/\n.github/\na.txt\nempty.txt\nlink@\nnode_modules/\npicture.png\nsrc/');
    assert.equal(await content('list_files', { path: 'src' }), 'b.ts\ndeep/');
  });

  it('goes on from page to page until each entry was listed once', async () => {
    const count = 2 * LIMITS.listedEntries + 1;
    const name = (n: number): string => `f${String(n).padStart(5, '0')}`;
    for (let n = 0; n < count; n++) put(`many/${name(n)}`, '');
    const listed: string[] = [];
    for (let offset: number | undefined = 1; offset !== undefined;) {
      const lines: string[] = (await content('list_files', { path: 'many', offset })).split('\n');
      const on: RegExpExecArray | null = /^\[up to here of 2001; go on with offset (\d+)\]$/.exec(lines.at(-1) ?? '');
      offset = on === null ? undefined : Number(on[1]);
      listed.push(...lines.filter((line) => !line.startsWith('[')));
    }
    assert.deepEqual(
      listed,
      Array.from({ length: count }, (_, n) => name(n)),
    );
    assert.match(await refused('list_files', { path: 'many', offset: 5_000 }), /^past_end: /);
    remove('many');
  });

  it('writes out what a name would do to a screen', async () => {
    put('names/a\u202eb\n\u001b[31mc', '');
    assert.equal(await content('list_files', { path: 'names' }), 'a\\u{202e}b\\u{a}\\u{1b}[31mc');
    remove('names');
    mkdirSync(join(place.root, 'names'));
    assert.equal(await content('list_files', { path: 'names' }), '[the folder is empty]');
    remove('names');
  });
});

describe('glob', () => {
  it('finds files below a folder, without .git, node_modules and what is behind links', async () => {
    const all = '.github/ci.yml a.txt empty.txt picture.png src/b.ts src/deep/c.ts'.split(' ');
    const found = (await content('glob', { pattern: '**' })).split('\n');
    assert.deepEqual(found.toSorted(), all);
    assert.deepEqual(found, (await content('glob', { pattern: '**' })).split('\n'), 'in the same order each time');
    assert.equal(await content('glob', { pattern: '*.ts' }), 'src/b.ts\nsrc/deep/c.ts');
    assert.equal(await content('glob', { pattern: 'deep/*', path: 'src' }), 'src/deep/c.ts');
    assert.equal(await content('glob', { pattern: '*', path: 'node_modules/pkg' }), 'node_modules/pkg/index.js');
  });

  it('says why it may have found nothing', async () => {
    const text = await content('glob', { pattern: 'node_modules/**' });
    assert.match(text, /^\[no file matches\]\n.*left out.*\n.*1 links were not followed/s);
    assert.match(await refused('glob', { pattern: '{a' }), /^invalid_pattern: /);
  });

  it('says that it was cut', async () => {
    for (let n = 0; n <= LIMITS.globPaths; n++) put(`many/f${n}`, '');
    const lines = (await content('glob', { pattern: 'many/*' })).split('\n');
    assert.equal(lines.length, LIMITS.globPaths + 1);
    assert.match(lines.at(-1) ?? '', /there are more/);
    remove('many/f0');
    assert.equal((await content('glob', { pattern: 'many/*' })).split('\n').length, LIMITS.globPaths);
    remove('many');
  });

  it('goes only so deep, and says so', async () => {
    put(`${'d/'.repeat(LIMITS.walkedDepth + 1)}deep.txt`, '');
    put(`${'d/'.repeat(LIMITS.walkedDepth)}just.txt`, '');
    const text = await content('glob', { pattern: '**/*.txt', path: 'd' });
    assert.match(text, /just\.txt\n/);
    assert.match(await content('glob', { pattern: 'just.txt' }), /not all was searched/);
    remove('d');
  });
});

describe('grep', () => {
  it('gives path, line and text of each match', async () => {
    assert.equal(await content('grep', { pattern: '^two', path: 'a.txt' }), 'a.txt:2:two');
    const found = await content('grep', { pattern: 'two', path: '.', ignoreCase: true });
    assert.deepEqual(found.split('\n'), [
      'a.txt:2:two',
      'src/b.ts:1:const two = 2;',
      'src/b.ts:2:// TWO',
      'src/b.ts:3:export { two };',
      'src/deep/c.ts:1:import { two } from "../b.ts";',
    ]);
    assert.equal(await content('grep', { pattern: 'import', include: 'deep/*.ts', path: 'src' }), found.split('\n')[4]);
    assert.equal(await content('grep', { pattern: 'two', include: '*.txt' }), 'a.txt:2:two');
  });

  it('shows each line once, with its context and a mark between groups', async () => {
    put(
      'c.txt',
      Array.from({ length: 12 }, (_, n) => ([2, 4, 10].includes(n + 1) ? `hit${n + 1}` : `l${n + 1}`)).join('\n'),
    );
    const text = await content('grep', { pattern: 'hit', path: 'c.txt', context: 1 });
    assert.deepEqual(
      text.split('\n').map((line) => line.replace(/^c\.txt/, '')),
      ['-1-l1', ':2:hit2', '-3-l3', ':4:hit4', '-5-l5', '--', '-9-l9', ':10:hit10', '-11-l11'],
    );
    remove('c.txt');
  });

  it('says that it was cut, and only when there is more', async () => {
    put('m.txt', 'x\n'.repeat(LIMITS.grepMatches));
    const all = await content('grep', { pattern: 'x', path: 'm.txt' });
    assert.equal(all.split('\n').length, LIMITS.grepMatches);
    put('m.txt', 'x\n'.repeat(LIMITS.grepMatches + 1));
    const cut = await content('grep', { pattern: 'x', path: 'm.txt' });
    assert.equal(
      cut,
      `${all}\n[up to here, ${LIMITS.grepMatches} matches; there are more: narrow the pattern, path or include]`,
    );
    put('m.txt', `${'y'.repeat(300)}\n`.repeat(LIMITS.grepMatches));
    const full = await content('grep', { pattern: 'y', path: 'm.txt' });
    assert.ok(full.length <= LIMITS.answerChars + 200 && full.endsWith('path or include]'));
    remove('m.txt');
  });

  it('shows of a long line what was found, and says which lines were searched only in part', async () => {
    put('long.txt', `${'a'.repeat(2_000)}NEEDLE${'b'.repeat(1_000)}\n${'c'.repeat(LIMITS.searchedLineChars)}NEEDLE\n`);
    const [line, note, ...more] = (await content('grep', { pattern: 'NEEDLE', path: 'long.txt' })).split('\n');
    assert.match(line ?? '', /^long\.txt:1:…a+NEEDLEb+…$/);
    assert.ok((line ?? '').length < LIMITS.shownLineChars + 20);
    assert.match(note ?? '', /^\[1 lines are long/);
    assert.deepEqual(more, []);
    remove('long.txt');
  });

  it('passes over what is no text, and counts it for people', async () => {
    const { content: text, details } = await call(tools, 'grep', { pattern: 'PNG' });
    assert.match(text, /^\[no line matches in 6 files\]/);
    assert.deepEqual((details as { passedOver: unknown }).passedOver, {
      binary: 1,
      tooLarge: 0,
      hardLinked: 0,
      unreadable: 0,
    });
    assert.match(await refused('grep', { pattern: 'PNG', path: 'picture.png' }), /^binary: /);
    assert.match(await refused('grep', { pattern: '(' }), /^invalid_pattern: /);
    assert.match(await refused('grep', { pattern: 'a', include: '!b' }), /^invalid_pattern: /);
  });

  it('stops when it is aborted', async () => {
    const stop = new AbortController();
    const found = call(tools, 'grep', { pattern: 'two' }, stop.signal);
    stop.abort(new Error('stopped'));
    await assert.rejects(found, /stopped/);
  });
});
