import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, test, type TestContext } from 'node:test';
import { Report } from './report.ts';

type Manner = { filtered?: boolean; mayIdle?: boolean };

async function report(t: TestContext, files: Record<string, string>, manner: Manner = {}): Promise<[number, string]> {
  const root = mkdtempSync(join(tmpdir(), 'perdure-report-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  let text = '';
  const subject = new Report({ root, all: manner.mayIdle === true, ...manner, write: (more) => (text += more) });
  const paths = Object.entries(files).map(([name, code]) => {
    writeFileSync(join(root, name), `import { test, describe } from 'node:test';\n${code}\n`);
    return join(root, name);
  });
  // The runner refuses to run inside itself unless the mark it leaves on its children is gone.
  const mark = process.env['NODE_TEST_CONTEXT'];
  delete process.env['NODE_TEST_CONTEXT'];
  t.after(() => (mark === undefined ? undefined : (process.env['NODE_TEST_CONTEXT'] = mark)));
  for await (const event of run({ files: paths, cwd: root })) subject.take(event);
  const code = subject.end();
  return [code, text];
}

const lastLine = (text: string): string | undefined => text.trimEnd().split('\n').at(-1);

test('the last line counts what passed, and skipped tests only when there are any', async (t) => {
  const [code, text] = await report(t, {
    'a.test.mjs': "test('one', () => {}); describe('s', () => test('two', () => {}));",
  });
  assert.deepEqual([code, lastLine(text)], [0, '2 passed, 0 failed']);
  const [, more] = await report(t, { 'a.test.mjs': "test('one', () => {}); test.skip('two'); test.todo('three');" });
  assert.equal(lastLine(more), '1 passed, 0 failed, 2 skipped');
});

test('a failure is shown in full, with its output, and counted once', async (t) => {
  const [code, text] = await report(t, {
    'a.test.mjs': "describe('s', () => test('one', () => { console.log('loud'); throw new Error('because'); }));",
  });
  assert.deepEqual([code, lastLine(text)], [1, '0 passed, 1 failed']);
  assert.match(text, /one\na\.test\.mjs:2\nError: because\n\s+at /);
  assert.match(text, /output of a\.test\.mjs\nloud/);
});

test('a file that cannot be loaded is a failure', async (t) => {
  const [code, text] = await report(t, {
    'a.test.mjs': "throw new Error('broken');",
    'b.test.mjs': "test('one', () => {});",
  });
  assert.deepEqual([code, lastLine(text)], [1, '1 passed, 1 failed']);
  assert.match(text, /broken/);
});

test('a file without a test is a failure, unless tests were chosen by name', async (t) => {
  const [code, text] = await report(t, { 'a.test.mjs': '' });
  assert.deepEqual([code, lastLine(text)], [1, '0 passed, 1 failed']);
  const [filtered, none] = await report(t, { 'a.test.mjs': '' }, { filtered: true });
  assert.deepEqual([filtered, lastLine(none)], [1, '0 passed, 0 failed']);
  assert.match(none, /no test ran/);
});

test('live tests say why they are skipped and what they cost, and none need run; others need', async (t) => {
  const files = {
    'a.test.mjs': `describe('s', () => {
      test('one', { skip: 'KEY not set' });
      test('two', (t) => t.diagnostic('seven tokens'));
    });`,
  };
  const [code, text] = await report(t, files, { mayIdle: true });
  assert.deepEqual([code, lastLine(text)], [0, '1 passed, 0 failed, 1 skipped']);
  assert.match(text, /- +one: skipped, KEY not set\n/);
  assert.match(text, /seven tokens\n/);
  const skipped = { 'b.test.mjs': "test('one', { skip: 'KEY not set' });" };
  assert.equal((await report(t, skipped, { mayIdle: true }))[0], 0);
  assert.equal((await report(t, skipped))[0], 1);
  assert.equal((await report(t, { 'c.test.mjs': '' }, { mayIdle: true, filtered: true }))[0], 1);
});
