import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { restateMissing } from '@perdure/drivers/restate';
import type { Started } from './process.ts';
import { createPlace } from './process.ts';

const missing = restateMissing();
const place = createPlace();
after(async () => place.leave());

const CONFIG = `
import { agent, defineConfig, sleep, tool } from 'perdure';
const pay = tool({ name: 'pay', description: 'Pays.', input: { type: 'object' }, approval: 'always', run: () => 'paid' });
export default defineConfig({ agents: [agent({ name: 'payer', model: 'demo', tools: [pay, sleep()] })] });
`;

async function up(): Promise<{ server: Started; admin: string }> {
  const args = ['up', '--engine', 'restate', '--port', '0'];
  const server = place.start(args, { PERDURE_LOG_FORMAT: 'json' });
  const text = await server.printed(/Ctrl-C stops it/);
  return { server, admin: /"admin":"([^"]+)"/.exec(text)?.[1] ?? '' };
}

const isUp = async (admin: string): Promise<boolean> =>
  fetch(`${admin}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

async function json(args: readonly string[]): Promise<{ [name: string]: unknown }> {
  const { stdout, stderr } = await place.run([...args, '--json']);
  assert.ok(stdout !== '', stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { [name: string]: unknown };
}

test(
  'up --engine restate brings a Restate server that is gone with it, and a run goes on over a crash of both',
  missing === null ? {} : { skip: missing },
  async () => {
    writeFileSync(join(place.directory, 'perdure.config.ts'), CONFIG);
    const first = await up();
    assert.ok(await isUp(first.admin));
    assert.ok(existsSync(join(place.directory, '.perdure/restate/restate.log')));
    const plain = await place.run(['run', 'say hello']);
    assert.deepEqual([plain.code, plain.stdout.trim()], [0, 'hello']);
    const parked = await place.run(['run', 'call pay {}', '--session', 's1']);
    assert.equal(parked.code, 7, parked.stderr);
    first.server.kill('SIGKILL');
    await first.server.ended;
    while (await isUp(first.admin)) continue;

    const second = await up();
    const { waits } = (await json(['waits', 'list'])) as { waits: { id: string; session: string }[] };
    const [wait] = waits;
    assert.equal((await place.run(['waits', 'answer', `${wait?.session}.${wait?.id}`, 'approve'])).code, 0);
    const slept = await place.run(['run', 'call sleep {"seconds":0.2}']);
    assert.equal(slept.code, 0, slept.stderr);
    second.server.kill('SIGTERM');
    assert.equal((await second.server.ended).code, 0);
    assert.equal(await isUp(second.admin), false);
  },
);
