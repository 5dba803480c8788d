/** Each example runs without a key and does what it says. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { system } from '@perdure/runtime';
import { createBubblewrap } from '@perdure/tools';
import type { ChatReply, SeenRequest } from '@perdure/testkit';
import { createChatEmulator } from '@perdure/testkit';
import { createPlace } from './process.ts';

const examples = resolve(import.meta.dirname, '../../../examples');
const placeOf = (name: string) =>
  createPlace(['--disable-warning=ExperimentalWarning', join(examples, name, 'program.ts')]);

test('the support desk refunds what was approved, not what was denied, and nothing twice', async () => {
  const place = placeOf('support-desk');
  try {
    const first = await place.run(['data']);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /12: approve refund .*2400.*\ncustomer 12: completed: .*paid 2400 cents/);
    assert.match(first.stdout, /13: deny refund .*990000.*\ncustomer 13: completed: .*denied/s);
    const again = await place.run(['data']);
    assert.equal(again.code, 0, again.stderr);
    assert.ok(!/approve|deny /.test(again.stdout), 'a letter counts once');
    assert.match(again.stdout, /customer 12: completed: .*paid 2400 cents/);
  } finally {
    await place.leave();
  }
});

test('research reads its folder, and its findings fit their schema', async () => {
  const place = placeOf('research');
  try {
    const { code, stdout, stderr } = await place.run([join(examples, 'research/papers'), 'data']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /grep: .*decay\.md.*half-life/);
    assert.match(stdout, /completed: \{"findings":\["grep/);
  } finally {
    await place.leave();
  }
});

test('the nightly job, started again while it sleeps and after it was killed, is one run', async () => {
  const place = placeOf('nightly');
  try {
    const args = ['2030-01-31', 'data'];
    const killed = place.start(args);
    // At whatever moment, once there is something to lose.
    while (!existsSync(join(place.directory, 'data/perdure.db-wal')))
      await new Promise((resolve) => setTimeout(resolve, 5));
    killed.kill('SIGKILL');
    await killed.ended;
    const first = await place.run(args);
    const second = await place.run(args);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /r1 completed: .*sent under [a-z2-7]{8}: 17 orders/);
    assert.equal(second.stdout, first.stdout);
  } finally {
    await place.leave();
  }
});

const noSandbox = await createBubblewrap({ timers: system.timers })
  .probe()
  .then(
    () => false as const,
    (error: unknown) => `NO SANDBOX HERE, so no repair is tried: ${String(error)}`,
  );

test(
  'the repair, killed after it has begun and started again, ends with tests that pass',
  { skip: noSandbox },
  async () => {
    const place = placeOf('repair');
    try {
      chmodSync(place.directory, 0o755);
      const killed = place.start(['it']);
      // At whatever moment, once there is something to lose.
      while (!existsSync(join(place.directory, 'it/data/perdure.db-wal')))
        await new Promise((resolve) => setTimeout(resolve, 5));
      killed.kill('SIGKILL');
      await killed.ended;
      const { code, stdout, stderr } = await place.run(['it']);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /approval: edit_file .*average\.mjs/);
      assert.match(stdout, /completed: shell: exit code 0\n.*# pass 1\n/s);
      assert.match(readFileSync(join(place.directory, 'it/work/average.mjs'), 'utf8'), /sum \/ numbers\.length;/);
    } finally {
      await place.leave();
    }
  },
);

/** What a model would ask for next, by the results that it has been given. */
function mended(results: readonly string[]): { text: string; call?: { name: string; arguments: object } } {
  const tests = { name: 'shell', arguments: { command: 'node --test' } };
  const [, read] = results;
  if (results.length === 0 || results.length === 3) return { text: 'I run the tests.', call: tests };
  if (read === undefined) return { text: '', call: { name: 'read_file', arguments: { path: 'average.mjs' } } };
  if (results.length > 3) return { text: `It is repaired: ${/# pass \d+/.exec(results.at(-1) ?? '')?.[0]}.` };
  const digest = /digest ([\w-]{16})/.exec(read)?.[1] ?? assert.fail(read);
  const edits = [{ old: '(numbers.length - 1)', new: 'numbers.length' }];
  return { text: '', call: { name: 'edit_file', arguments: { path: 'average.mjs', digest, edits } } };
}

test(
  'the repair with a key asks the model that is named at the endpoint that is set, killed half-way too',
  { skip: noSandbox },
  async () => {
    const place = placeOf('repair');
    const reached = Promise.withResolvers<void>();
    let asked = 0;
    const answer = ({ request }: SeenRequest): ChatReply => {
      asked += 1;
      if (asked === 3) reached.resolve();
      const results = (request?.messages ?? []).flatMap(({ role, content }) => (role === 'tool' ? [content] : []));
      const { text, call } = mended(results.filter((content) => typeof content === 'string'));
      return { text, ...(call === undefined ? {} : { calls: [{ id: `call_${results.length}`, ...call }] }) };
    };
    const endpoint = await createChatEmulator(answer, { key: 'a-real-key' });
    const env = { OPENAI_API_KEY: 'a-real-key', OPENAI_BASE_URL: endpoint.url, MODEL: 'openai-chat/gpt-5-mini' };
    try {
      chmodSync(place.directory, 0o755);
      const killed = place.start(['it'], env);
      await Promise.race([reached.promise, killed.ended]);
      killed.kill('SIGKILL');
      await killed.ended;
      const { code, stdout, stderr } = await place.run(['it'], env);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /completed: It is repaired: # pass 1\.\n/);
      assert.match(readFileSync(join(place.directory, 'it/work/average.mjs'), 'utf8'), /sum \/ numbers\.length;/);
      assert.ok(asked >= 5, `${asked} requests`);
    } finally {
      await place.leave();
      await endpoint.close();
    }
  },
);

test('the app serves the API below its own login', async () => {
  const place = placeOf('hono-app');
  try {
    const app = place.start(['data']);
    const url = /http\S+/.exec(await app.printed(/http\S+\n/))?.[0] ?? '';
    assert.equal((await fetch(`${url}/v1/sessions`)).status, 401);
    const headers = { cookie: 'login=yes', 'content-type': 'application/json' };
    const body = JSON.stringify({ user: 'u1', question: 'What is 2 + 3?' });
    const asked = await fetch(`${url}/ask`, { method: 'POST', headers, body });
    assert.equal(asked.status, 202);
    const { follow } = (await asked.json()) as { follow: string };
    const stream = await fetch(`${url}${follow}`, { headers: { ...headers, accept: 'text/event-stream' } });
    let text = '';
    const reader = (stream.body ?? assert.fail('no stream')).pipeThrough(new TextDecoderStream()).getReader();
    while (!text.includes('event: run.ended')) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
    }
    await reader.cancel();
    assert.match(text, /2 \+ 3 = 5/);
    app.kill('SIGTERM');
    assert.equal((await app.ended).code, 0);
  } finally {
    await place.leave();
  }
});
