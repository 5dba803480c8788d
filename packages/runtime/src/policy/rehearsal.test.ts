import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Params } from '@perdure/contract';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';

const input = { type: 'object', properties: { command: { type: 'string' } } };
const shell = tool({
  name: 'shell',
  description: 'Runs.',
  input,
  approval: 'always',
  names: { commands: ['command'] },
  run: () => 'ran',
});
const look = tool({ name: 'look', description: 'Looks.', input, effect: 'pure', taint: 'web', run: () => 'seen' });
const call = (name: string, command: string) => ({ calls: [{ name, arguments: { command } }] });
type Test = Params<'policies.test'>;

async function decide(world: World, session: string, decision: 'approve' | 'deny'): Promise<void> {
  await world.system.settle();
  const [open] = (await world.call('waits.list', { session, limit: 1 })).waits;
  const answer = { decision, digest: open?.digest ?? '' } as Params<'waits.resolve'>['answer'];
  await world.call('waits.resolve', { session, wait: (open?.id ?? 'w1') as `w${number}`, answer });
}

/** Looked at the web, was allowed `git push`, denied `rm x`, and went on. */
async function past(): Promise<World> {
  const script = [call('look', ''), call('shell', 'git push'), call('shell', 'rm x'), call('look', ''), { text: 'ok' }];
  const world = await World.create({ tools: [shell, look], script });
  const { session } = await world.open();
  await decide(world, session, 'approve');
  await decide(world, session, 'deny');
  await world.system.settle();
  return world;
}
const over = async (world: World, policies: object, more: Partial<Test> = {}) =>
  world.call('policies.test', { policies, since: 0, limit: 50, ...more } as Test);

test('what would have been blocked is said, with what a person decided and what the rest has cost', async () => {
  const world = await past();
  const rules = [{ decision: 'deny', tool: 'shell', tainted: ['web'], command: 'git push', reason: 'no' }];
  const { sessions, calls, unread, findings } = await over(world, { rules });
  assert.deepEqual([sessions, calls, unread], [1, 4, []]);
  const [found] = findings;
  assert.equal(findings.length, 1);
  assert.deepEqual(
    [found?.effect, found?.tool, found?.was, found?.would, found?.human, found?.contradicts],
    ['r1t2c0', 'shell', 'ask', 'deny', 'approved', true],
  );
  const turns = world.model.calls.length;
  assert.equal(turns, 5);
  assert.ok((found?.savedTokens ?? 0) > 0, 'three turns follow it');
});

test('what would have been asked for, and what would have passed against a person, is said', async () => {
  const world = await past();
  const asks = await over(world, { rules: [{ decision: 'ask', tool: 'look' }] });
  assert.deepEqual(
    asks.findings.map(({ effect, would, contradicts }) => [effect, would, contradicts]),
    [
      ['r1t1c0', 'ask', false],
      ['r1t4c0', 'ask', false],
    ],
  );
  const allows = await over(world, { rules: [{ decision: 'allow', tool: 'shell', command: ['rm', 'git push'] }] });
  assert.deepEqual(
    allows.findings.map(({ effect, would, human, contradicts }) => [effect, would, human, contradicts]),
    [
      ['r1t2c0', 'allow', 'approved', false],
      ['r1t3c0', 'allow', 'denied', true],
    ],
  );
});

test('the same policies as then find nothing; a cap finds the first turn beyond it', async () => {
  const world = await past();
  assert.deepEqual((await over(world, {})).findings, []);
  const { findings } = await over(world, {}, { caps: { tokens: 1 } });
  assert.deepEqual(
    findings.map(({ effect, tool: name, rule }) => [effect, name, rule]),
    [['r1t1', undefined, 'the run is over the proposed cap of tokens']],
  );
});

test('it writes nothing, looks no further back than it is asked, and goes page by page', async () => {
  const world = await past();
  const before = world.appends.length;
  const later = await over(
    world,
    { rules: [{ decision: 'deny', tool: '*' }] },
    { since: world.system.clock.now() + 1 },
  );
  assert.deepEqual([later.sessions, later.findings], [0, []]);
  await world.open('two').catch(() => undefined);
  const page = await over(world, {}, { limit: 1 });
  assert.ok(page.next !== undefined);
  assert.equal(world.appends.length >= before, true);
  assert.equal(
    await world.code('policies.test', {
      policies: { rules: [{ decision: 'allow', tool: '*', command: 'sudo' }] },
      since: 0,
      limit: 1,
    }),
    'invalid_request',
  );
});
