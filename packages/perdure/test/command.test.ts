import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import type { Place, Started } from './process.ts';
import { createPlace } from './process.ts';

const CONFIG = `
import { agent, ask, defineConfig, sleep, tool } from 'perdure';
import { z } from 'zod';

const pay = tool({
  name: 'pay',
  description: 'Pays an amount.',
  input: z.object({ amount: z.number() }),
  approval: 'always',
  run: ({ amount }) => 'paid ' + amount + ' from ' + process.env.ACCOUNT,
});
export default defineConfig({
  agents: [
    agent({ name: 'payer', model: 'demo', tools: [pay, ask(), sleep()] }),
    agent({ name: 'hasty', model: 'demo', tools: [sleep()], limits: { turns: 1 } }),
  ],
});
`;
type Json = { [name: string]: unknown };
const lines = (text: string): Json[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);

async function serving(
  place: Place,
  args: readonly string[] = [],
  env = {},
): Promise<{ server: Started; url: string }> {
  const server = place.start(['up', '--port', '0', ...args], env);
  const text = await server.printed(/Ctrl-C stops it/);
  return { server, url: /runs at (\S+)/.exec(text)?.[1] ?? '' };
}

describe('with a server', () => {
  const place = createPlace();
  let server: Started;
  let url = '';
  const json = async (args: readonly string[]): Promise<Json> => {
    const { code, stdout, stderr } = await place.run([...args, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Json;
  };

  before(async () => {
    writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
    writeFileSync(join(place.directory, '.env'), 'ACCOUNT=savings\nPERDURE_LOG_FORMAT=compact\nPERDURE_PORT=1\n');
    ({ server, url } = await serving(place));
  });
  after(async () => place.leave());

  test('its address is in a file that only its owner may read; a second start says where it runs, and cannot move it', async () => {
    const path = join(place.directory, '.perdure/server.json');
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { pid: server.pid, url });
    assert.deepEqual([statSync(path).mode & 0o777, statSync(join(path, '..')).mode & 0o777], [0o600, 0o700]);
    const [again, anywhere, moved] = await Promise.all([
      place.run(['up']),
      place.run(['up', '--port', '0']),
      place.run(['up', '--port', '2']),
    ]);
    for (const { code, stdout } of [again, anywhere]) {
      assert.equal(code, 0);
      assert.ok(stdout.includes(`already runs on this data at ${url} (process ${server.pid})`));
    }
    assert.equal(moved.code, 1);
    assert.ok(moved.stderr.includes(url));
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { pid: server.pid, url });
  });

  test('what was said is found by its words, from the terminal', async () => {
    const said = await place.run(['run', 'What is 40 + 2 in zanzibarish?', '--quiet', '--session', 'found']);
    assert.equal(said.code, 0, said.stderr);
    const { hits } = (await json(['search', '"40 + 2" zanzibarish'])) as { hits: Json[] };
    assert.deepEqual(
      hits.map(({ run, role, snippet }) => [run, role, snippet]),
      [
        ['r1', 'assistant', 'You said: What is 40 + 2 in zanzibarish?'],
        ['r1', 'user', 'What is 40 + 2 in zanzibarish?'],
      ],
    );
    const shown = await place.run(['search', 'zanzibarish', '--agent', 'payer']);
    assert.match(
      shown.stdout,
      /^ses_\w+\.r1 #5 .*\n {2}assistant: .*\nses_\w+\.r1 #2 .*\n {2}user: What is 40 \+ 2 in zanzibarish\?\n$/,
    );
    const none = await place.run(['search', 'zanzibarish', '--agent', 'hasty']);
    assert.deepEqual([none.code, none.stdout, none.stderr], [0, '', 'nothing was found\n']);
    const bad = await place.run(['search', '--', '-']);
    assert.deepEqual([bad.code, /holds no word.*\(invalid_request\)/.test(bad.stderr)], [1, true], bad.stderr);
    assert.equal((await place.run(['search', 'x', '--limit', '0'])).code, 5);
  });

  test('a message is answered, quietly or as the events are; how it ended is the exit code', async () => {
    const [quiet, events, failed, limited] = await Promise.all([
      place.run(['run', 'What is 2 + 3?', '--quiet']),
      place.run(['run', 'What is 2 + 3?', '--json']),
      place.run(['run', 'fail']),
      place.run(['run', 'call sleep {"seconds": 1}\nthen\ncall sleep {"seconds": 1}', '--agent', 'hasty', '--quiet']),
    ]);
    assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, '2 + 3 = 5\n', '']);
    const kinds = lines(events.stdout).map(({ kind }) => kind);
    assert.deepEqual([events.code, kinds[0], kinds.at(-1)], [0, 'run.queued', 'run.ended']);
    assert.match(events.stderr, /^session ses_[a-z2-7]{26}, run r1\n$/);
    const seqs = lines(events.stdout).flatMap(({ seq }) => (typeof seq === 'number' ? [seq] : []));
    assert.deepEqual(
      seqs,
      Array.from(seqs, (_, index) => (seqs[0] ?? 0) + index),
    );
    assert.deepEqual([failed.code, limited.code], [1, 1]);
    assert.match(failed.stderr, /failed: provider/);
    assert.match(limited.stderr, /limited: turns/);
  });

  test('files go along with a message: an image by its content, a text as text; what no model takes is not sent', async () => {
    const at = (name: string) => join(place.directory, name);
    writeFileSync(
      at('a.png'),
      Buffer.from('89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de', 'hex'),
    );
    writeFileSync(at('notes.md'), '# Milk');
    writeFileSync(at('cut.png'), readFileSync(at('a.png')).subarray(0, 12));
    writeFileSync(at('odd.bin'), Buffer.from([0, 1, 2]));
    const [given, odd, cut, missing, endless] = await Promise.all([
      place.run(['run', 'Look', '--attach', 'a.png', '--attach', 'notes.md', '--session', 'files']),
      place.run(['run', 'Look', '--attach', 'odd.bin']),
      place.run(['run', 'Look', '--attach', 'cut.png']),
      place.run(['run', 'Look', '--attach', 'none.png']),
      place.run(['run', 'Look', '--attach', '/dev/zero']),
    ]);
    assert.equal(given.code, 0, given.stderr);
    assert.match(
      given.stdout,
      /You said: Look\n\[file notes\.md\]\n# Milk\nYou gave me: a\.png \(image\/png, 33 bytes\)/,
    );
    assert.deepEqual([odd.code, cut.code, missing.code, endless.code], [5, 5, 5, 5]);
    assert.match(cut.stderr, /cut\.png: it begins as image\/png, but its header is broken or cut/);
    assert.match(endless.stderr, /is no file/);
    assert.match(odd.stderr, /odd\.bin: no model takes/);
    const id = /session (ses_\w+)/.exec(given.stderr)?.[1] ?? '';
    const shown = await place.run(['sessions', 'show', id]);
    assert.match(shown.stdout, /Look\n(> )?\[image a\.png\]\n(> )?\[file notes\.md\]/);
  });

  test('what is not accepted is 3, what is not understood 5, what takes too long 2', async () => {
    const [agent, session, cut, flags, late, few] = await Promise.all([
      place.run(['run', 'hi', '--agent', 'nobody']),
      place.run(['run', 'hi', '--session', 'ses_00000000000000000000000000']),
      place.run(['run', 'hi', '--session', 'ses_0000000000']),
      place.run(['run', 'hi', '--fast']),
      place.run(['run', 'call sleep {"seconds": 3600}', '--timeout', '0.5']),
      place.run(['run', 'What is 2 + 3?', '--max-events', '1', '--json']),
    ]);
    assert.deepEqual([agent.code, session.code, cut.code, flags.code, late.code, few.code], [3, 3, 5, 5, 2, 2]);
    assert.match(cut.stderr, /'ses_0000000000' is no id of a session/);
    assert.match(agent.stderr, /no agent nobody.*payer/);
    assert.equal(lines(few.stdout).length, 1);
  });

  test('a run that needs a person is 7 without a terminal; the answer is given from elsewhere, and the run goes on', async () => {
    const waiting = await place.run(['run', 'call pay {"amount": 3}', '--session', 'order 1']);
    assert.equal(waiting.code, 7);
    const wait = /(ses_\w+\.w1)/.exec(waiting.stderr)?.[1] ?? '';
    const [session = ''] = wait.split('.');
    assert.match(waiting.stderr, /approve pay \{"amount":3\}/);
    const listed = await json(['waits', 'list']);
    assert.ok((listed['waits'] as Json[]).some(({ session: id, kind }) => id === session && kind === 'approval'));
    const explained = await place.run(['explain', `${session}.r1`]);
    assert.match(explained.stdout, /waits for a person’s approval/);

    const wrong = await place.run(['waits', 'answer', wait, 'perhaps']);
    assert.deepEqual([wrong.code, /approve, deny or always/.test(wrong.stderr)], [5, true]);
    const watcher = place.start(['sessions', 'watch', session, '--json']);
    const answered = await place.run(['waits', 'answer', wait, 'approve', '--note', 'fine']);
    assert.equal(answered.code, 0, answered.stderr);
    assert.match(await watcher.printed(/run\.ended/), /paid 3 from savings/);
    watcher.kill('SIGINT');
    assert.equal((await watcher.ended).code, 0);
    assert.equal((await place.run(['waits', 'answer', wait, 'approve'])).code, 1);

    const more = await place.run(['run', 'What is 1 + 1?', '--session', 'order 1', '--quiet']);
    assert.equal(more.stdout, '1 + 1 = 2\n');
    const shown = await place.run(['sessions', 'show', session]);
    assert.match(shown.stdout, /key +order 1[\s\S]*> call pay[\s\S]*pay \{"amount":3\} done: paid 3[\s\S]*1 \+ 1 = 2/);
    const slot = await place.run(['sessions', 'context', session, 'notes', 'Likes tea.', '--if-revision', '0']);
    const slots = await place.run(['sessions', 'context', session]);
    assert.deepEqual([slot.stdout, slot.code], ['notes is at revision 1\n', 0]);
    assert.match(slots.stdout, /notes +1 .*Likes tea\./);
    assert.equal((await place.run(['sessions', 'context', session, 'notes', 'x', '--if-revision', '0'])).code, 1);
    assert.equal((await place.run(['sessions', 'context', session, 'notes', '--delete'])).code, 0);
    const { sessions } = await json(['sessions', 'list']);
    assert.ok((sessions as Json[]).some(({ id, status }) => id === session && status === 'idle'));
  });

  test('a cancelled run is 6, by an interrupt or from elsewhere; a closed session takes nothing more', async () => {
    const sleeping = ['run', 'call sleep {"seconds": 3600}', '--session'];
    const [interrupted, cancelled] = [place.start([...sleeping, 'a']), place.start([...sleeping, 'b'])];
    await Promise.all([interrupted.printed(/waits for timer/), cancelled.printed(/waits for timer/)]);
    interrupted.kill('SIGINT');
    const { sessions } = await json(['sessions', 'list']);
    const session = String((sessions as Json[]).find(({ key }) => key === 'b')?.['id']);
    assert.equal((await json(['sessions', 'cancel', session]))['id'], 'r1');
    assert.deepEqual([(await interrupted.ended).code, (await cancelled.ended).code], [6, 6]);
    assert.equal((await json(['sessions', 'close', session]))['status'], 'closed');
    assert.equal((await place.run(['run', 'hi', '--session', session])).code, 3);
  });

  test('models are listed with what they cost and take, and which of them can be used', async () => {
    const [all, ready, listed] = await Promise.all([
      place.run(['models', 'list']),
      place.run(['models', 'list', '--ready']),
      json(['models', 'list']),
    ]);
    assert.match(all.stdout, /openai\/gpt-5\.4 +no +1,050,000 +128,000 +2\.5\* +0\.25 +15\* +text, image, file/);
    assert.match(all.stderr, /long prompt costs more/);
    assert.deepEqual(ready.stdout.match(/^\S+/gm), ['MODEL', 'demo']);
    const model = (listed['models'] as Json[]).find(({ id }) => id === 'groq/openai/gpt-oss-120b');
    assert.deepEqual(
      [model?.['ready'], model?.['structured'], model?.['effort']],
      [false, true, ['low', 'medium', 'high']],
    );
    assert.match(String(model?.['missing']), /set GROQ_API_KEY/);
  });

  test('agents, status and the server of another folder are found', async () => {
    const { agents } = await json(['agents', 'list']);
    assert.deepEqual(
      (agents as Json[]).map(({ name }) => name),
      ['payer', 'hasty'],
    );
    assert.match((await place.run(['agents', 'show', 'payer'])).stdout, /pay +unsafe +asks/);
    const status = await json(['status']);
    assert.deepEqual([status['url'], status['ready']], [url, true]);

    const elsewhere = createPlace();
    try {
      assert.equal((await elsewhere.run(['connect', 'http://127.0.0.1:9'])).code, 1);
      assert.equal((await elsewhere.run(['connect', url])).code, 0);
      assert.equal(statSync(join(elsewhere.directory, 'xdg/perdure/connection.json')).mode & 0o777, 0o600);
      assert.match((await elsewhere.run(['status'])).stdout, /remembered/);
      assert.equal((await elsewhere.run(['connect', '--forget'])).code, 0);
      assert.equal((await elsewhere.run(['status'], { PERDURE_URL: url })).code, 0);
      assert.equal((await elsewhere.run(['status', '--url', url, '--data', 'x'])).code, 5);
      assert.equal((await elsewhere.run(['status', '--url', url, '--store', 'memory'])).code, 5);
      assert.equal((await elsewhere.run(['connect', '--token', 'x'])).code, 5);
    } finally {
      await elsewhere.leave();
    }
  });

  test('a store that is named is the one that is used, though a server runs on the data folder', async () => {
    assert.match((await place.run(['sessions', 'list'])).stdout, /ses_/);
    assert.doesNotMatch((await place.run(['sessions', 'list', '--store', 'memory'])).stdout, /ses_/);
  });

  test('doctor prints each value with where it comes from', async () => {
    const { settings, checks } = await json(['doctor']);
    const from = Object.fromEntries(
      (settings as Json[]).map(({ name, value, from: origin }) => [name, [value, origin]]),
    );
    assert.deepEqual(from['port'], ['1', '.env PERDURE_PORT']);
    assert.deepEqual(from['logFormat'], ['compact', '.env PERDURE_LOG_FORMAT']);
    const keys = (checks as Json[]).find(({ name }) => name === 'provider keys');
    assert.match(String(keys?.['text']), /missing: .*groq \(GROQ_API_KEY\).*none needed: ollama, vllm/);
    assert.deepEqual(from['host'], ['127.0.0.1', 'default']);
    assert.ok((checks as Json[]).some(({ name, text }) => name === 'data' && String(text).includes(url)));
    const secret = await place.run(['doctor'], { OPENAI_API_KEY: 'sk-EXAMPLE-0123456789abcdef' });
    assert.ok(!secret.stdout.includes('EXAMPLE'));
    assert.match(secret.stdout, /openaiKey +\(set\) +OPENAI_API_KEY/);
  });

  test('a stop is clean: 0, the file is gone, the data is free for the next', async () => {
    server.kill('SIGTERM');
    const { code, signal } = await server.ended;
    assert.deepEqual([code, signal], [0, null]);
    assert.ok(!existsSync(join(place.directory, '.perdure/server.json')));
    const next = await serving(place);
    // Both as one, as a terminal and a parent process send it.
    next.server.kill('SIGINT');
    next.server.kill('SIGINT');
    assert.equal((await next.server.ended).code, 0);
  });
});

describe('without a server', () => {
  const place = createPlace();
  after(async () => place.leave());

  test('a run is answered in its own process, on the same data', async () => {
    writeFileSync(join(place.directory, 'notes.md'), 'remember the milk');
    writeFileSync(join(place.directory, '.env'), 'SECRET=do not look');
    const first = await place.run(['run', 'read notes.md', '--session', 'k']);
    assert.deepEqual([first.code, /remember the milk/.test(first.stdout)], [0, true], first.stderr);
    const hidden = await place.run(['run', 'read .env', '--session', 'k', '--quiet']);
    assert.ok(!hidden.stdout.includes('do not look'));
    assert.match((await place.run(['sessions', 'list'])).stdout, /idle/);
    assert.equal((await place.run(['status'])).code, 1);
    assert.equal((await place.run(['run', 'hi', '--token', 'x'])).code, 5);
  });

  test('no sandbox is never silent: every screen that shows tools says it', async () => {
    const none = { PERDURE_SANDBOX: 'none' };
    const said = /none, by your setting/;
    assert.match((await place.run(['doctor'], none)).stdout, said);
    assert.match((await place.run(['agents', 'show', 'assistant'], none)).stdout, said);
    assert.match((await place.run(['agents', 'list'], none)).stderr, said);
    const doctor = await place.run(['doctor']);
    assert.match(doctor.stdout, /sandbox +(bubblewrap \d|no commands of tools run: .*install)/);
    assert.doesNotMatch(doctor.stdout + (await place.run(['agents', 'show', 'assistant'])).stdout, said);
    assert.match((await place.run(['doctor'], { PERDURE_SANDBOX: 'off' })).stderr, /none of bubblewrap, none/);
  });

  test('a server that was killed leaves a file that nobody believes, and its unfinished run goes on', async () => {
    const { server } = await serving(place);
    const run = await place.run(['run', 'call ask {"question": "Which colour?"}', '--session', 'k']);
    assert.equal(run.code, 7);
    server.kill('SIGKILL');
    await server.ended;
    assert.ok(existsSync(join(place.directory, '.perdure/server.json')));
    assert.equal((await place.run(['status'])).code, 1);
    const next = await serving(place);
    const wait = /(ses_\w+\.w\d+)/.exec(run.stderr)?.[1] ?? '';
    assert.equal((await place.run(['waits', 'answer', wait, 'blue'])).code, 0);
    const [session = ''] = wait.split('.');
    const watcher = place.start(['sessions', 'watch', session]);
    assert.match(await watcher.printed(/ask: blue/), /> read notes\.md[\s\S]*ask: blue/);
    next.server.kill('SIGTERM');
    assert.equal((await next.server.ended).code, 0);
    // The server is gone for good: the stream is lost, not ended.
    watcher.kill('SIGTERM');
    await watcher.ended;
  });

  test('a server whose agent has no usable model says so when it starts', async () => {
    writeFileSync(join(place.directory, 'keyless.config.ts'), CONFIG.replace("model: 'demo'", "model: 'nowhere/x'"));
    const { server } = await serving(place, ['--data', 'keyless', '--config', 'keyless.config.ts']);
    assert.match(await server.printed(/Ctrl-C/), /warning {2}payer cannot run: .*nowhere/);
    server.kill('SIGTERM');
    assert.equal((await server.ended).code, 0);
  });

  test('a busy port, an open host without a token, a wrong configuration: each says what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    writeFileSync(join(place.directory, 'wrong.config.ts'), CONFIG.replace('agents:', 'limits: { turn: 1 }, agents:'));
    const [busy, open, missing, wrong] = await Promise.all([
      place.run(['up', '--port', String(port), '--data', 'a']),
      place.run(['up', '--host', '0.0.0.0', '--port', '0', '--data', 'b']),
      place.run(['up', '--config', 'nowhere.ts', '--data', 'c']),
      place.run(['run', 'hi', '--config', 'wrong.config.ts', '--data', 'd']),
    ]);
    taken.close();
    assert.deepEqual([busy.code, open.code, missing.code, wrong.code], [1, 1, 1, 3]);
    assert.match(busy.stderr, /in use.*--port \(port_in_use\)/);
    assert.match(open.stderr, /token.*\(token_required\)/);
    assert.match(missing.stderr, /nowhere\.ts: there is no such file/);
    assert.match(wrong.stderr, /wrong\.config\.ts: limits\.turn: unknown key/);
  });

  test('with a token every request needs it; the command finds it in the data folder', async () => {
    const { server, url } = await serving(place, ['--data', 'locked', '--token', 'let-me-in-EXAMPLE']);
    assert.equal((await fetch(`${url}/v1/agents`)).status, 401);
    const [own, wrong, right] = await Promise.all([
      place.run(['run', 'What is 2 + 3?', '--quiet', '--data', 'locked']),
      place.run(['run', 'hi', '--url', url, '--token', 'wrong']),
      place.run(['status'], { PERDURE_URL: url, PERDURE_TOKEN: 'let-me-in-EXAMPLE' }),
    ]);
    assert.deepEqual([own.stdout, wrong.code, right.code], ['2 + 3 = 5\n', 3, 0]);
    server.kill('SIGTERM');
    assert.equal((await server.ended).code, 0);
  });
});

test('a server that accepts and then refuses its stream is a lost stream: 4', async () => {
  const session = `ses_${'a'.repeat(26)}`;
  const fake = createServer((request, response) => {
    const accepted = request.method === 'POST';
    response.writeHead(accepted ? 202 : 404, { 'content-type': 'application/json' });
    const error = { error: { code: 'not_found', message: 'gone' } };
    response.end(JSON.stringify(accepted ? { session: { id: session }, run: { id: 'r1' }, seq: 2 } : error));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => fake.once('listening', resolve));
  const place = createPlace();
  try {
    const { port } = fake.address() as AddressInfo;
    const { code, stderr } = await place.run(['run', 'hi', '--url', `http://127.0.0.1:${port}`]);
    assert.deepEqual([code, stderr.includes(session)], [4, true]);
  } finally {
    await place.leave();
    fake.close();
  }
});

test('without a server the folder is read, and a wait is answered and its run followed', async () => {
  const place = createPlace();
  try {
    writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
    writeFileSync(join(place.directory, '.env'), 'ACCOUNT=savings');
    const [agents, models] = await Promise.all([place.run(['agents', 'list']), place.run(['models', 'list'])]);
    assert.match(agents.stdout, /payer +demo/);
    assert.match(models.stdout, /openai\/gpt-5-mini/);
    assert.ok(!existsSync(join(place.directory, '.perdure')), 'what the configuration says needs no data');
    const none = await place.run(['waits', 'list']);
    assert.deepEqual([none.code, /there is no data in/.test(none.stderr)], [1, true]);
    assert.equal((await place.run(['run', 'call pay {"amount": 3}', '--session', 'k'])).code, 7);
    const behind = await place.run(['run', 'What is 2 + 3?', '--session', 'k']);
    assert.equal(behind.code, 7);
    assert.match(behind.stderr, /queued behind r1, which waits for somebody/);
    const { waits } = JSON.parse((await place.run(['waits', 'list', '--json'])).stdout) as { waits: Json[] };
    const session = String(waits[0]?.['session']);
    assert.match((await place.run(['sessions', 'list'])).stdout, /waiting +payer/);
    assert.match((await place.run(['explain', `${session}.r1`])).stdout, /waits/);
    const answered = await place.run(['waits', 'answer', `${session}.w1`, 'approve']);
    assert.deepEqual([answered.code, /pay: paid 3 from savings/.test(answered.stdout)], [0, true], answered.stderr);
    assert.match((await place.run(['sessions', 'show', session])).stdout, /paid 3 from savings/);
    assert.match((await place.run(['search', 'savings'])).stdout, /paid 3 from/);
  } finally {
    await place.leave();
  }
});

test('a message that comes while a server starts, or while another command has the data, waits for its turn', async () => {
  const place = createPlace();
  try {
    const others = ['one', 'two', 'three'].map(async (key) =>
      place.run(['run', 'What is 2 + 3?', '--session', key, '--quiet']),
    );
    const server = place.start(['up', '--port', '0']);
    for (const { code, stdout, stderr } of await Promise.all(others))
      assert.deepEqual([code, stdout], [0, '2 + 3 = 5\n'], stderr);
    await server.printed(/Ctrl-C stops it/);
    assert.equal((await place.run(['run', 'hello', '--quiet'])).code, 0);
  } finally {
    await place.leave();
  }
});

test('run --model is the model of the run, and of a session that it opens; one that is not to be had is refused', async () => {
  const place = createPlace();
  try {
    writeFileSync(
      join(place.directory, 'perdure.config.ts'),
      CONFIG.replace("model: 'demo'", "model: 'openai/gpt-5-mini'"),
    );
    const refused = await place.run(['run', 'What is 2 + 3?']);
    assert.deepEqual([refused.code, /OPENAI_API_KEY/.test(refused.stderr)], [3, true], refused.stderr);
    for (const place_ of [[], ['--session', 'k'], ['--session', 'k']]) {
      const { code, stdout, stderr } = await place.run([
        'run',
        'What is 2 + 3?',
        '--model',
        'demo',
        '--quiet',
        ...place_,
      ]);
      assert.deepEqual([code, stdout], [0, '2 + 3 = 5\n'], stderr);
    }
    const wrong = [['demo,'], ['nowhere/x'], [''], ['demo,demo']].map(async (model) =>
      place.run(['run', 'hi', '--model', ...model]),
    );
    assert.deepEqual(
      (await Promise.all(wrong)).map(({ code }) => code),
      [5, 3, 5, 3],
    );
  } finally {
    await place.leave();
  }
});

test('doctor asks the Restate that is named, by both its addresses', async () => {
  const place = createPlace();
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/restate/health' && request.headers.authorization === 'Bearer t1' ? 200 : 500);
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const env = { PERDURE_RESTATE: `http://127.0.0.1:${port},http://127.0.0.1:9`, PERDURE_RESTATE_TOKEN: 't1' };
    const { code, stdout } = await place.run(['doctor', '--json'], env);
    const { checks } = JSON.parse(stdout) as { checks: Json[] };
    const said = checks.filter(({ name }) => name === 'restate');
    assert.deepEqual([code, ...said.map(({ result }) => result)], [1, 'ok', 'fail']);
    assert.match(String(said[1]?.['text']), /:9\/health cannot be reached: .*(refused|bad port)/i);
  } finally {
    server.close();
    await place.leave();
  }
});

test('doctor says of data what a start would say', async () => {
  const place = createPlace();
  const dataCheck = async (): Promise<{ code: number | null; check: Json | undefined }> => {
    const { code, stdout } = await place.run(['doctor', '--json']);
    const { checks } = JSON.parse(stdout) as { checks: Json[] };
    return { code, check: checks.find(({ name }) => name === 'data') };
  };
  try {
    assert.match(String((await dataCheck()).check?.['text']), /made at the first start/);
    assert.equal((await place.run(['run', 'hello'])).code, 0);
    const well = await dataCheck();
    assert.deepEqual([well.code, well.check?.['result']], [0, 'ok']);
    const file = join(place.directory, '.perdure/perdure.db');
    const db = new DatabaseSync(file);
    db.exec("UPDATE meta SET value = 99 WHERE name = 'schema'");
    db.close();
    const newer = await dataCheck();
    assert.deepEqual([newer.code, newer.check?.['result']], [1, 'fail']);
    assert.match(String(newer.check?.['text']), /newer Perdure/);
    writeFileSync(file, 'this is no database '.repeat(500));
    const broken = await dataCheck();
    assert.deepEqual([broken.code, broken.check?.['result']], [1, 'fail']);
    assert.match(String(broken.check?.['text']), /copy of the folder/);
  } finally {
    await place.leave();
  }
});

test('gateways and workers need a store that processes share: anything else is refused, and says what to do', async (t) => {
  const place = createPlace();
  t.after(() => place.leave());
  for (const [command, ...args] of [['gateway'], ['worker'], ['worker', '--store', 'memory']] as const) {
    const refused = await place.run([command, ...args]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /--store postgres:.*\(store_not_shared\)/);
  }
});
