import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import type { SandboxOptions, SandboxPath } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import type { Place } from '../../test/sandbox.ts';
import { exited, LIMITS_HERE, makeSandbox, NOBODY, whyNoSandbox } from '../../test/sandbox.ts';
import { LIMITS } from '../limits.ts';
import { findCovers } from './covers.ts';
import { openFolders } from './folders.ts';

const skip = await whyNoSandbox();
const asRoot = process.getuid?.() === 0;
const KEPT = 'kept-mark-4481';
/** As a rule on `secrets/**` and on all files named `.env` reads paths. */
const denies = ({ below }: SandboxPath): boolean => /(?:^|\/)(?:secrets(?:\/|$)|\.env$)/.test(below);

const FILES = ['secrets/a', 'src/deep/secrets/b', 'src/deep/secrets/more/c', 'src/deep/.env', '.env'];

function furnished(): Place {
  const place = makeSandbox();
  for (const path of FILES) write(place, path, KEPT);
  write(place, 'src/open.txt', 'open');
  write(place, 'src/deep/open.txt', 'open');
  own(place);
  return place;
}
function write({ workspace }: Place, path: string, text: string): void {
  mkdirSync(dirname(join(workspace, path)), { recursive: true });
  writeFileSync(join(workspace, path), text);
}
function own({ workspace }: Place): void {
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, workspace]);
}
const assertIntact = ({ workspace }: Place): void => {
  for (const path of FILES) assert.equal(readFileSync(join(workspace, path), 'utf8'), KEPT, path);
  assert.deepEqual(readdirSync(join(workspace, 'src/deep/secrets')).toSorted(), ['b', 'more']);
};

/** Whatever it gets, it says. */
const WALKS = [
  'grep -r kept .',
  'grep -R kept /workspace',
  'tar cf - . | cat',
  'tar cf - -C sec* .',
  'cp -rT . /tmp/c; cat /tmp/c/*/* /tmp/c/.e* /tmp/c/*/*/*/*',
  'find . -type f -exec cat {} +',
  'cat */* .e* src/*/.e* src/*/*/*',
  'shopt -s globstar dotglob; cat **',
  'd=secr; cat "${d}ets/a"',
  'sort -o/tmp/x secrets/*; cat /tmp/x',
  'ln -s secrets s; cat s/a; ln -s src/deep t; cat t/.env t/secrets/*',
  'ln secrets/a h; ln .env i; cat h i',
  'mv secrets s; mv .env e; cat s/* e',
  'mv src s; cat s/deep/secrets/b; mv src/deep d; cat d/.env d/secrets/*',
  'mv -T --exchange src src/deep 2>/dev/null; cat src/.env; rm -rf src; cat src/deep/.env',
  'rm -rf secrets .env; cat secrets/a .env',
  'umount secrets; umount -l .env; cat secrets/a .env',
  'mount --bind . /tmp; cat /tmp/secrets/a',
  'unshare -rm umount secrets; cat secrets/a',
  'cat /proc/self/root/workspace/secrets/a /proc/self/cwd/secrets/a /proc/1/cwd/secrets/a',
  'for d in /proc/*/fd/* /proc/*/cwd; do cat "$d/secrets/a" "$d/.env"; done',
  'cd src/deep/secrets && cat b ../.env ../secrets/b',
  'chmod -R 777 . ; cat .env secrets/a',
  'echo x > .env; echo x > secrets/new; truncate -s0 src/deep/.env; touch secrets/b',
  'perl -e \'rename("src","s"); open(F,"<","s/deep/.env"); print <F>\'',
];

void describe('what is denied of the folders of a command', { skip }, () => {
  void test('is neither read nor changed nor moved by it, nor by the one that follows', async () => {
    using place = furnished();
    for (const script of WALKS) {
      const { stdout, stderr } = await place.run(`${script}; true`, { denies });
      assert.doesNotMatch(stdout + stderr, /kept-mark/, script);
      assertIntact(place);
    }
  });

  void test('is covered at its place: an empty folder, a file that cannot be read; all else is as it was', async () => {
    using place = furnished();
    const { stdout, end } = await place.run(
      'ls -A secrets src/deep; cat src/open.txt; stat -c %s .env; echo new > src/deep/new; rm src/open.txt; test -r .env',
      { denies },
    );
    assert.equal(stdout, 'secrets:\n\nsrc/deep:\n.env\nopen.txt\nsecrets\nopen0\n');
    assert.deepEqual(end, exited(1));
    const made = join(place.workspace, 'src/deep/new');
    assert.deepEqual([readFileSync(made, 'utf8'), statSync(made).mode & 0o777], ['new\n', 0o644]);
    assert.equal(existsSync(join(place.workspace, 'src/open.txt')), false);
    assertIntact(place);
    const after = await place.run('cat .env secrets/a');
    assert.equal(after.stdout, KEPT + KEPT);
  });

  void test('what covers it cannot be changed either', async () => {
    using place = furnished();
    const { stdout } = await place.run(
      'chmod 600 .env || echo 1; chmod 700 secrets || echo 2; touch secrets/n || echo 3',
      {
        denies,
      },
    );
    assert.equal(stdout, '1\n2\n3\n');
  });

  void test('a link with a name that is denied hides nothing of what it leads to', async () => {
    using place = furnished();
    symlinkSync('open.txt', join(place.workspace, 'src/.env'));
    symlinkSync('nowhere', join(place.workspace, 'src/secrets'));
    const { stdout } = await place.run('cat src/open.txt', { denies });
    assert.equal(stdout, 'open');
  });

  void test('what a command makes itself is its own, also under a name that is denied', async () => {
    using place = furnished();
    const { stdout } = await place.run('mkdir mine; echo mine > mine/.env; mv mine yours; cat yours/.env', { denies });
    assert.equal(stdout, 'mine\n');
    // It was there when the next one began.
    assert.equal((await place.run('cat yours/.env; mv yours theirs; ls', { denies })).stdout, 'secrets\nsrc\nyours\n');
  });

  void test('is covered whatever its name, and that of the folders above, is made of', async () => {
    using place = makeSandbox();
    const names = ['x y', 'a\nb', 'a\\040b', '-rf', "'q", '$(touch x)', '`x`', 'ü', '"', ']', 'a]=1', '*'];
    for (const name of names) write(place, `${name}/${name}/.env`, KEPT);
    const odd = Buffer.concat([Buffer.from(join(place.workspace, 'd')), Buffer.from([0xff, 0xfe])]);
    mkdirSync(odd);
    writeFileSync(Buffer.concat([odd, Buffer.from('/.env')]), KEPT);
    own(place);
    const { stdout, end } = await place.run('grep -ra kept-mark . 2>/dev/null; find . -name .env -printf x | wc -c', {
      denies,
    });
    assert.deepEqual(
      [stdout.trim().split('\n').at(-1), stdout.includes(KEPT), end],
      [String(names.length + 1), false, exited(0)],
    );
  });

  void test('is covered in each of its folders, as rules name what lies there', async () => {
    using place = furnished();
    const seen: SandboxPath[] = [];
    const second = join(place.base, 'second');
    mkdirSync(second);
    writeFileSync(join(second, 'a'), KEPT);
    const folders = [
      { path: place.workspace, at: '/workspace', write: true },
      { path: second, at: '/opt/second', write: false, named: 'site/x' },
    ];
    const all: SandboxOptions['denies'] = (path) => {
      seen.push(path);
      return denies(path) || path.below === 'site/x/a';
    };
    const { stdout, stderr } = await place.run('cat /opt/second/a secrets/a', { folders, denies: all });
    assert.doesNotMatch(stdout + stderr, /kept-mark/);
    assert.deepEqual(
      seen.find(({ below }) => below === 'site/x/a'),
      { below: 'site/x/a', here: join(second, 'a'), there: '/opt/second/a' },
    );
    assert.deepEqual(
      seen.find(({ below }) => below === 'src/deep'),
      { below: 'src/deep', here: join(place.workspace, 'src/deep'), there: '/workspace/src/deep' },
    );
    // Neither what is covered is looked into, nor where a link leads.
    assert.ok(!seen.some(({ below }) => below.startsWith('secrets/')));
  });

  void test('a folder that nobody may look into is covered, or what is in it', async () => {
    using place = makeSandbox();
    write(place, 'closed/.env', KEPT);
    own(place);
    execFileSync('chmod', ['000', join(place.workspace, 'closed')]);
    const { stdout, stderr, end } = await place.run('chmod 700 closed; cat closed/.env; true', { denies });
    assert.doesNotMatch(stdout + stderr, /kept-mark/);
    assert.deepEqual(end, exited(0));
    execFileSync('chmod', ['700', join(place.workspace, 'closed')]);
  });

  void test('what is closed to whoever runs commands keeps none from beginning', { skip: !asRoot }, async () => {
    using place = furnished();
    write(place, 'theirs/deep/.env', KEPT);
    const theirs = join(place.workspace, 'theirs');
    execFileSync('chown', ['-R', '0:0', theirs]);
    execFileSync('chmod', ['700', theirs]);
    const { stdout, stderr, end } = await place.run('cat theirs/deep/.env .env secrets/a; mv src s; test -d src', {
      denies,
    });
    assert.doesNotMatch(stdout + stderr, /kept-mark/);
    assert.deepEqual(end, exited(0));
    assertIntact(place);
  });

  void test('a command is ended with all that it started, as any other', async () => {
    using place = furnished();
    const script = 'sleep 61.25 & setsid sleep 61.25 & echo begun; sleep 61.25';
    const limits = { ...LIMITS_HERE, timeoutMs: 300 };
    const { stdout, end } = await place.run(script, { denies, limits });
    assert.deepEqual([stdout, end], ['begun\n', { type: 'killed', reason: 'timeout' }]);
    const left = readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'latin1') === 'sleep\u000061.25\0';
      } catch {
        return false;
      }
    });
    assert.deepEqual(left, []);
  });

  void test('where nothing is denied nothing is covered, and nothing is looked at where no rule is on paths', async () => {
    using place = furnished();
    const mounts = 'grep -c " /workspace" /proc/self/mountinfo';
    const { stdout } = await place.run(mounts, { denies: () => false });
    assert.equal(stdout, '1\n');
    assert.equal((await place.run(mounts)).stdout, '1\n');
    assert.equal((await place.run(mounts, { denies: ({ below }) => below === '.env' })).stdout, '2\n');
  });

  void test('where it is swapped for a link while it is covered, no command begins, and nothing is made anywhere', async () => {
    for (const target of ['outside', 'nothing', 'outside/there']) {
      using place = furnished();
      mkdirSync(join(place.outside, 'there/deep/secrets'), { recursive: true });
      writeFileSync(join(place.outside, 'there/deep/.env'), '');
      const src = join(place.workspace, 'src');
      const swapping: SandboxOptions['denies'] = (path) => {
        const found = denies(path);
        if (path.below === 'src/deep/.env') {
          renameSync(src, join(place.workspace, 'before'));
          symlinkSync(join(place.base, target), src);
        }
        return found;
      };
      const before = readdirSync(place.outside, { recursive: true }).map(String).sort();
      await assert.rejects(
        place.run('cat before/deep/.env', { denies: swapping }),
        (error) => error instanceof SandboxError && error.code === 'not_started' && !error.message.includes(place.base),
      );
      assert.deepEqual(readdirSync(place.outside, { recursive: true }).map(String).sort(), before);
      assert.equal(existsSync(join(place.base, 'nothing')), false);
      rmSync(src);
    }
  });

  void test('where there is too much to look at, or to cover, no command begins, and what to do is said', async () => {
    using place = furnished();
    const folders = openFolders([{ path: place.workspace, at: '/workspace', write: false }], []);
    const most = { ...LIMITS, coveredEntries: 3 };
    await assert.rejects(findCovers(folders, denies, most), { code: 'invalid_folder', message: /more than 3 files/ });
    for (const folder of folders) folder[Symbol.dispose]();
    for (let n = 0; n <= LIMITS.covers; n += 1) write(place, `many/${n}.env`, '');
    const many: SandboxOptions['denies'] = ({ below }) => below.endsWith('.env');
    await assert.rejects(place.run('true', { denies: many }), {
      code: 'invalid_folder',
      message: /more than 500 places covered.*deny the folder that holds them/,
    });
    const whole: SandboxOptions['denies'] = ({ below }) => below === 'many';
    assert.deepEqual((await place.run('true', { denies: whole })).end, exited(0));
  });
});
