import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TreeNode } from '@perdure/contract';
import { decodeTree, encodeTree } from '@perdure/contract';
import { World } from '../../test/world.ts';
import { LIMITS } from '../limits.ts';
import type { Sandbox, SandboxEnd, SandboxOptions, ToolContext, ToolDefinition } from '../ports.ts';
import { WorkspaceError } from '../ports.ts';

const OPTIONS = { folders: [], cwd: '/', env: {}, hosts: [], limits: {} } as unknown as Omit<SandboxOptions, 'input'>;

/** Jobs that live until they are stopped, or until `finish`. */
function fakeSandbox() {
  const running: (() => void)[] = [];
  const sandbox: Sandbox = {
    kind: 'fake',
    probe: () => assert.fail('not probed'),
    close: async () => {},
    run: async () => {
      const ended = Promise.withResolvers<SandboxEnd>();
      async function* silent(): AsyncGenerator<Uint8Array> {
        await ended.promise;
        yield* [];
      }
      running.push(() => ended.resolve({ type: 'exited', code: 0 }));
      return {
        stdout: silent(),
        stderr: silent(),
        write: async () => true,
        endInput: () => {},
        kill: () => ended.resolve({ type: 'killed', reason: 'stopped' }),
        ended: ended.promise,
      };
    },
  };
  const finish = (): void => running.splice(0).forEach((end) => end());
  return { sandbox, finish };
}

type Args = { path: string; text: string };

async function put({ workspaces }: ToolContext, { path, text }: Args): Promise<void> {
  const [mount] = workspaces.mounts;
  if (mount === undefined) throw new WorkspaceError('no_workspace', 'nothing is mounted');
  const placed = new Map([[path, { content: Buffer.from(text), executable: false }]]);
  while (!(await workspaces.change(mount, await workspaces.open(mount), placed)));
}

const acting = (name: string, run: (args: Args, context: ToolContext) => Promise<void>): ToolDefinition => ({
  name,
  description: name,
  input: { type: 'object' },
  effect: 'unsafe',
  approval: 'never',
  timeoutMs: 1_000,
  async run(args, context) {
    await run(args as Args, context);
    return { content: name };
  },
});

const write = acting('write', async (args, context) => put(context, args));
const start = acting('start', async (args, context) =>
  context.jobs.start(['work'], OPTIONS, async () => {
    await put(context, args);
    return '';
  }),
);

type Asked = readonly [name: 'write' | 'start', path: string, text: string];

async function mounted(...calls: readonly Asked[]) {
  const { sandbox, finish } = fakeSandbox();
  const script = [
    { calls: calls.map(([name, path, text]) => ({ name, arguments: { path, text } })) },
    ...Array.from({ length: 4 }, () => ({ text: 'done' })),
  ];
  const made = await World.create({ script, tools: [write, start], host: { sandbox } });
  const { blobs } = made.store.tenant('default');
  const tree = new Map<string, TreeNode>([['a', { digest: await blobs.put(Buffer.from('0')), bytes: 1 }]]);
  const to = await blobs.put(Buffer.from(encodeTree(tree)));
  await made.call('workspaces.move', { workspace: 'site', to });
  const config = { mounts: [{ path: '/', workspace: 'site', mode: 'read-write' as const }] };
  const { session, run } = await made.open('go', { config });
  await made.system.settle();
  return { made, session, run, finish };
}

async function texts(made: World): Promise<{ [path: string]: string }> {
  const { tree } = await made.call('workspaces.get', { workspace: 'site' });
  const { blobs } = made.store.tenant('default');
  const found: { [path: string]: string } = {};
  for (const [path, node] of decodeTree(Buffer.from((await blobs.get(tree)) ?? []).toString()))
    if ('digest' in node) found[path] = Buffer.from((await blobs.get(node.digest)) ?? []).toString();
  return found;
}

async function told(made: World, session: string) {
  const { events } = await made.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
  return events.flatMap((entry) => (entry.kind === 'workspace.changed' ? [entry] : []));
}

const left = async (made: World): Promise<number> =>
  (await made.store.tenant('default').docs.list('job-changes', { after: null, limit: 10 })).length;

test('what a job changes is told by its call and its run, when it ends, behind the end of that run; and can be undone', async () => {
  const { made, session, run, finish } = await mounted(['start', 'a', 'job'], ['write', 'b', 'call']);
  const ended = (await made.run(session, run)).status;
  assert.deepEqual([ended, (await told(made, session)).length, await left(made)], ['completed', 1, 1]);
  const { tree: before } = await made.call('workspaces.get', { workspace: 'site' });
  finish();
  await made.system.settle();
  const { tree: after } = await made.call('workspaces.get', { workspace: 'site' });
  const [, change] = await told(made, session);
  assert.deepEqual([change?.data, change?.run, change?.effect], [{ workspace: 'site', before, after }, 'r1', 'r1t1c0']);
  const kinds = await made.kinds(session);
  assert.ok(kinds.indexOf('run.ended') < kinds.lastIndexOf('workspace.changed'));
  assert.deepEqual([await texts(made), await left(made)], [{ a: 'job', b: 'call' }, 0]);
  await made.call('runs.undo', { session, run });
  assert.deepEqual(await texts(made), { a: '0' });
});

test('a run is undone in the order in which the workspace was changed, not in that of its calls', async () => {
  const { made, session, run, finish } = await mounted(['start', 'a', 'job'], ['write', 'a', 'call']);
  finish();
  await made.system.settle();
  assert.deepEqual(await texts(made), { a: 'job' });
  await made.call('runs.undo', { session, run });
  assert.deepEqual(await texts(made), { a: '0' });
});

test('with the end of its session, by a close or a move, what a job has changed is told', async () => {
  for (const method of ['sessions.close', 'sessions.move'] as const) {
    const { made, session } = await mounted(['start', 'a', 'job']);
    await made.call(method, { session });
    await made.system.settle();
    assert.deepEqual([(await told(made, session)).length, await texts(made), await left(made)], [1, { a: 'job' }, 0]);
    const kinds = await made.kinds(session);
    if (method === 'sessions.move') assert.equal(kinds.at(-1), 'session.moved');
  }
});

test('of a session that was deleted nobody is told, and nothing is left to be', async () => {
  const { made, session, finish } = await mounted(['start', 'a', 'job']);
  await made.call('sessions.close', { session });
  await made.call('sessions.delete', { session });
  finish();
  await made.system.settle();
  assert.equal(await left(made), 0);
});

test('a process that dies between the move of the head and its entry is told for by the next one, once', async () => {
  const { made, session, run, finish } = await mounted(['start', 'a', 'job']);
  made.weather.append = ({ frame }) =>
    Buffer.from(frame.bytes).includes('workspace.changed')
      ? { ok: false, code: 'unavailable', detail: 'gone' }
      : undefined;
  finish();
  await made.system.settle();
  assert.deepEqual([await texts(made), (await told(made, session)).length, await left(made)], [{ a: 'job' }, 0, 1]);
  const next = await made.crash();
  await next.system.settle();
  assert.deepEqual([(await told(next, session)).length, await left(next)], [1, 0]);
  const again = await next.crash();
  await again.system.settle();
  assert.equal((await told(again, session)).length, 1);
  await again.call('runs.undo', { session, run });
  assert.deepEqual(await texts(again), { a: '0' });
});

test('what could not be told for a while is told later by the same process', async () => {
  const { made, session, finish } = await mounted(['start', 'a', 'job']);
  made.weather.append = () => ({ ok: false, code: 'full' });
  finish();
  await made.system.settle();
  assert.equal((await told(made, session)).length, 0);
  made.weather.append = null;
  await made.system.advance(LIMITS.sweepMs * 2);
  assert.deepEqual([(await told(made, session)).length, await left(made)], [1, 0]);
});

test('what a job has changed that ends with an orderly end of its process is told by that process', async () => {
  const { made, session } = await mounted(['start', 'a', 'job']);
  const stopped = made.host.stop();
  await made.system.settle();
  await stopped;
  assert.deepEqual([await texts(made), (await told(made, session)).length, await left(made)], [{ a: 'job' }, 1, 0]);
});

test('a job that is lost with its process has changed nothing, and tells nothing', async () => {
  const { made, session } = await mounted(['start', 'a', 'job']);
  const next = await made.crash();
  await next.system.settle();
  assert.deepEqual([await texts(next), (await told(next, session)).length, await left(next)], [{ a: '0' }, 0, 0]);
});

test('where processes share the data, what another one may still do is left to it', async () => {
  const { sandbox } = fakeSandbox();
  const shared = await World.create({ shared: true, tools: [start], host: { sandbox } });
  const { docs } = shared.store.tenant('default');
  const at = shared.system.clock.now() - LIMITS.jobExpectedMs + LIMITS.homecomingMs * 3;
  const expected = { session: 'ses_1', job: 'r1t1c0', process: 'other', at, workspaces: ['site'] };
  await docs.put('job-changes', 'ses_1/r1t1c0', expected, 0);
  await shared.system.advance(LIMITS.homecomingMs * 2);
  assert.equal(await left(shared), 1);
  await shared.system.advance(LIMITS.homecomingMs * 3);
  assert.equal(await left(shared), 0, 'its time is over');
  await shared.host.stop();
});
