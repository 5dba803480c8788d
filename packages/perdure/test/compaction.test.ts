import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { SessionView } from '@perdure/contract';
import { createClient } from '@perdure/contract';
import { createPlace } from './process.ts';

const LONG = 'on and on and '.repeat(300).trim();
const place = createPlace();
let url = '';

before(async () => {
  const text = await place.start(['up', '--port', '0']).printed(/Ctrl-C stops it/);
  url = /runs at (\S+)/.exec(text)?.[1] ?? '';
});
after(async () => place.leave());

async function succeeds(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await place.run(args);
  assert.equal(code, 0, stderr);
  return { stdout, stderr };
}

async function talked(message: string): Promise<string> {
  const { stderr } = await succeeds('run', message);
  return /session (ses_\w+)/.exec(stderr)?.[1] ?? assert.fail(stderr);
}

/** What `sessions watch` shows, up to the end of a compaction. */
async function watched(session: string, pattern: RegExp): Promise<void> {
  const watching = place.start(['sessions', 'watch', session]);
  await watching.printed(pattern);
  watching.kill('SIGTERM');
  await watching.ended;
}

test('a session is compacted by the command: its model reads the summary from then on, people read all of it', async () => {
  const session = await talked(`say ${LONG}`);
  const { stdout, stderr } = await succeeds('sessions', 'compact', session);
  assert.equal(stdout, '');
  assert.match(stderr, new RegExp(`^${session} is summarised at its next boundary.*sessions watch ${session}\n$`));
  await watched(session, /the conversation so far is summarised/);
  assert.match((await succeeds('run', 'What is 2 + 3?', '--session', session)).stdout, /2 \+ 3 = 5/);
  const { request } = await createClient({ url }).call('turns.request', { session, run: 'r2', n: 1 });
  const sent = JSON.stringify(request);
  assert.deepEqual([sent.includes('This is a summary'), sent.includes(LONG)], [true, false]);
  const shown = await succeeds('sessions', 'show', session);
  assert.ok(shown.stdout.includes(`> say ${LONG}`));
});

test('with --json it prints the session and the seq of what was asked; a summary that is no shorter is not taken', async () => {
  const session = await talked('say short');
  const asked = JSON.parse((await succeeds('sessions', 'compact', session, '--json')).stdout) as {
    session: SessionView;
    seq: number;
  };
  assert.equal(asked.session.id, session);
  const { events } = await createClient({ url }).call('events.list', { session, after: asked.seq - 1, limit: 1 });
  assert.equal(events[0]?.kind, 'compaction.asked');
  await watched(session, /the conversation is not summarised \(no_gain\), and goes on as it is/);
});

test('what cannot be compacted is refused with its code, to people and as JSON', async () => {
  const client = createClient({ url });
  const { session: empty } = await client.call('sessions.create', { agent: 'assistant', submission: 'empty' });
  const closed = await talked('say short');
  await client.call('sessions.close', { session: closed });
  const [nothing, gone, unknown, nameless] = await Promise.all([
    place.run(['sessions', 'compact', empty.id]),
    place.run(['sessions', 'compact', closed]),
    place.run(['sessions', 'compact', 'ses_aaaaaaaaaaaaaaaaaaaaaaaaaa', '--json']),
    place.run(['sessions', 'compact']),
  ]);
  assert.deepEqual([nothing.code, gone.code, unknown.code, nameless.code], [1, 1, 1, 5]);
  assert.match(nothing.stderr, /there is nothing to compact yet \(invalid_state\)/);
  assert.match(gone.stderr, /\(session_closed\)/);
  assert.match(unknown.stderr, /\(not_found\)/);
  assert.match(nameless.stderr, /needs SESSION/);
  for (const { stdout } of [nothing, gone, unknown, nameless]) assert.equal(stdout, '');
});
