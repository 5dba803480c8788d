import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import type { Client } from '@perdure/contract';
import { createClient } from '@perdure/contract';
import { postgresMissing, startPostgres } from '@perdure/testkit/services';
import { freePort } from './kill-loop/server.ts';
import { createPlace } from './process.ts';

const missing = postgresMissing();
const options = missing === null ? {} : { skip: missing };
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

const CONFIG = `
import { agent, defineConfig } from 'perdure';
export default defineConfig({
  agents: [
    agent({ name: 'clerk', model: 'demo' }),
    agent({ name: 'painter', model: 'demo', queue: 'gpu' }),
  ],
});
`;

/** A folder with a project, and a database of its own. */
async function project(t: TestContext) {
  const place = createPlace();
  t.after(() => place.leave());
  writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
  const postgres = await startPostgres();
  t.after(() => postgres.dispose());
  const env = {
    PERDURE_STORE: postgres.url(),
    PERDURE_LOG_LEVEL: 'warn',
    PERDURE_LEASE_MS: '1500',
    NODE_COMPILE_CACHE: compiled,
  };
  const gateway = async () => {
    const port = await freePort();
    const started = place.start(['gateway', '--port', String(port)], env);
    await started.printed(/runs at /);
    const url = `http://127.0.0.1:${port}`;
    return { ...started, url, client: createClient({ url }) };
  };
  const worker = async (...args: string[]) => {
    const started = place.start(['worker', ...args], env);
    const name = /runs as (\S+)/.exec(await started.printed(/Ctrl-C/))?.[1] ?? '';
    return { ...started, name };
  };
  return { place, env, gateway, worker };
}

/** The status with which the run ends, as the stream says it. */
async function ended(client: Client, session: string, run: string): Promise<string | null> {
  for await (const event of client.events(session, {}))
    if (event.type === 'entry' && event.entry.kind === 'run.ended' && event.entry.run === run)
      return event.entry.data.status;
  return null;
}

test('two gateways and two workers are one installation: any door, any hands, one stream', options, async (t) => {
  const { place, env, gateway, worker } = await project(t);
  const [a, b] = [await gateway(), await gateway()];
  const [one, two] = [await worker(), await worker('--queue', 'gpu', '--queue', 'default')];

  const { run, session } = await a.client.call('runs.create', { input: 'say five', wait: true });
  assert.equal(run.status, 'completed');
  const ids = Array.from({ length: 8 }, async (_, n) => {
    const client = [a.client, b.client][n % 2] ?? a.client;
    const ended = await client.call('runs.create', { agent: 'clerk', input: `say ${n}`, wait: true });
    return [ended.run.status, ended.session.id] as const;
  });
  assert.ok((await Promise.all(ids)).every(([status]) => status === 'completed'));

  // A reader who goes on at the other gateway with the last id it saw.
  const read = async (url: string, after: number, count: number) => {
    const response = await fetch(`${url}/v1/sessions/${session.id}/events?limit=${count}&after=${after}`);
    const { events } = (await response.json()) as { events: { seq: number }[] };
    return events.map(({ seq }) => seq);
  };
  const { head } = await b.client.call('sessions.get', { session: session.id });
  assert.deepEqual(
    [...(await read(a.url, 0, 2)), ...(await read(b.url, 2, 1_000))],
    Array.from({ length: head }, (_, at) => at + 1),
  );

  const { nodes } = await b.client.call('nodes.list', {});
  assert.deepEqual(
    nodes.map(({ name, role, agents }) => [role, role === 'worker' ? name : null, agents]),
    [
      ...[['worker', one.name, ['clerk']] as const, ['worker', two.name, undefined] as const].toSorted(([, x], [, y]) =>
        x < y ? -1 : 1,
      ),
      ['gateway', null, undefined],
      ['gateway', null, undefined],
    ],
  );
  const status = await place.run(['status', '--url', a.url], env);
  assert.equal(status.code, 0);
  assert.match(
    status.stdout,
    new RegExp(`worker +${one.name.replaceAll(':', '.')}.*agents clerk, holds \\d+ sessions`),
  );

  // Its own port says how each is, and nothing else.
  const address = nodes.find(({ name }) => name === one.name)?.address ?? '';
  assert.equal((await fetch(`${address}/health/ready`)).status, 200);
  assert.equal((await fetch(`${address}/v1/agents`)).status, 404);

  one.kill('SIGTERM');
  assert.equal((await one.ended).code, 0);
  const more = await b.client.call('runs.start', { session: session.id, input: 'again' });
  assert.equal(await ended(b.client, session.id, more.run.id), 'completed');
  two.kill('SIGTERM');
  assert.equal((await two.ended).code, 0);
  const alone = await place.run(['status', '--url', a.url], env);
  assert.match(alone.stdout, /no worker +takes .*clerk.*: what is asked of them waits/);
  for (const each of [a, b]) each.kill('SIGTERM');
  for (const each of [a, b]) assert.equal((await each.ended).code, 0);
});

test(
  'what a model says on a worker is read on a gateway word by word, before its entry is there',
  options,
  async (t) => {
    const { gateway, worker } = await project(t);
    const [a, b] = [await gateway(), await gateway()];
    await worker();
    const { session } = await a.client.call('sessions.create', { agent: 'clerk' });
    const heard: string[] = [];
    const { run } = await a.client.call('runs.start', { session: session.id, input: 'slow 3000\nlong 60' });
    for await (const event of b.client.events(session.id, {})) {
      if (event.type === 'delta' && event.delta.part === 'text') heard.push(event.delta.text);
      if (event.type === 'entry' && event.entry.kind === 'run.ended') break;
    }
    const { text } = await a.client.call('runs.get', { session: session.id, run: run.id as `r${number}` });
    assert.ok(heard.length > 5, 'it came in pieces');
    assert.ok(text?.startsWith(heard.join('').slice(0, 20)));
  },
);

test(
  'a worker takes the sessions of its queue alone, and names that nothing has are refused with those there are',
  options,
  async (t) => {
    const { place, env, gateway, worker } = await project(t);
    const a = await gateway();
    await worker('--queue', 'gpu');
    const painted = await a.client.call('runs.create', { agent: 'painter', input: 'say hello', wait: true });
    assert.equal(painted.run.status, 'completed');
    const { run, session } = await a.client.call('runs.create', { agent: 'clerk', input: 'say hello' });
    const left = await a.client.call('runs.get', { session: session.id, run: run.id as `r${number}` });
    assert.equal(left.status, 'running');
    for (const [args, said] of [
      [['--queue', 'tpu'], /no agent is in queue tpu; there is: default, gpu/],
      [['--agents', 'clerk,nobody'], /no agent nobody is defined; defined: clerk, painter/],
      [['--agents', 'clerk', '--queue', 'gpu'], /none of these agents is in one of these queues/],
    ] as const) {
      const refused = await place.run(['worker', ...args], env);
      assert.equal(refused.code, 5, refused.stderr);
      assert.match(refused.stderr, said);
    }
    await worker('--agents', 'clerk');
    for await (const event of a.client.events(session.id, {}))
      if (event.type === 'entry' && event.entry.kind === 'run.ended') break;
  },
);
