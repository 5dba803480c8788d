import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../test/world.ts';

const secret = 'sesame-open-up';

test('what is found again by its name is not named by a secret: nothing of such an input is written', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }), secrets: { KEY: secret } });
  const { session } = await world.open('hello');
  await world.system.settle();
  const before = JSON.stringify([...(world.disk.tenants.get('default')?.sessions.values() ?? [])]);
  const rule = { tool: 'x', decision: 'deny' as const, reason: `not ${secret}` };
  const config = { policies: { rules: [rule] } };
  const codes = await Promise.all([
    world.code('context.set', { session, key: secret, content: 'x' }),
    world.code('sessions.move', { session, to: `at ${secret}` }),
    world.code('sessions.fork', { session, submission: secret }),
    world.code('sessions.fork', { session, config }),
    world.code('sessions.create', { key: secret, input: 'hi' }),
    world.code('sessions.create', { key: secret }),
    world.code('sessions.create', { submission: secret }),
    world.code('sessions.configure', { session, ifRevision: 1, ...config }),
    world.code('runs.start', { session, input: 'hi', submission: secret, mode: 'queue', priority: 0 }),
    world.code('runs.create', { input: 'hi', submission: secret, wait: false }),
    world.code('runs.create', { input: 'hi', config, wait: false }),
  ]);
  assert.deepEqual(
    codes,
    codes.map(() => 'invalid_request'),
  );
  assert.equal(JSON.stringify([...(world.disk.tenants.get('default')?.sessions.values() ?? [])]), before);
});
