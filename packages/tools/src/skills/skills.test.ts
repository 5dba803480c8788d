import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ToolDefinition, ToolResult } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { agentsFiles } from './agents-files.ts';
import { skills } from './skill.ts';

const home = mkdtempSync(join(tmpdir(), 'perdure-skills-'));
after(() => rmSync(home, { recursive: true }));
let count = 0;
const tree = (files: { [path: string]: string }): string => {
  const folder = join(home, String((count += 1)));
  mkdirSync(folder);
  write(folder, files);
  return folder;
};
const write = (folder: string, files: { [path: string]: string }): void => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
};
const skill = (name: string, description: string, body = 'Body.'): string =>
  `---\nname: ${name}\ndescription: ${description}\n---\n${body}\n`;
const called = async (tool: ToolDefinition, args: unknown): Promise<string> => {
  const { content } = (await tool.run(args, { signal: new AbortController().signal } as never)) as ToolResult;
  return typeof content === 'string' ? content : '';
};

void describe('skills', () => {
  const folder = tree({
    'pdf-forms/SKILL.md': skill('pdf-forms', '>-\n  Fills the forms\n  of PDF files', '# Forms\nDo this.'),
    'pdf-forms/reference/fields.md': 'All fields.',
    'pdf-forms/fill.py': 'print(1)',
    'charts/SKILL.md': skill('charts', '"Draws: charts"'),
    'notes/README.md': 'no skill',
    '_draft/SKILL.md': 'no front matter',
  });

  void test('are told by name and description, and read whole on demand', async () => {
    const tool = skills({ folders: folder });
    assert.deepEqual([tool.effect, tool.approval, tool.taint], ['pure', 'never', undefined]);
    assert.match(
      tool.source?.read() ?? '',
      /^What is known[^\n]*\n- charts: Draws: charts\n- pdf-forms: Fills the forms of PDF files$/,
    );
    assert.equal(
      await called(tool, { skill: 'pdf-forms' }),
      '# Forms\nDo this.\n\nIts files, which you read with file:\nfill.py\nreference/fields.md',
    );
    assert.equal(await called(tool, { skill: 'pdf-forms', file: 'reference/fields.md' }), 'All fields.');
    assert.equal(await called(tool, { skill: 'charts' }), 'Body.');
    assert.equal(
      await called(tool, { skill: 'none' }),
      'not_found: There is no skill none. Skills: charts, pdf-forms.',
    );
  });

  void test('no path leads out of a skill’s own folder', async () => {
    const outside = tree({ 'secret.txt': 'secret' });
    const own = tree({ 'a/SKILL.md': skill('a', 'd'), 'b/SKILL.md': skill('b', 'd'), 'b/own.txt': 'own' });
    symlinkSync(join(outside, 'secret.txt'), join(own, 'a/link.txt'));
    symlinkSync(outside, join(own, 'a/folder'));
    symlinkSync(outside, join(own, 'c'));
    linkSync(join(outside, 'secret.txt'), join(own, 'a/second-name.txt'));
    const tool = skills({ folders: own });
    for (const file of [
      '../b/own.txt',
      '..',
      'x/../../b/own.txt',
      join(outside, 'secret.txt'),
      'link.txt',
      'folder/secret.txt',
      'second-name.txt',
      '/etc/passwd',
      'SKILL.md\0',
      '.',
    ])
      assert.match(await called(tool, { skill: 'a', file }), /^[a-z_]+: /, file);
    for (const name of ['../b', '..', '.', 'c', 'a/../b', '/', ''])
      assert.match(await called(tool, { skill: name }), /^(?:not_found|invalid_arguments): /, name);
    assert.doesNotMatch(await called(tool, { skill: 'a' }), /link|folder/);
  });

  void test('a folder that has become a link since is not read', async () => {
    const outside = tree({ 'a/SKILL.md': skill('a', 'd'), 'a/secret.txt': 'secret' });
    const own = tree({ 'a/SKILL.md': skill('a', 'd') });
    const tool = skills({ folders: own });
    renameSync(join(own, 'a'), join(own, 'b'));
    symlinkSync(join(outside, 'a'), join(own, 'a'));
    assert.match(await called(tool, { skill: 'a', file: 'secret.txt' }), /^not_found: /);
  });

  void test('a SKILL.md that is a link out, or has a second name elsewhere, is none', () => {
    const outside = tree({ 'SKILL.md': skill('a', 'd') });
    for (const make of [symlinkSync, linkSync] as const) {
      const own = tree({ 'a/x': '' });
      make(join(outside, 'SKILL.md'), join(own, 'a/SKILL.md'));
      assert.throws(() => skills({ folders: own }), { code: 'invalid_skill' });
    }
  });

  void test('of two with one name the earlier folder’s stands', async () => {
    const other = tree({ 'charts/SKILL.md': skill('charts', 'Other'), 'maps/SKILL.md': skill('maps', 'Maps') });
    const text = skills({ folders: [folder, other] }).source?.read() ?? '';
    assert.match(text, /- charts: Draws: charts\n/);
    assert.match(text, /- maps: Maps/);
  });

  void test('what changes is seen by the next reading, and what breaks is left out of it', () => {
    const own = tree({ 'a/SKILL.md': skill('a', 'one') });
    const { source } = skills({ folders: own });
    write(own, { 'a/SKILL.md': skill('a', 'two'), 'b/SKILL.md': skill('b', 'new') });
    assert.match(source?.read() ?? '', /- a: two\n- b: new$/);
    write(own, { 'a/SKILL.md': '---\nname: [\n---\n' });
    assert.match(source?.read() ?? '', /:\n- b: new$/);
    rmSync(own, { recursive: true });
    assert.equal(source?.read(), '');
  });

  void test('one that is broken is refused with its folder when the tool is made', () => {
    for (const [text, problem] of [
      ['no front matter', /begin with ---/],
      ['---\nname: a\n---\n', /: the front matter has no fitting description: write a text, a sentence on what[^\n]*$/],
      ['---\n# nothing\n---\n', /: the front matter holds no members: write name and description$/],
      ['---\nname: other\ndescription: d\n---\n', /is called other/],
      ['---\nname: A\ndescription: d\n---\n', /lower-case/],
      ['---\nname: a\ndescription: [1]\n---\n', /description/],
      ['---\nname: a\ndescription: d\nx: &x [1, 2]\ny: [*x, *x]\n---\n', /YAML/],
      ['---\nname: a\nname: a\ndescription: d\n---\n', /YAML/],
      [`---\nname: a\ndescription: ${'d'.repeat(1_025)}\n---\n`, /description/],
      [skill('a', 'd', 'x'.repeat(LIMITS.skillBytes)), /more than/],
    ] as const)
      assert.throws(() => skills({ folders: tree({ 'a/SKILL.md': text }) }), {
        code: 'invalid_skill',
        message: problem,
      });
    assert.throws(() => skills({ folders: join(home, 'none') }), { code: 'invalid_root' });
  });

  void test('of strangers they are information, and what is read of them taints', () => {
    const tool = skills({ folders: folder, trusted: false });
    assert.deepEqual([tool.taint, tool.source?.trusted], ['file', false]);
  });
});

void describe('AGENTS.md', () => {
  void test('is read from where the work is up to the root, the nearest first, as it is at each reading', () => {
    const root = tree({ 'AGENTS.md': 'Top.', 'a/x': '', 'a/b/AGENTS.md': 'Near.\n' });
    const source = agentsFiles({ root, from: 'a/b' });
    assert.equal(source.read(), '## a/b/AGENTS.md\nNear.\n\n## AGENTS.md\nTop.');
    assert.equal(agentsFiles({ root }).read(), '## AGENTS.md\nTop.');
    write(root, { 'a/AGENTS.md': 'Middle.' });
    assert.match(source.read(), /Near\.\n\n## a\/AGENTS\.md\nMiddle\.\n\n## AGENTS\.md/);
    assert.equal(agentsFiles({ root: tree({}) }).read(), '');
  });

  void test('is bounded, one and all', () => {
    const root = tree({
      'AGENTS.md': 'r'.repeat(40_000),
      'a/AGENTS.md': 'a'.repeat(40_000),
      'a/b/AGENTS.md': 'b'.repeat(40_000),
    });
    const text = agentsFiles({ root, from: 'a/b' }).read();
    assert.ok(text.length < LIMITS.agentsFilesBytes + 200);
    assert.match(text, /b{32768}\n\[cut: the file goes on\]\n\n## a\/AGENTS\.md\na{16384}\n\[cut/);
  });

  void test('that leads out of the root is not read', () => {
    const outside = tree({ 'AGENTS.md': 'secret' });
    const root = tree({ 'own.md': 'Own.', 'a/x': '' });
    symlinkSync(join(outside, 'AGENTS.md'), join(root, 'AGENTS.md'));
    assert.equal(agentsFiles({ root }).read(), '');
    symlinkSync(join(root, 'own.md'), join(root, 'a/AGENTS.md'));
    assert.equal(agentsFiles({ root, from: 'a' }).read(), '## a/AGENTS.md\nOwn.');
    assert.throws(() => agentsFiles({ root, from: outside }), { code: 'invalid_root' });
  });
});

void test('AGENTS.md at the top of what is mounted is read, bounded, and neither through a link nor where it is no text', async () => {
  const contents = new Map<string, Uint8Array>();
  const node = (text: string | Uint8Array, bytes?: number) => {
    const content = Buffer.from(text);
    const digest = `d${contents.size}`;
    contents.set(digest, content);
    return { digest, bytes: bytes ?? content.length };
  };
  const mounts = Object.entries({
    '/': { 'AGENTS.md': node(' Use tabs.\n'), 'sub/AGENTS.md': node('deeper') },
    '/b': { 'AGENTS.md': { link: '/etc/passwd' } },
    '/c': { 'AGENTS.md': node('\0binary') },
    '/d': { 'AGENTS.md': node('x'.repeat(LIMITS.agentsFileBytes + 1)) },
    '/e': { 'AGENTS.md': node('huge', LIMITS.agentsFileReadBytes + 1) },
    '/f': { other: node('x') },
    '/g': { 'AGENTS.md': { digest: 'lost', bytes: 1 } },
    '/h': { 'AGENTS.md': node('y'.repeat(LIMITS.agentsFileBytes)) },
    '/i': { 'AGENTS.md': node('no room') },
  }).map(([path, tree]) => ({
    path,
    tree: new Map(Object.entries(tree)),
    content: async (digest: string) => contents.get(digest) ?? null,
  }));
  const source = agentsFiles({ root: home });
  const text = (await source.mounted?.read(mounts)) ?? '';
  assert.equal(text.slice(0, 26), '## /AGENTS.md\nUse tabs.\n\n#');
  assert.deepEqual(text.match(/^## .*$/gm), ['## /AGENTS.md', '## /d/AGENTS.md', '## /h/AGENTS.md']);
  assert.equal(text.match(/^\[cut: the file goes on\]$/gm)?.length, 2);
  assert.ok(text.length < LIMITS.agentsFilesBytes + 200);
  assert.equal(await source.mounted?.read([]), '');
});
