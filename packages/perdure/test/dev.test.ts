/** `perdure dev` as a real process: what changes is served, what runs goes on. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Client, Entry } from '@perdure/contract';
import { createClient } from '@perdure/contract';
import type { Place, Started } from './process.ts';
import { createPlace } from './process.ts';

const tool = (word: string, from = ''): string => `import { tool } from 'perdure';
${from}
export default tool({ name: 'pay', description: 'Pays.', input: { type: 'object' }, effect: 'keyed', approval: 'always', run: () => ${word} });
`;

describe('dev', () => {
  let place: Place;
  let dev: Started;
  let client: Client;
  const at = (path: string): string => join(place.directory, path);
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  };
  const pid = (): number => (JSON.parse(readFileSync(at('.perdure/server.json'), 'utf8')) as { pid: number }).pid;

  before(async () => {
    place = createPlace();
    put('agents/payer/instructions.md', 'OLD WORDS');
    put('agents/payer/agent.ts', `export default { model: 'demo' };`);
    put('lib/words.ts', `export const word: string = 'paid once';`);
    put('agents/payer/tools/pay.ts', tool('word', `import { word } from '../../../lib/words.ts';`));
    dev = place.start(['dev', '--port', '0']);
    const text = await dev.printed(/Ctrl-C stops it/);
    client = createClient({ url: /runs at (\S+)/.exec(text)?.[1] ?? '' });
  });
  after(async () => place.leave());

  const instructionsOf = async (session: string, run: `r${number}`, n: number): Promise<string> =>
    JSON.stringify((await client.call('turns.request', { session, run, n })).request);

  test('a run that waits for a person goes on after a restart, bound to what it began with; the next one has what changed', async () => {
    const { session } = await client.call('sessions.create', { agent: 'payer', input: 'call pay {}' });
    const entries: Entry[] = [];
    const stop = new AbortController();
    const reading = (async () => {
      for await (const event of client.events(session.id, { signal: stop.signal }))
        if (event.type === 'entry') {
          entries.push(event.entry);
          if (event.entry.kind === 'run.ended' && event.entry.run === 'r2') return;
        }
    })();
    for (let waits = 0; waits === 0;) waits = (await client.call('waits.list', { session: session.id })).waits.length;
    const first = pid();
    put('agents/payer/instructions.md', 'NEW WORDS');
    await dev.printed(/restarted in [\d.]+ s: agents\/payer\/instructions\.md changed/);
    assert.notEqual(pid(), first);
    const { waits } = await client.call('waits.list', { session: session.id });
    const answer = { decision: 'approve', digest: waits[0]?.digest ?? '' } as const;
    await client.call('waits.resolve', { session: session.id, wait: 'w1', answer });
    await client.call('runs.start', { session: session.id, input: 'What is 2 + 3?' });
    await reading;
    stop.abort();
    assert.deepEqual(
      entries.map(({ seq }) => seq),
      entries.map((_entry, index) => index + 1),
      'each entry once and in order, over the restart',
    );
    const { text, status } = await client.call('runs.get', { session: session.id, run: 'r1' });
    assert.deepEqual([status, text], ['completed', 'pay: paid once']);
    assert.match(await instructionsOf(session.id, 'r1', 2), /OLD WORDS/);
    assert.match(await instructionsOf(session.id, 'r2', 1), /NEW WORDS/);
  });

  test('a broken edit is told with its place, and what runs goes on; what a tool imports is watched', async () => {
    const running = pid();
    put('lib/words.ts', `export const word: string = missing;`);
    const text = await dev.printed(/what runs goes on as it was/);
    assert.match(text, /agents\/payer\/tools\/pay\.ts: cannot be loaded: missing is not defined, at lib\/words\.ts:1 /);
    assert.equal((await client.call('agents.list', {})).agents[0]?.name, 'payer');
    assert.equal(pid(), running);
    put('lib/words.ts', `export const word: string = 'paid twice';`);
    await dev.printed(/restarted in [\d.]+ s: lib\/words\.ts changed/);
    put('agents/second/instructions.md', 'I am new.');
    await dev.printed(/restarted in [\d.]+ s: agents\/second\/instructions\.md changed/);
    assert.deepEqual(
      (await client.call('agents.list', {})).agents.map(({ name }) => name),
      ['payer', 'second'],
    );
    rmSync(at('agents/second'), { recursive: true });
  });

  test('a server that dies is started again, where it was', async () => {
    await dev.printed(/restarted[^]*restarted[^]*restarted[^]*restarted/);
    process.kill(pid(), 'SIGKILL');
    await dev.printed(/the server ended \(SIGKILL\)/);
    await dev.printed(/restarted in [\d.]+ s: it had ended/);
    assert.equal((await client.call('agents.list', {})).agents.length, 1);
  });

  test('it ends cleanly with its server', async () => {
    const server = pid();
    dev.kill('SIGTERM');
    const { code, stderr } = await dev.ended;
    assert.equal(code, 0, stderr);
    assert.ok(!existsSync(at('.perdure/server.json')));
    assert.throws(() => process.kill(server, 0), { code: 'ESRCH' });
  });
});

test('a project that is broken at the start is told, and served once it is mended', async () => {
  const place = createPlace();
  try {
    mkdirSync(join(place.directory, 'agents/a'), { recursive: true });
    const dev = place.start(['dev', '--port', '0']);
    const text = await dev.printed(/nothing runs: the next change tries again/);
    assert.match(text, /agents\/a: has no instructions\.md/);
    writeFileSync(join(place.directory, 'agents/a/instructions.md'), 'Hello.');
    await dev.printed(/runs at [^]*a \(demo\)[^]*Ctrl-C stops it/);
    const second = await place.run(['dev', '--port', '0']);
    assert.deepEqual([second.code, /data_in_use/.test(second.stderr)], [1, true], second.stderr);
    const checked = await place.run(['dev', 'check']);
    assert.equal(checked.code, 0);
    dev.kill('SIGINT');
    assert.equal((await dev.ended).code, 0);
  } finally {
    await place.leave();
  }
});

test('a server of which the one who started it is gone ends, too', async () => {
  const place = createPlace();
  try {
    const dev = place.start(['dev', '--port', '0']);
    const url = /runs at (\S+)/.exec(await dev.printed(/Ctrl-C stops it/))?.[1] ?? '';
    const file = join(place.directory, '.perdure/server.json');
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number };
    dev.kill('SIGKILL');
    await dev.ended;
    // Until nobody answers: the address is the only thing that is left to ask.
    for (let alive = true; alive;)
      alive = await fetch(`${url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      );
    for (let there = true; there;)
      try {
        process.kill(pid, 0);
        await new Promise((resolve) => setImmediate(resolve));
      } catch {
        there = false;
      }
    assert.ok(!existsSync(file));
  } finally {
    await place.leave();
  }
});
