import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Reached, ToolContext, ToolDefinition } from '@perdure/runtime/ports';
import { contextOf, makePlace } from '../../test/context.ts';
import { makeMounted } from '../../test/mounted.ts';
import { digestOf } from './content.ts';
import { folderSpace } from './folder.ts';
import { heldTo } from './held.ts';
import { files } from './index.ts';
import { openRoot } from './root.ts';

const FILES = { 'secrets/a': 'kept', 'secrets/deep/b': 'kept', 'src/a': 'open', 'src/deep/b': 'open' };
const LINKS = { sec: 'secrets', 'src/up': '../secrets', two: 'sec', one: 'src/a', out: '../elsewhere', loop: 'loop' };
const digest = (text: string): string => digestOf(Buffer.from(text));

/** What each path leads to, links followed. */
const LEADS: readonly [string, string | null][] = [
  ['src/a', 'src/a'],
  ['./src//a/', 'src/a'],
  ['.', '.'],
  ['sec/a', 'secrets/a'],
  ['two/a', 'secrets/a'],
  ['src/up/deep/b', 'secrets/deep/b'],
  ['src/up/', 'secrets'],
  ['one', 'src/a'],
  // As it is opened: `..` takes a name away, and does not go up from where a link led.
  ['src/up/../a', 'src/a'],
  ['sec/none', 'secrets/none'],
  ['sec/none/below', 'secrets/none/below'],
  ['none', 'none'],
  ['SEC/a', 'SEC/a'],
  ['out', null],
  ['out/x', null],
  ['loop', null],
  ['../x', null],
  ['src/a/x', null],
  ['a\0b', null],
];

function makeFolder(): { root: string } & Disposable {
  const place = makePlace();
  for (const folder of ['secrets/deep', 'src/deep']) mkdirSync(join(place.root, folder), { recursive: true });
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(place.root, path), text);
  for (const [path, target] of Object.entries(LINKS)) symlinkSync(target, join(place.root, path));
  return place;
}

const toolOf = (tools: readonly ToolDefinition[], name: string): ToolDefinition => {
  const found = tools.find((tool) => tool.name === name);
  assert.ok(found !== undefined);
  return found;
};
const reachedBy = async (tool: ToolDefinition, args: unknown, context: ToolContext): Promise<readonly Reached[]> =>
  (await tool.reaches?.(args, context)) ?? assert.fail(`${tool.name} does not tell`);

void test('a tool tells where the paths of a call lead, in a folder and in what is mounted', async () => {
  using place = makeFolder();
  const mounted = await makeMounted({
    ...FILES,
    ...Object.fromEntries(Object.entries(LINKS).map(([path, link]) => [path, { link }])),
  });
  const both: [readonly ToolDefinition[], ToolContext][] = [
    [files({ root: place.root, write: true }), contextOf()],
    [files({ mounts: true, write: true }), mounted.context()],
  ];
  for (const [tools, context] of both)
    for (const [path, led] of LEADS) {
      const expected = (tree: boolean): Reached[] => (led === null ? [] : [{ path: led, tree }]);
      for (const name of ['read_file', 'list_files', 'write_file', 'edit_file'])
        assert.deepEqual(
          await reachedBy(toolOf(tools, name), argumentsFor(name, path), context),
          expected(false),
          `${name} ${path}`,
        );
      for (const name of ['glob', 'grep'])
        assert.deepEqual(
          await reachedBy(toolOf(tools, name), argumentsFor(name, path), context),
          expected(true),
          `${name} ${path}`,
        );
    }
});

/** Arguments of a call that names a path. */
function argumentsFor(name: string, path: string): unknown {
  switch (name) {
    case 'write_file':
      return { path, content: 'new' };
    case 'edit_file':
      return { path, digest: digest('kept'), edits: [{ old: 'kept', new: 'new' }] };
    case 'apply_patch':
      return {
        patch: `--- a/${path}\n+++ b/${path}\n@@\n-kept\n\\ No newline at end of file\n+new\n`,
        digests: [{ path, digest: digest('kept') }],
      };
    case 'glob':
      return { path, pattern: '*' };
    case 'grep':
      return { path, pattern: 'kept' };
    default:
      return { path };
  }
}

void test('a patch leads to each of its files', async () => {
  using place = makeFolder();
  const tool = toolOf(files({ root: place.root, write: true }), 'apply_patch');
  const patch = ['sec/a', 'src/a'].map((path) => `--- a/${path}\n+++ b/${path}\n@@\n-x\n+y\n`).join('');
  assert.deepEqual(await reachedBy(tool, { patch }, contextOf()), [
    { path: 'secrets/a', tree: false },
    { path: 'src/a', tree: false },
  ]);
  assert.deepEqual(await reachedBy(tool, { patch: 'none' }, contextOf()), []);
});

void describe('what is opened is what was ruled on', () => {
  const turned: readonly [string, string][] = [
    ['read_file', 'way/a'],
    ['write_file', 'way/new'],
    ['write_file', 'way/made/new'],
    ['edit_file', 'way/a'],
    ['apply_patch', 'way/a'],
    ['list_files', 'way'],
    ['glob', 'way'],
    ['grep', 'way'],
    ['grep', 'way/a'],
  ];
  for (const [name, path] of turned)
    void test(`${name} ${path} is refused where a link was turned meanwhile`, async () => {
      using place = makeFolder();
      const at = (...names: string[]): string => join(place.root, ...names);
      symlinkSync('src', at('way'));
      const tool = toolOf(files({ root: place.root, write: true }), name);
      const args = argumentsFor(name, path);
      const reached = await reachedBy(tool, args, contextOf());
      const context = { ...contextOf(), reached };
      const before = await tool.run(args, context);
      assert.doesNotMatch(JSON.stringify(before), /leads_elsewhere/);
      rmSync(at('way'));
      symlinkSync('secrets', at('way'));
      const said = JSON.stringify(await tool.run(args, context));
      assert.match(said, /^\{"content":"leads_elsewhere: /);
      assert.doesNotMatch(said, /kept/);
      assert.deepEqual(
        [readFileSync(at('secrets/a'), 'utf8'), readdirSync(at('secrets')).sort()],
        ['kept', ['a', 'deep']],
      );
    });

  void test('in what is mounted as in a folder', async () => {
    const tools = files({ mounts: true, write: true });
    for (const [name, path] of turned) {
      const world = await makeMounted({ ...FILES, way: { link: 'src' } });
      const tool = toolOf(tools, name);
      const args = argumentsFor(name, path);
      const reached = await reachedBy(tool, args, world.context());
      await world.push('site', { ...FILES, way: { link: 'secrets' } });
      const said = JSON.stringify(await tool.run(args, { ...world.context(), reached }));
      assert.match(said, /^\{"content":"leads_elsewhere: /, `${name} ${path}`);
      assert.deepEqual(await world.texts(), { ...FILES, way: '-> secrets' });
    }
  });

  void test('what nobody could tell reaches nothing', async () => {
    using place = makeFolder();
    const tool = toolOf(files({ root: place.root }), 'read_file');
    const said = await tool.run({ path: 'src/a' }, { ...contextOf(), reached: [] });
    assert.match(JSON.stringify(said), /leads_elsewhere/);
  });

  void test('a folder that a walk is about to enter is not swapped for a link on the way to it', async () => {
    using place = makeFolder();
    const at = (...names: string[]): string => join(place.root, ...names);
    for (const reached of [undefined, [{ path: 'src', tree: true }]]) {
      const space = heldTo(folderSpace(openRoot({ root: place.root })), reached);
      await using start = await space.open('src', 'directory');
      const { entries } = await start.entries();
      const deep = entries.find(({ name }) => name === 'deep');
      assert.ok(deep !== undefined);
      renameSync(at('src'), at('before'));
      symlinkSync('secrets', at('src'));
      await assert.rejects(space.openFound(deep.at, 'directory'), { code: 'changed' });
      await assert.rejects(space.openFound(join(deep.at, 'b'), 'file'), { code: 'changed' });
      rmSync(at('src'));
      renameSync(at('before'), at('src'));
    }
  });

  void test('a new file is not made where its folder was swapped for a link', async () => {
    using place = makeFolder();
    const root = openRoot({ root: place.root });
    let looks = 0;
    const swapping = {
      ...root,
      // It is looked at for each name on the way, and last for the whole.
      get hidden(): readonly string[] {
        looks += 1;
        if (looks === 4) {
          renameSync(join(place.root, 'src'), join(place.root, 'before'));
          symlinkSync('secrets', join(place.root, 'src'));
        }
        return [];
      },
    };
    const space = heldTo(folderSpace(swapping), [{ path: 'src/deep/new', tree: false }]);
    const wish = { path: 'src/deep/new', digest: undefined, change: () => Buffer.from('x'), isDone: () => false };
    const asker = { key: 'k', attempt: 1, signal: new AbortController().signal };
    await assert.rejects(space.change([wish], asker), { code: 'changed' });
    assert.ok(looks >= 4);
    assert.deepEqual(readdirSync(join(place.root, 'secrets/deep')), ['b']);
  });
});
