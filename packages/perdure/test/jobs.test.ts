import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { system } from '@perdure/runtime';
import { createBubblewrap } from '@perdure/tools';
import type { Session } from 'perdure';
import { agent, jobs, shell } from 'perdure';
import { createTestRuntime } from 'perdure/testing';

const skip = await createBubblewrap({ timers: system.timers })
  .probe()
  .then(
    () => false as const,
    (error: unknown) => `NO SANDBOX HERE, so no job is tested in one: ${String(error)}`,
  );
const NOBODY = 65_534;

function makePlace(): Disposable & { workspace: string; data: string } {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'perdure-jobs-')));
  chmodSync(base, 0o755);
  const workspace = join(base, 'workspace');
  mkdirSync(workspace);
  if (process.getuid?.() === 0) chownSync(workspace, NOBODY, NOBODY);
  return { workspace, data: join(base, 'data'), [Symbol.dispose]: () => rmSync(base, { recursive: true }) };
}

/** A runtime whose model calls what it is told to, and gives what came of it. */
async function working(place: { workspace: string; data: string }) {
  let next: { name: string; arguments: unknown } | null = null;
  let result = '';
  const tools = [shell({ root: place.workspace, write: true }), ...jobs({ root: place.workspace, write: true })];
  const { rt } = await createTestRuntime({
    agents: [agent({ name: 'worker', model: 'demo', tools, policies: { mode: 'bypass' } })],
    data: place.data,
    log: { level: 'silent' },
    script: ({ items }) => {
      const last = items.at(-1);
      if (last?.kind === 'result') result = String(last.content);
      const call = next;
      next = null;
      return call === null ? { text: 'done' } : { calls: [call] };
    },
  });
  const call = async (session: Session, name: string, args: unknown): Promise<string> => {
    next = { name, arguments: args };
    await (await session.send('go')).result();
    return result;
  };
  return { rt, call };
}

const jobIn = (text: string): string => /job (r\d+t\d+c\d+)/.exec(text)?.[1] ?? assert.fail(text);

void describe('jobs in the sandbox', { skip }, () => {
  void test('a job outlives its run, is read and written by later ones, and its end is in the context', async () => {
    using place = makePlace();
    const { rt, call } = await working(place);
    const session = await rt.open('worker');
    const job = jobIn(
      await call(session, 'job_start', { command: 'echo ready; read line; echo "got $line" >&2; exit 3' }),
    );
    assert.match(await call(session, 'job_read', { job, waitMs: 20_000 }), /running; go on at offset 6\nready\n/);
    assert.equal(await call(session, 'job_write', { job, text: 'it\n' }), 'written');
    let read = '';
    while (!/exit code 3/.test(read)) read = await call(session, 'job_read', { job, after: 6, waitMs: 1_000 });
    assert.match(read, /exit code 3; go on at offset 13\ngot it\n/);
    assert.match(await call(session, 'job_write', { job, text: 'x' }), /^not_running: /);
    const slots = await session.context.list();
    assert.match(JSON.stringify(slots), new RegExp(`${job} ended with exit code 3`));
    assert.match(await call(session, 'job_read', { job: 'r9t9c9' }), /^not_found: /);
    await rt.close();
  });

  void test('a stop, the close of the session and that of the runtime end jobs with all that they started', async () => {
    using place = makePlace();
    const { rt, call } = await working(place);
    const beat = (name: string): string => `(while :; do date +%s%N > ${name}; sleep 0.02; done) & wait`;
    const beats = async (name: string): Promise<void> => until(() => existsSync(join(place.workspace, name)));
    const [one, two, three] = [await rt.open('worker'), await rt.open('worker'), await rt.open('worker')];
    const job = jobIn(await call(one, 'job_start', { command: beat('one') }));
    await call(two, 'job_start', { command: beat('two') });
    const left = jobIn(await call(three, 'job_start', { command: beat('three') }));
    for (const name of ['one', 'two', 'three']) await beats(name);
    assert.match(await call(one, 'job_stop', { job }), /killed: it was stopped/);
    await stillness(join(place.workspace, 'one'));
    await two.close();
    await stillness(join(place.workspace, 'two'));
    await rt.close();
    await stillness(join(place.workspace, 'three'));
    const again = await working(place);
    const session = await again.rt.session(three.id);
    assert.match(await again.call(session, 'job_read', { job: left }), /killed: it was stopped/);
    await again.rt.close();
  });

  void test('a session that is moved away leaves no job behind', async () => {
    using place = makePlace();
    const { rt, call } = await working(place);
    const session = await rt.open('worker');
    const command = '(while :; do date +%s%N > moved; sleep 0.02; done) & wait';
    await call(session, 'job_start', { command });
    await until(() => existsSync(join(place.workspace, 'moved')));
    for await (const _ of rt.exportSession(session.id, { moveTo: 'elsewhere' }));
    await stillness(join(place.workspace, 'moved'));
    await rt.close();
  });

  void test('a workspace with the sessions in it is not shown to commands', async () => {
    using place = makePlace();
    const inside = { workspace: place.workspace, data: join(place.workspace, '.perdure') };
    const { rt, call } = await working(inside);
    const session = await rt.open('worker');
    assert.match(await call(session, 'shell', { command: 'true' }), /^invalid_folder: .*own data/);
    assert.match(await call(session, 'job_start', { command: 'true' }), /^invalid_folder: .*own data/);
    await rt.close();
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => void system.timers.set(20, resolve));
}

async function stillness(path: string): Promise<void> {
  let seen = '';
  let quiet = 0;
  await until(() => {
    const now = readFileSync(path, 'utf8');
    quiet = now === seen ? quiet + 1 : 0;
    seen = now;
    return quiet >= 10;
  });
}
