/** A project as `perdure init` writes it, in the clone; from the package: see pack.test.ts. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { TOOLING } from '../src/project/template.ts';
import type { Place } from './process.ts';
import { createPlace } from './process.ts';

const root = resolve(import.meta.dirname, '../../..');
type Json = { [name: string]: unknown };
const manifestOf = (path: string): Json => JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Json;

test('a project is checked with the tools that this repository is checked with', () => {
  const { devDependencies } = manifestOf(root) as { devDependencies: Json };
  for (const [name, version] of Object.entries(TOOLING)) assert.equal(version, devDependencies[name], name);
});

describe('a new project', () => {
  let place: Place;
  let project: string;
  before(async () => {
    place = createPlace();
    const made = await place.run(['init', 'My Shop', '--json']);
    assert.equal(made.code, 0, made.stderr);
    project = join(place.directory, 'My Shop');
    const { directory, written, kept, next } = JSON.parse(made.stdout) as Json;
    assert.deepEqual(
      [directory, kept, next],
      [project, [], ["cd 'My Shop'", 'npm install', 'npm test', 'npm run dev']],
    );
    for (const path of written as string[]) assert.ok(existsSync(join(project, path)), path);
    // As an install in the clone would place them.
    symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'));
  });
  after(async () => place.leave());

  test('names exact versions, ours as it is', () => {
    const { name, dependencies } = manifestOf(project) as { name: string; dependencies: Json };
    const ours = manifestOf(join(root, 'packages/perdure')) as { version: string; dependencies: Json };
    assert.equal(name, 'my-shop');
    assert.deepEqual(dependencies, { perdure: ours.version, zod: ours.dependencies['zod'] });
  });

  test('passes its own test by npm test', async () => {
    const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
    const { stdout } = await promisify(execFile)('npm', ['test'], {
      cwd: project,
      env: { PATH: path, HOME: place.directory },
    });
    assert.match(stdout, /pass 1\n/);
    assert.match(stdout, /fail 0\n/);
  });

  test('answers at once, and asks before it pays out', async () => {
    const inside = createPlace(undefined, project);
    const found = await inside.run(['run', 'call find_order {"order": 7}', '--quiet']);
    assert.match(found.stdout, /teapot/, found.stderr);
    const asked = await inside.run(['run', 'call refund {"order": 7, "cents": 500}']);
    assert.deepEqual([asked.code, /approve refund/.test(asked.stderr)], [7, true], asked.stderr);
    const doctor = await inside.run(['doctor']);
    assert.match(
      doctor.stdout,
      /agents\/support +instructions\.md, agent\.ts, tools\/find_order\.ts, tools\/refund\.ts/,
    );
  });
});

describe('a folder that is there already', () => {
  const place = createPlace();
  after(async () => place.leave());
  const init = async (name: string) => place.run(['init', name]);
  const folder = (name: string, files: readonly string[]): string => {
    const path = join(place.directory, name);
    mkdirSync(path);
    for (const file of files) writeFileSync(join(path, file), `mine: ${file}`);
    return path;
  };

  test('is refused with what it holds, and left as it is', async () => {
    const path = folder('full', ['package.json', 'a.txt', 'b.txt', 'c.txt', 'd.txt']);
    const { code, stdout, stderr } = await init('full');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(
      stderr,
      /full is not empty \(a\.txt, b\.txt, c\.txt and 2 more\): name a new folder, or one that is empty/,
    );
    assert.deepEqual(readdirSync(path), ['a.txt', 'b.txt', 'c.txt', 'd.txt', 'package.json']);
    writeFileSync(join(place.directory, 'file'), '');
    assert.match((await init('file')).stderr, /file is no folder/);
  });

  test('is taken where nothing in it is in the way; a README and a .gitignore are kept', async () => {
    const path = folder('fresh', ['LICENSE', 'README.md', '.gitignore']);
    mkdirSync(join(path, '.git'));
    const { code, stdout, stderr } = await init('fresh');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Your \.gitignore is kept/);
    for (const file of ['LICENSE', 'README.md', '.gitignore'])
      assert.equal(readFileSync(join(path, file), 'utf8'), `mine: ${file}`);
    assert.ok(existsSync(join(path, 'agents/support/tools/refund.ts')));
    assert.equal((await init('fresh')).code, 1, 'a second time it is full');
  });
});
