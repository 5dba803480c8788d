/** Workspaces by the command, as a person uses them. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EXIT } from '../src/cli/exit.ts';
import type { Place } from './process.ts';
import { createPlace } from './process.ts';

let place: Place;
const at = (...names: string[]): string => join(place.directory, ...names);
const put = (path: string, text: string): void => {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), text);
};
const get = (path: string): string => readFileSync(at(path), 'utf8');
const ok = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await place.run(args);
  assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
};
const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await ok(...args, '--json')) as T;
const refused = async (...args: string[]): Promise<string> => {
  const { code, stderr } = await place.run(args);
  assert.equal(code, 1, stderr);
  return stderr;
};

before(() => {
  place = createPlace();
  put('site/index.html', 'hello\n');
  put('site/src/deep/a.ts', 'export {};\n');
  put('site/run.sh', 'echo\n');
  chmodSync(at('site/run.sh'), 0o755);
  symlinkSync('index.html', at('site/link'));
  symlinkSync('/etc/passwd', at('site/out'));
  put('site/node_modules/x/index.js', 'x');
  put('site/.git/config', 'x');
  put('site/.env', 'KEY=x');
  put('site/.env.example', 'KEY=');
  put('site/build/x.o', 'x');
  put('site/keep.log', 'x');
  put('site/other.log', 'x');
  put('site/.perdureignore', '# what is made\n*.log\n!keep.log\nbuild/\n');
});
after(async () => place.leave());

type Pushed = {
  workspace: { name: string; revision: number; files: number; tree: string };
  sent: number;
  changed: boolean;
};

test('a folder is pushed, and comes back elsewhere as it was', async () => {
  const first = await json<Pushed>('workspace', 'push', 'site');
  assert.deepEqual([first.workspace.name, first.workspace.revision, first.changed], ['site', 1, true]);
  assert.equal(first.workspace.files, 8);
  const again = await json<Pushed>('workspace', 'push', 'site');
  assert.deepEqual([again.sent, again.changed, again.workspace.revision], [0, false, 1], 'nothing moves twice');
  const pulled = await json<{ leftOut: { path: string }[] }>('workspace', 'pull', 'site', 'copy');
  assert.deepEqual(
    pulled.leftOut.map(({ path }) => path),
    ['out'],
    'a link that leads out is not made',
  );
  assert.equal(get('copy/src/deep/a.ts'), 'export {};\n');
  assert.equal(readlinkSync(at('copy/link')), 'index.html');
  assert.equal((statSync(at('copy/run.sh')).mode & 0o100) !== 0, true);
  assert.equal((statSync(at('copy/index.html')).mode & 0o100) !== 0, false);
  for (const path of ['node_modules', '.git', 'build', 'other.log', 'out', '.env'])
    assert.equal(existsSync(at('copy', path)), false, path);
  assert.equal(existsSync(at('copy/keep.log')), true);
  assert.equal(await ok('workspace', 'diff', './site', 'site'), '');
  const rows = await ok('workspace', 'list');
  assert.match(rows, /^WORKSPACE .*\nsite +8 /);
});

test('only what was changed is sent, and what both sides changed is refused until somebody decides', async () => {
  put('site/index.html', 'hello, world\n');
  const pushed = await json<Pushed>('workspace', 'push', 'site');
  assert.deepEqual([pushed.sent, pushed.workspace.revision], [1, 2]);
  put('copy/src/deep/a.ts', 'mine\n');
  put('copy/mine.txt', 'mine\n');
  await ok('workspace', 'pull', 'site', 'copy');
  assert.deepEqual(
    [get('copy/index.html'), get('copy/src/deep/a.ts'), get('copy/mine.txt')],
    ['hello, world\n', 'mine\n', 'mine\n'],
  );
  put('site/src/deep/a.ts', 'theirs\n');
  rmSync(at('site/keep.log'));
  await ok('workspace', 'push', 'site');
  assert.match(
    await refused('workspace', 'pull', 'site', 'copy'),
    /changed here.*\n {2}"src\/deep\/a.ts"\nnothing was changed/s,
  );
  assert.equal(existsSync(at('copy/keep.log')), true, 'nothing at all was changed');
  assert.match(await refused('workspace', 'push', 'copy', 'site'), /"src\/deep\/a.ts"/);
  await ok('workspace', 'pull', 'site', 'copy', '--force');
  assert.deepEqual([get('copy/src/deep/a.ts'), get('copy/mine.txt')], ['theirs\n', 'mine\n']);
  assert.equal(existsSync(at('copy/keep.log')), false);
  await ok('workspace', 'push', 'copy', 'site');
  assert.match(await ok('workspace', 'diff', './site', 'site'), /^A mine.txt\n$/);
  await ok('workspace', 'pull', 'site', 'site');
  assert.equal(get('site/mine.txt'), 'mine\n');
  assert.equal(readlinkSync(at('site/out')), '/etc/passwd', 'what a pull leaves out, it does not take away');
});

test('a pull writes through no link, and over nothing that it did not look at', async () => {
  mkdirSync(at('victim'));
  mkdirSync(at('trap'));
  symlinkSync(at('victim'), at('trap/src'));
  assert.match(await refused('workspace', 'pull', 'site', 'trap'), /changed here|stand where|not as it was/);
  assert.match(await refused('workspace', 'pull', 'site', 'trap', '--force'), /stand where|not as it was/);
  assert.deepEqual([existsSync(at('victim/deep')), lstatSync(at('trap/src')).isSymbolicLink()], [false, true]);
  put('plain/index.html', 'mine\n');
  assert.match(await refused('workspace', 'pull', 'site', 'plain'), /"index.html"/);
  assert.equal(get('plain/index.html'), 'mine\n');
});

test('an agent works in a mounted folder; what it did is brought back, and undone', async () => {
  put('work/todo.txt', 'buy milk\n');
  const said = 'call mounted_write_file {"path": "work/done.txt", "content": "bought milk\\n"}';
  const config = `import { agent, defineConfig, files } from '${join(import.meta.dirname, '../src/index.ts')}';
export default defineConfig({ agents: [agent({ name: 'a', model: 'demo', policies: { mode: 'accept-edits' },
  tools: [files({ mounts: true, write: true, prefix: 'mounted_' })] })] });\n`;
  put('perdure.config.ts', config);
  const ran = await place.run(['run', said, '--mount', 'work', '--mount', 'site:/docs:ro']);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match(ran.stderr, /work is workspace work \(1 files, 1 sent\), mounted at \/work\n/);
  assert.match(ran.stderr, /what changed: perdure workspace pull work work\n/);
  const session = /session (ses_\w+)/.exec(ran.stderr)?.[1] ?? '';
  assert.equal(existsSync(at('work/done.txt')), false, 'the folder is not touched');
  await ok('workspace', 'pull', 'work', 'work');
  assert.equal(get('work/done.txt'), 'bought milk\n');
  const denied = await place.run([
    'run',
    'call mounted_write_file {"path": "docs/x", "content": "x"}',
    '--session',
    session,
  ]);
  assert.match(denied.stdout + denied.stderr, /not_writable/);
  assert.match(await ok('workspace', 'undo', `${session}.r1`), /work: 1 put back/);
  assert.match(await ok('workspace', 'undo', `${session}.r1`), /as it was before already/);
  assert.match(await ok('workspace', 'undo', `${session}.r2`), /r2 changed no workspace/);
  assert.match(await ok('workspace', 'diff', 'work', './work'), /^A done.txt\n$/);
  await ok('workspace', 'pull', 'work', 'work');
  assert.equal(existsSync(at('work/done.txt')), false);
});

test('a workspace is deleted, and what is misnamed is refused', async () => {
  await ok('workspace', 'delete', 'site');
  assert.match(await refused('workspace', 'pull', 'site', 'copy'), /there is no workspace site/);
  for (const args of [
    ['workspace', 'push', 'site', '../x'],
    ['workspace', 'push', 'site', '--exclude', '['],
    ['workspace', 'undo', 'r1'],
    ['run', 'hi', '--mount', 'site:/a/../b'],
    ['run', 'hi', '--mount', 'site:/CON'],
  ]) {
    const { code, stderr } = await place.run(args);
    assert.equal(code, EXIT.usage, `${args.join(' ')}: ${stderr}`);
  }
  assert.match(await refused('workspace', 'push', 'nowhere'), /does not exist/);
});
