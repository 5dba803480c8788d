import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Started } from '../process.ts';
import { createPlace } from '../process.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
const place = createPlace();
after(async () => place.leave());

describe('without a terminal', () => {
  let server: Started;
  before(async () => {
    server = place.start(['up', '--port', '0']);
    await server.printed(/Ctrl-C stops it/);
  });
  after(async () => {
    server.kill('SIGTERM');
    await server.ended;
  });
  const chat = async (input: string, args: readonly string[] = []) => place.run(['chat', ...args], {}, input);

  test('each line is a message and is answered plainly; a backslash goes on in the next line', async () => {
    const { code, stdout, stderr } = await chat('What is 2 + 3?\n\nsay one\\\nsay two\n//path\nWhat is 1 + 1?');
    assert.deepEqual([code, stdout.split('\n').slice(0, 3)], [0, ['2 + 3 = 5', 'one', 'two']], stderr);
    assert.match(stdout, /1 \+ 1 = 2\n$/);
    assert.ok(!stdout.includes('> '));
  });

  test('a session is named by its key and goes on there; commands are commands', async () => {
    assert.equal((await chat('say first', ['--session', 'k'])).code, 0);
    const { code, stdout } = await chat('/status\n/cost\n/quit\nsay never', ['--session', 'k']);
    assert.equal(code, 0);
    assert.match(stdout, /session +ses_\w{26} \(idle\)\n[\s\S]*tokens in/);
    assert.ok(!stdout.includes('never'));
  });

  test('what does not complete ends it with the code of run', async () => {
    const [failed, person, unknown, agent] = await Promise.all([
      chat('fail\nsay never'),
      chat('call ask {"question": "Which?"}\nblue'),
      chat('/nothing'),
      chat('hi', ['--agent', 'nobody']),
    ]);
    assert.deepEqual([failed.code, person.code, unknown.code, agent.code], [1, 7, 5, 3]);
    assert.ok(!failed.stdout.includes('never'));
    assert.match(person.stderr, /waits answer ses_/);
  });

  test('a signal ends it: while a run works as that of run, between two messages as a shell counts it', async () => {
    const command = ['--disable-warning=ExperimentalWarning', MAIN, 'chat'];
    const start = (first: string) => {
      const env = { PATH: process.env['PATH'] ?? '', HOME: place.directory, XDG_CONFIG_HOME: place.directory };
      const child = spawn(process.execPath, command, { cwd: place.directory, env, stdio: 'pipe' });
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      child.stdin.write(first);
      const saw = async (pattern: RegExp): Promise<void> =>
        new Promise((resolve) => {
          let text = '';
          for (const stream of [child.stdout, child.stderr])
            stream.on('data', (piece: Buffer) => {
              text += piece.toString();
              if (pattern.test(text)) resolve();
            });
        });
      return { child, ended, saw };
    };
    const [idle, busy] = [start('say done\n'), start('call sleep {"seconds": 3600}\n')];
    await Promise.all([idle.saw(/done/), busy.saw(/waits for timer/)]);
    idle.child.kill('SIGINT');
    busy.child.kill('SIGINT');
    assert.deepEqual([await idle.ended, await busy.ended], [130, 6]);
  });

  test('perdure alone shows what there is', async () => {
    const { code, stdout } = await place.run([]);
    assert.equal(code, 0);
    assert.match(stdout, /chat +Talks with an agent/);
  });
});

test('the command itself, at a real terminal', async (context) => {
  if (process.platform !== 'linux' || spawnSync('script', ['--version']).status !== 0) {
    const why = 'there is no script of util-linux here to make a terminal with';
    process.stderr.write(`skipped: ${why}\n`);
    return context.skip(why);
  }
  writeFileSync(join(place.directory, 'notes.md'), 'remember the milk');
  const command = `'${process.execPath}' --disable-warning=ExperimentalWarning '${MAIN}'`;
  const env = { PATH: process.env['PATH'] ?? '', HOME: place.directory, TERM: 'xterm', SHELL: '/bin/sh' };
  const child = spawn('script', ['-qefc', command, '/dev/null'], { cwd: place.directory, env, stdio: 'pipe' });
  let text = '';
  let look = (): void => undefined;
  child.stdout.on('data', (piece: Buffer) => {
    text += piece.toString();
    look();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const sees = async (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      look = () => {
        if (pattern.test(text)) resolve();
      };
      void ended.then(() => reject(new Error(`it ended before ${String(pattern)}: ${text}`)));
      look();
    });
  await sees(/\/help shows[\s\S]*> /);
  child.stdin.write('read notes.md\r');
  await sees(/remember the milk[\s\S]*> /);
  child.stdin.write('call sleep {"seconds": 3600}\r');
  await sees(/until \d{4}/);
  child.stdin.write('\x03');
  await sees(/the run ended cancelled/);
  child.stdin.write('\x04');
  assert.equal(await ended, 0);
  assert.match(text, /session ses_\w{26}/);
  assert.ok(text.includes('\x1b[?2004h') && text.includes('\x1b[?2004l'), 'pastes are marked, and not after the end');
  assert.match(readFileSync(join(place.directory, '.config/perdure/history'), 'utf8'), /^read notes\.md\n/);

  const again = spawn('script', ['-qefc', command, '/dev/null'], { cwd: place.directory, env, stdio: 'pipe' });
  text = '';
  again.stdout.on('data', (piece: Buffer) => {
    text += piece.toString();
    look();
  });
  const over = new Promise<number | null>((resolve) => again.on('close', resolve));
  await new Promise<void>((resolve) => {
    look = () => {
      if (/session ses_\w{26} with assistant[\s\S]*sleep[\s\S]*cancelled[\s\S]*> /.test(text)) resolve();
    };
    look();
  });
  again.stdin.write('\x03');
  again.stdin.write('\x03');
  assert.equal(await over, 0, 'it goes on in the last session');
});
