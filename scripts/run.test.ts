import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '..');
const binary = JSON.stringify(resolve(root, 'packages/perdure/bin/node-binary.js'));

/** A parent that runs `code` on the pinned Node and prints `ready` once the child is up. */
function start(code: string): ChildProcess {
  const child = `${code}; process.stdout.write('ready');`;
  const parent = `import { findNode, runNode } from ${binary}; runNode(findNode(import.meta.url) ?? process.execPath, ['-e', ${JSON.stringify(child)}]);`;
  return spawn(process.execPath, ['--input-type=module', '-e', parent], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('the pinned Node is 24', () => {
  const { stdout } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `import { findNode } from ${binary}; console.log(findNode(import.meta.url));`],
    { cwd: root, encoding: 'utf8' },
  );
  assert.match(spawnSync(stdout.trim(), ['--version'], { encoding: 'utf8' }).stdout, /^v24\./);
});

test('the exit code of the child is the exit code of the parent', async () => {
  const [code, signal] = await once(start('process.exit(7)'), 'exit');
  assert.deepEqual([code, signal], [7, null]);
});

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${name} reaches the child, which may end in its own way`, async () => {
    const parent = start(`process.on('${name}', () => process.exit(9)); setInterval(() => {}, 1000)`);
    await once(parent.stdout!, 'data');
    parent.kill(name);
    assert.deepEqual(await once(parent, 'exit'), [9, null]);
  });
}

test('a child that dies of a signal makes the parent die of the same', async () => {
  const [code, signal] = await once(start("process.kill(process.pid, 'SIGKILL')"), 'exit');
  assert.deepEqual([code, signal], [null, 'SIGKILL']);
});

test('an unknown script is refused with the list of scripts', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/run.mjs', 'nonsense'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /unknown script 'nonsense'; there are: start,/);
});
