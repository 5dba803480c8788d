import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { createPlace } from './process.ts';

const root = resolve(import.meta.dirname, '../../..');
const example = join(root, 'examples/first-agent');
const place = createPlace();
after(async () => place.leave());

test('the guide shows the example as it is', () => {
  const guide = readFileSync(join(root, 'docs/guides/first-agent.md'), 'utf8');
  for (const name of ['perdure.config.ts', 'program.ts'])
    assert.ok(guide.includes(`\`\`\`ts\n${readFileSync(join(example, name), 'utf8')}\`\`\``), name);
});

test('the example answers, and waits for leave before it refunds', async () => {
  cpSync(join(example, 'perdure.config.ts'), join(place.directory, 'perdure.config.ts'));
  const found = await place.run(['run', 'call find_order {"order": 7}', '--quiet']);
  assert.deepEqual([found.code, /teapot/.test(found.stdout)], [0, true], found.stderr);
  const asked = await place.run(['run', 'call refund {"order": 7, "cents": 500}']);
  assert.deepEqual(
    [
      asked.code,
      /approve refund \{"cents":500,"order":7\}|approve refund \{"order":7,"cents":500\}/.test(asked.stderr),
    ],
    [7, true],
    asked.stderr,
  );
});

test('the program of the guide runs from the clone', async () => {
  const here = createPlace(['--disable-warning=ExperimentalWarning', join(example, 'program.ts')]);
  try {
    const { code, stdout, stderr } = await here.run([join(here.directory, 'data')]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /wait\.opened\napprove refund .*\ncompleted refund: refunded 500 cents of order 7/);
  } finally {
    await here.leave();
  }
});
