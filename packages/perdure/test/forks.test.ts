import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SessionDiff, SessionView } from '@perdure/contract';
import type { Place } from './process.ts';
import { createPlace } from './process.ts';

const CONFIG = `
import { agent, ask, defineConfig } from 'perdure';

export default defineConfig({ agents: [agent({ name: 'clerk', model: 'demo', tools: [ask()] })] });
`;

async function succeeds(place: Place, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await place.run(args);
  assert.equal(code, 0, stderr);
  return { stdout, stderr };
}
const json = async <T>(place: Place, args: readonly string[]): Promise<T> =>
  JSON.parse((await succeeds(place, [...args, '--json'])).stdout) as T;

/** A session with one run; its id. */
async function session(place: Place, message = 'What is 2 + 3?'): Promise<string> {
  const { stderr } = await succeeds(place, ['run', message]);
  return /session (ses_\w+)/.exec(stderr)?.[1] ?? assert.fail(stderr);
}

void describe('with a server', () => {
  const place = createPlace();
  writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
  before(async () => place.start(['up', '--port', '0']).printed(/Ctrl-C stops it/));
  after(async () => place.leave());

  void test('a session is forked, said something else, and set beside where it came from', async () => {
    const source = await session(place);
    const forked = await succeeds(place, ['sessions', 'fork', source, '--temperature', '0.5']);
    const fork = forked.stdout.trim();
    assert.match(forked.stderr, new RegExp(`begins as ${source} was at \\d+`));
    await succeeds(place, ['run', 'What is 2 + 4?', '--session', fork]);
    await succeeds(place, ['run', 'What is 2 + 3?', '--session', source]);
    const { session: view } = await json<{ session: SessionView }>(place, ['sessions', 'show', fork]);
    assert.deepEqual([view.forkedFrom?.session, view.config.temperature], [source, 0.5]);
    const told = await json<SessionDiff>(place, ['sessions', 'diff', source, fork]);
    assert.deepEqual([told.common, told.a.session, told.b.session], [view.forkedFrom?.seq, source, fork]);
    const turn = told.rows.find(({ kind }) => kind === 'turn');
    assert.deepEqual([turn?.same, turn?.a?.text?.includes('5'), turn?.b?.text?.includes('6')], [false, true, true]);
    const { stdout } = await succeeds(place, ['sessions', 'diff', source, fork]);
    assert.match(stdout, new RegExp(`a  ${source}  1 run  1 turn`));
    assert.match(stdout, /≠ turn r2t1\n    a {2}.*5.*\n    b {2}.*6/);
  });

  void test('a session goes out as a file and comes back as a fork; what was cut is refused; logs are verified', async () => {
    const source = await session(place);
    const file = join(place.directory, 'one.jsonl');
    const { stderr } = await succeeds(place, ['sessions', 'export', source, '--out', file]);
    assert.match(stderr, new RegExp(`session ${source}, \\d+ entries`));
    const [again, printed, whole, one] = await Promise.all([
      place.run(['sessions', 'export', source, '--out', file]),
      place.run(['sessions', 'export', source]),
      place.run(['sessions', 'verify']),
      place.run(['sessions', 'verify', source]),
    ]);
    assert.deepEqual([again.code, /is there already/.test(again.stderr)], [1, true]);
    const last = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';
    assert.match(last(printed.stdout), /"end":/);
    assert.deepEqual([whole.stdout, one.stdout], ['all logs are whole\n', `${source} is whole\n`]);
    const imported = await json<{ session: SessionView }>(place, ['sessions', 'import', file]);
    assert.equal(imported.session.forkedFrom?.session, source);
    writeFileSync(join(place.directory, 'cut.jsonl'), readFileSync(file).subarray(0, -20));
    const cut = await place.run(['sessions', 'import', 'cut.jsonl']);
    assert.deepEqual([cut.code, /cut\.jsonl: .*was cut/.test(cut.stderr)], [1, true]);
  });

  void test('a moved session goes on in another folder, and no more here', async () => {
    const source = await session(place);
    await succeeds(place, ['sessions', 'export', source, '--move', '--to', 'the attic', '--out', 'moved.jsonl']);
    const [refused, again] = await Promise.all([
      place.run(['run', 'more', '--session', source]),
      place.run(['sessions', 'import', 'moved.jsonl']),
    ]);
    assert.deepEqual([refused.code, /has moved to the attic/.test(refused.stderr)], [3, true]);
    assert.deepEqual([again.code, /is here already/.test(again.stderr)], [1, true]);
    const there = await succeeds(place, ['sessions', 'import', 'moved.jsonl', '--data', 'attic']);
    assert.equal(there.stdout.trim(), source);
    const on = await place.run(['run', 'What is 2 + 3?', '--session', source, '--data', 'attic', '--quiet']);
    assert.deepEqual([on.code, /5/.test(on.stdout)], [0, true]);
    assert.equal((await place.run(['sessions', 'export', source, '--to', 'x'])).code, 5);
  });

  void test('a place inside an append is refused with the nearest ones, a wrong flag as usage', async () => {
    const source = await session(place);
    const inside = await place.run(['sessions', 'fork', source, '--at', '2']);
    assert.equal(inside.code, 1);
    assert.match(inside.stderr, /inside one append.*nearest/);
    const wrong = [
      ['--at', 'x'],
      ['--effort', 'huge'],
      ['--temperature', 'hot'],
      ['--config', 'perdure.config.ts'],
    ];
    const ended = await Promise.all(wrong.map(async (flags) => place.run(['sessions', 'fork', source, ...flags])));
    assert.deepEqual(
      ended.map(({ code }) => code),
      [5, 5, 5, 5],
    );
  });
});

test('a folder that nobody serves is forked and compared, and nothing of it goes on', async (t) => {
  const place = createPlace();
  t.after(async () => place.leave());
  writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
  const none = await place.run(['sessions', 'diff', `ses_${'0'.repeat(26)}`, `ses_${'1'.repeat(26)}`]);
  assert.deepEqual([none.code, /there is no data in/.test(none.stderr)], [1, true]);
  const asked = await place.run(['run', 'call ask {"question": "Which?"}']);
  const source = /session (ses_\w+)/.exec(asked.stderr)?.[1] ?? assert.fail(asked.stderr);
  const { session: fork } = await json<{ session: SessionView }>(place, ['sessions', 'fork', source]);
  assert.equal(fork.status, 'idle');
  const told = await json<SessionDiff>(place, ['sessions', 'diff', source, fork.id]);
  assert.deepEqual([told.b.forked, told.rows], [['r1'], []]);
});

test('a session is sealed when its file can be written, and by its one name; what cannot be read is said', async (t) => {
  const place = createPlace();
  t.after(async () => place.leave());
  writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
  const asked = await place.run(['run', 'What is 2 + 3?']);
  const source = /session (ses_\w+)/.exec(asked.stderr)?.[1] ?? assert.fail(asked.stderr);
  const nowhere = await place.run(['sessions', 'export', source, '--move', '--out', 'none/one.jsonl']);
  assert.deepEqual([nowhere.code, /cannot be written/.test(nowhere.stderr)], [1, true]);
  const open = await json<{ sealed: boolean }>(place, ['sessions', 'export', source, '--out', 'open.jsonl']);
  assert.equal(open.sealed, false);
  const move = ['sessions', 'export', source, '--move'];
  await succeeds(place, [...move, '--to', 'b', '--out', 'one.jsonl']);
  const other = await place.run([...move, '--to', 'c', '--out', 'two.jsonl']);
  assert.deepEqual([other.code, /has moved to b before/.test(other.stderr)], [1, true]);
  await succeeds(place, [...move, '--out', 'two.jsonl']);
  const twice = await Promise.all(
    [1, 2].map(async () => place.run(['sessions', 'export', source, '--out', 'same.jsonl'])),
  );
  assert.deepEqual(
    twice.map(({ code }) => code).toSorted((a, b) => Number(a) - Number(b)),
    [0, 1],
    'one of two gets the name',
  );
  assert.match(twice.map(({ stderr }) => stderr).join(''), /is there already/);
  await succeeds(place, ['sessions', 'import', 'same.jsonl', '--data', 'same']);
  assert.deepEqual(
    readdirSync(place.directory).filter((name) => name.endsWith('.partial')),
    [],
  );
  const folder = await place.run(['sessions', 'import', '.']);
  assert.deepEqual([folder.code, /there is no file/.test(folder.stderr)], [1, true]);
});
