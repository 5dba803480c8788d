/** The tools that ship with the package, in sessions as agents have them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { agent, files, todo } from 'perdure';
import { createTestRuntime } from 'perdure/testing';
import type { ScriptedCall } from 'perdure/testing';

const folder = mkdtempSync(join(tmpdir(), 'perdure-tools-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const resultIn = ({ items }: ScriptedCall): string => {
  const last = items.at(-1);
  return last?.kind === 'result' ? last.content : '';
};
const digestIn = (call: ScriptedCall): string => /\[digest ([\w-]+)\]/.exec(resultIn(call))?.[1] ?? '';

const readThenEdit = [
  { calls: [{ name: 'read_file', arguments: { path: 'notes.txt' } }] },
  (call: ScriptedCall) => {
    const edits = [{ old: 'old', new: 'new' }];
    return { calls: [{ name: 'edit_file', arguments: { path: 'notes.txt', digest: digestIn(call), edits } }] };
  },
  { text: 'edited' },
];

test('an edit waits for a person, who approves exactly this change of exactly this text', async () => {
  const notes = join(folder, 'notes.txt');
  writeFileSync(notes, 'old words');
  const editor = agent({ name: 'editor', model: 'any', tools: [files({ root: folder, write: true })] });
  const { rt, model } = await createTestRuntime({ agents: [editor], script: readThenEdit });
  const session = await rt.open('editor');
  const run = await session.send('go');
  const [wait] = (await run.result()).waits ?? [];
  assert.deepEqual([wait?.kind, wait?.call?.name], ['approval', 'edit_file']);
  assert.equal(readFileSync(notes, 'utf8'), 'old words');
  await session.resolve(wait?.id ?? '', { decision: 'approve', digest: wait?.digest ?? '' });
  assert.equal((await run.result()).text, 'edited');
  assert.equal(readFileSync(notes, 'utf8'), 'new words');
  model.verify();
  await rt.close();
});

test('under accept-edits an edit passes, and what a person changed meanwhile is not overwritten', async () => {
  const notes = join(folder, 'notes.txt');
  writeFileSync(notes, 'old words');
  const tools = [files({ root: folder, write: true })];
  const editor = agent({ name: 'editor', model: 'any', tools, policies: { mode: 'accept-edits' } });
  const { rt, model } = await createTestRuntime({ agents: [editor], script: readThenEdit });
  const session = await rt.open('editor');
  assert.equal((await (await session.send('go')).result()).text, 'edited');
  assert.equal(readFileSync(notes, 'utf8'), 'new words');
  model.expect(
    { calls: [{ name: 'read_file', arguments: { path: 'notes.txt' } }] },
    (call) => {
      writeFileSync(notes, 'a person wrote this');
      const edits = [{ old: 'new', new: 'newer' }];
      return { calls: [{ name: 'edit_file', arguments: { path: 'notes.txt', digest: digestIn(call), edits } }] };
    },
    (call) => ({ text: resultIn(call).split(':')[0] ?? '' }),
  );
  assert.equal((await (await session.send('again')).result()).text, 'stale');
  assert.equal(readFileSync(notes, 'utf8'), 'a person wrote this');
  model.verify();
  await rt.close();
});

test('a list that was written down is read in later turns, after the process is another', async () => {
  const planner = agent({ name: 'planner', model: 'any', tools: [todo()] });
  const options = { agents: [planner], data: join(folder, 'data') };
  const items = [{ text: 'water the plants', status: 'in_progress' }];
  const script = [{ calls: [{ name: 'todo', arguments: { items } }] }, { text: 'noted' }];
  const first = await createTestRuntime({ ...options, script });
  const session = await first.rt.open('planner', { key: 'k' });
  await (await session.send('plan')).result();
  await first.rt.close();
  const second = await createTestRuntime({ ...options, script: [{ text: 'on it' }] });
  await (await (await second.rt.open('planner', { key: 'k' })).send('go on')).result();
  assert.match(second.model.calls[0]?.request.rendered ?? '', /\[>\] water the plants\\n1 of 1 left/);
  await second.rt.close();
});
