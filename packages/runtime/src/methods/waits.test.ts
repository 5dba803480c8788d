import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { openMemoryStore } from '@perdure/stores/memory';
import { createScriptedModel } from '@perdure/testkit';
import type { Host, Session } from '../index.ts';
import { agent, createHost, openSession, Redactor, silentLogger, system, tool, wait } from '../index.ts';

const CALLER = { tenant: 'default', actor: { kind: 'user', id: 'u1' }, requestId: 'q1' } as const;

/** A tool that a person allows, and that then waits for a report; its token comes out through `tokens`. */
async function ordering(
  t: TestContext,
  gate: Promise<void>,
): Promise<{ host: Host; session: Session; tokens: string[] }> {
  const tokens: string[] = [];
  const order = tool({
    name: 'order',
    description: 'Orders something that is reported later.',
    input: { type: 'object' },
    effect: 'keyed',
    approval: 'always',
    run: async (_args, context) => {
      tokens.push(context.callback().token);
      await gate;
      return wait({ kind: 'callback' });
    },
  });
  const model = createScriptedModel(({ items }) =>
    items.some(({ kind }) => kind === 'turn') ? { text: 'Ordered.' } : { calls: [{ name: 'order' }] },
  );
  const host = await createHost({
    store: openMemoryStore({ clock: system.clock }),
    agents: [agent({ name: 'assistant', model: 'scripted', tools: [order] })],
    models: model.source,
    system,
    logger: silentLogger,
    redactor: new Redactor(),
    engineHash: 'test',
  });
  await host.start();
  t.after(async () => host.stop({ drainMs: 0 }));
  return { host, session: openSession(host, 'assistant'), tokens };
}

const report = async (host: Host, token: string, payload: unknown) =>
  host.call(CALLER, 'callbacks.resolve', { token, payload });

async function allow(session: Session): Promise<void> {
  const run = await session.send('order it');
  const [asked] = (await run.result()).waits ?? [];
  assert.equal(asked?.kind, 'approval');
  await session.resolve(asked.id, { decision: 'approve', digest: asked.digest ?? '' });
}

test('a report that comes before its call is parked waits for it, whatever was approved before', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { host, session, tokens } = await ordering(t, gate.promise);
  await allow(session);
  while (tokens.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [token = ''] = tokens;
  const early = report(host, token, 'done');
  gate.resolve();
  const run = await session.run('r1');
  assert.equal((await early).status, 202);
  assert.equal((await run.result()).status, 'completed');
});

test('the same report again has the same receipt, another one is refused', async (t) => {
  const { host, session, tokens } = await ordering(t, Promise.resolve());
  await allow(session);
  const run = await session.run('r1');
  await run.result();
  const [token = ''] = tokens;
  const first = await report(host, token, 'done');
  await run.result();
  assert.deepEqual(await report(host, token, 'done'), first);
  await assert.rejects(report(host, token, 'undone'), { code: 'wait_resolved' });
});

test('a token that was changed in any place is that of no callback', async (t) => {
  const { host, session, tokens } = await ordering(t, Promise.resolve());
  await allow(session);
  await (await session.run('r1')).result();
  const [token = ''] = tokens;
  const wrong = ['', '.', 'x', token.split('.')[0] ?? '', `${token}x`, token.slice(0, -1), token.slice(1)];
  for (let at = 0; at < token.length; at += 7)
    wrong.push(`${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`);
  for (const one of wrong) await assert.rejects(report(host, one, 'done'), { code: 'not_found' }, one);
  assert.equal((await report(host, token, 'done')).status, 202);
});

test('an answer to a wait that is not open yet is not found, and is no answer once it opens', async (t) => {
  const { session } = await ordering(t, Promise.resolve());
  const run = await session.send('order it');
  await assert.rejects(session.resolve('w9', { decision: 'deny' }), { code: 'not_found' });
  const [asked] = (await run.result()).waits ?? [];
  const digest = asked?.digest ?? '';
  const receipt = await session.resolve('w1', { decision: 'deny', digest });
  assert.deepEqual(await session.resolve('w1', { decision: 'deny', digest }), receipt);
  await assert.rejects(session.resolve('w1', { decision: 'approve', digest }), { code: 'wait_resolved' });
});
