import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type { Params } from '@perdure/contract';
import type { Entry, PolicyRule } from '@perdure/engine';
import { World } from '../../test/world.ts';
import { noticesOfRule } from '../definitions/notices.ts';
import { tool } from '../definitions/tool.ts';
import { decodeFrame } from '../log/frame.ts';

const input = { type: 'object', properties: { command: { type: 'string' } } };
const shell = tool({
  name: 'shell',
  description: 'Runs.',
  input,
  approval: 'always',
  names: { commands: ['command'] },
  run: () => 'ran',
});
const asks = (...commands: string[]) =>
  commands.map((command) => ({ calls: [{ name: 'shell', arguments: { command } }] }));
const deny: PolicyRule = { decision: 'deny', tool: 'shell', command: 'rm', reason: 'never' };
const allow: PolicyRule = { decision: 'allow', tool: 'shell', command: 'git status' };

async function entries(world: World, session: string): Promise<Entry[]> {
  return (await world.log.read(session, { after: 0, limit: 100 })).flatMap((frame) => decodeFrame(frame));
}
const requested = (all: Entry[]) => all.flatMap((entry) => (entry.kind === 'call.requested' ? [entry] : []));
async function wait(world: World, session: string) {
  await world.system.settle();
  const [open] = (await world.call('waits.list', { session, limit: 1 })).waits;
  assert.ok(open, 'nothing waits');
  return open;
}
type Answer = Params<'waits.resolve'>['answer'];
async function approve(world: World, session: string, more: object = {}): Promise<void> {
  const open = await wait(world, session);
  const answer = { decision: 'approve', digest: open.digest ?? '', ...more } as Answer;
  await world.call('waits.resolve', { session, wait: open.id as `w${number}`, answer });
}

test('a document counts for its scope from the next call on, and the entry names what was in force', async () => {
  const world = await World.create({ tools: [shell], script: [...asks('rm x', 'git status', 'rm x'), { text: 'ok' }] });
  await world.call('policies.set', { scope: 'tenant', rules: [deny] });
  await world.call('policies.add', { scope: 'agent:assistant', rule: allow });
  await world.call('policies.add', { scope: 'agent:another', rule: { decision: 'deny', tool: '*' } });
  const { session } = await world.open();
  await world.system.settle();
  const calls = requested(await entries(world, session));
  assert.deepEqual(
    calls.map(({ data }) => [data.decision, data.rule]),
    [
      ['deny', 'rule of tenant (revision 1) deny shell (command rm): never'],
      ['allow', 'rule of agent:assistant (revision 1) allow shell (command git status)'],
      ['deny', 'rule of tenant (revision 1) deny shell (command rm): never'],
    ],
  );
  const [first] = calls;
  assert.deepEqual(first?.refs, [first?.data.policy]);
  const blob = await world.host.parts.store.blobs.get(first?.data.policy ?? '');
  const { documents } = JSON.parse(Buffer.from(blob ?? []).toString()) as {
    documents: { scope: string; rules: object[] }[];
  };
  assert.deepEqual(
    documents.map(({ scope, rules }) => [scope, rules]),
    [
      ['tenant', [deny]],
      ['agent:assistant', [allow]],
      [`session:${session}`, []],
    ],
  );
});

test('a session with no documents has nothing of them in its log', async () => {
  const world = await World.create({ tools: [shell], script: [...asks('ls'), { text: 'ok' }] });
  const { session } = await world.open();
  await world.system.settle();
  const [call] = requested(await entries(world, session));
  assert.deepEqual([call?.data.policy, call?.refs], [undefined, undefined]);
});

test('rules are added once, taken out by their name, and changed at the revision that was seen', async () => {
  const world = await World.create({ tools: [shell] });
  const scope = 'tenant';
  const one = await world.call('policies.add', { scope, rule: deny });
  const again = await world.call('policies.add', { scope, rule: { ...deny } });
  assert.deepEqual([one.revision, again.revision, again.rules.length], [1, 1, 1]);
  assert.equal(await world.code('policies.set', { scope, rules: [], ifRevision: 0 }), 'revision_conflict');
  assert.equal(await world.code('policies.remove', { scope, rule: 'none' }), 'not_found');
  assert.equal(await world.code('policies.add', { scope, rule: { ...allow, command: 'sudo' } }), 'invalid_request');
  const [rule] = again.rules;
  const gone = await world.call('policies.remove', { scope, rule: rule?.id ?? '' });
  assert.deepEqual([gone.revision, gone.rules], [2, []]);
  await Promise.all(
    Array.from({ length: 5 }, async (_, n) => world.call('policies.add', { scope, rule: { ...deny, reason: `${n}` } })),
  );
  assert.equal((await world.call('policies.get', { scope })).rules.length, 5);
  const { policies, next } = await world.call('policies.list', { limit: 1 });
  assert.deepEqual([policies.map((each) => each.scope), next], [['tenant'], 'tenant']);
});

test('what another process writes counts, where processes share the store', async () => {
  const world = await World.create({ tools: [shell], shared: true, script: [...asks('ls', 'rm x'), { text: 'ok' }] });
  const { session } = await world.open();
  assert.deepEqual((await wait(world, session)).call?.arguments, { command: 'ls' });
  const beside = await World.create({ beside: world, tools: [shell], idle: true });
  await beside.call('policies.add', { scope: 'tenant', rule: deny });
  await approve(world, session);
  await world.system.settle();
  assert.deepEqual(
    requested(await entries(world, session)).map(({ data }) => data.decision),
    ['ask', 'deny'],
  );
});

test('an approval with a grant lifts what asks for like calls, until it is revoked', async () => {
  const script = [...asks('git status', 'git status -s', 'git push', 'git status'), { text: 'ok' }];
  const world = await World.create({ tools: [shell], script });
  const { session } = await world.open();
  const open = await wait(world, session);
  assert.deepEqual(open.offer, { decision: 'allow', tool: 'shell', command: 'git status' });
  await approve(world, session, { grant: { scope: 'session' } });
  const push = await wait(world, session);
  assert.deepEqual(push.call?.arguments, { command: 'git push' });
  const scope = `session:${session}`;
  const { grants } = await world.call('policies.get', { scope });
  const [grant] = grants;
  assert.deepEqual([grants.length, grant?.wait, grant?.by.kind, grant?.rule], [1, 'w1', 'approver', open.offer]);
  const all = await entries(world, session);
  const resolved = all.flatMap(({ kind, data }) => (kind === 'wait.resolved' ? [data.answer] : []));
  assert.equal(resolved[0]?.kind === 'approval' && resolved[0].grant, `${scope}.${grant?.id}`);
  assert.equal(requested(all)[1]?.data.rule, `grant ${scope}.${grant?.id} allow shell (command git status)`);
  await world.call('policies.revoke', { scope, grant: grant?.id ?? '' });
  await approve(world, session);
  assert.deepEqual((await wait(world, session)).call?.arguments, { command: 'git status' });
  assert.equal(await world.code('policies.revoke', { scope, grant: 'none' }), 'not_found');
});

test('a grant lifts no denial, counts for its scope alone, and ends when it expires', async () => {
  const world = await World.create({
    tools: [shell],
    script: ({ items }) => asks(items.length > 2 ? 'ls -a' : 'ls')[0] ?? {},
  });
  const one = await world.open();
  await approve(world, one.session, { grant: { scope: 'agent', forMs: 60_000 } });
  const two = await world.open();
  await world.system.settle();
  assert.deepEqual(
    requested(await entries(world, two.session))
      .slice(0, 2)
      .map(({ data }) => data.decision),
    ['allow', 'allow'],
  );
  await world.call('policies.add', { scope: 'tenant', rule: { decision: 'deny', tool: 'shell', command: 'ls' } });
  const three = await world.open();
  await world.system.settle();
  assert.equal(requested(await entries(world, three.session))[0]?.data.decision, 'deny');
  const { rules } = await world.call('policies.get', { scope: 'tenant' });
  await world.call('policies.remove', { scope: 'tenant', rule: rules[0]?.id ?? '' });
  await world.system.advance(60_000);
  const four = await world.open();
  assert.equal((await wait(world, four.session)).kind, 'approval');
});

test('what cannot be granted is refused, and nothing is answered', async () => {
  const world = await World.create({ tools: [shell], script: [...asks('sudo ls'), { text: 'ok' }] });
  const { session } = await world.open();
  const open = await wait(world, session);
  assert.equal(open.offer, undefined);
  const code = async (answer: object): Promise<string> =>
    world.code('waits.resolve', { session, wait: 'w1', answer: { digest: open.digest, ...answer } as Answer });
  const grant = { scope: 'session' };
  assert.equal(await code({ decision: 'approve', grant }), 'invalid_request');
  assert.equal(await code({ decision: 'deny', grant }), 'invalid_request');
  assert.equal(await code({ decision: 'approve', grant, arguments: { command: 'ls' } }), 'invalid_request');
  assert.equal(await code({ decision: 'approve', grant, digest: 'another' }), 'invalid_request');
  assert.deepEqual((await world.call('policies.get', { scope: `session:${session}` })).grants, []);
  assert.equal((await wait(world, session)).id, 'w1');
});

test('the same answer again finds its grant, also where it was revoked', async () => {
  const world = await World.create({ tools: [shell], script: [...asks('ls'), { text: 'ok' }] });
  const { session } = await world.open();
  const open = await wait(world, session);
  const answer = { decision: 'approve', digest: open.digest ?? '', grant: { scope: 'tenant' } } as Answer;
  const first = await world.call('waits.resolve', { session, wait: 'w1', answer });
  const { grants } = await world.call('policies.get', { scope: 'tenant' });
  await world.call('policies.revoke', { scope: 'tenant', grant: grants[0]?.id ?? '' });
  assert.deepEqual(await world.call('waits.resolve', { session, wait: 'w1', answer }), first);
  const after = (await world.call('policies.get', { scope: 'tenant' })).grants;
  assert.deepEqual([after.length, typeof after[0]?.revokedAt], [1, 'number']);
});

describe('a change of rules', () => {
  const rule: PolicyRule = { decision: 'deny', tool: 'shell', command: 'git push' };

  it('is refused where it could count for nothing: a session that is not here, a time that is over, a broken glob', async () => {
    const world = await World.create({ tools: [shell], script: [] });
    const now = world.system.clock.now();
    const scope = `session:ses_${'0'.repeat(26)}`;
    assert.equal(await world.code('policies.add', { scope, rule }), 'not_found');
    assert.equal(await world.code('policies.set', { scope, rules: [rule] }), 'not_found');
    for (const [wrong, path] of [
      [{ ...rule, expiresAt: now }, 'rule.expiresAt'],
      [{ decision: 'deny', tool: '*', paths: ['[a'] }, 'rule.paths'],
      [{ decision: 'deny', tool: '*', paths: ['src/*.{ts,js}'] }, 'rule.paths'],
      [{ decision: 'deny', tool: '*', paths: ['!src'] }, 'rule.paths'],
      [{ ...rule, command: 'bash -c' }, 'rule.command'],
      [{ ...rule, decision: 'allow', command: 'export' }, 'rule.command'],
    ] as [PolicyRule, string][]) {
      const { code, details } = await world.refused('policies.add', { scope: 'tenant', rule: wrong });
      assert.deepEqual([code, details], ['invalid_request', { path }], JSON.stringify(wrong));
    }
    assert.equal((await world.call('policies.get', { scope: 'tenant' })).revision, 0);
  });

  it('may keep a rule that is over where it stands, and brings none', async () => {
    const world = await World.create({ tools: [shell], script: [] });
    const over = { ...rule, expiresAt: world.system.clock.now() + 10 };
    await world.call('policies.set', { scope: 'tenant', rules: [over] });
    await world.system.advance(10);
    const { rules } = await world.call('policies.set', { scope: 'tenant', rules: [over, rule] });
    assert.equal(rules.length, 2);
    const another = { ...over, reason: 'another' };
    assert.equal(await world.code('policies.set', { scope: 'tenant', rules: [another] }), 'invalid_request');
  });

  it('says what may not be meant, and is made all the same: an agent or a tool may be added later', async () => {
    const world = await World.create({ tools: [{ ...shell, names: { commands: ['command'] } }], script: [] });
    const noticesOf = async (scope: string, given: PolicyRule) =>
      (await world.call('policies.add', { scope, rule: given })).notices;
    assert.equal(await noticesOf('tenant', rule), undefined);
    assert.match(
      (await noticesOf('agent:nosuch', rule))?.join() ?? '',
      /^no agent nosuch is defined here \(assistant\)/,
    );
    assert.match(
      (await noticesOf('tenant', { ...rule, tool: 'shel' }))?.join() ?? '',
      /^no agent here has a tool shel \(/,
    );
    assert.match(
      (await noticesOf('agent:assistant', { ...rule, tool: 'shel' }))?.join() ?? '',
      /^agent assistant has no tool shel \(/,
    );
    assert.equal(await noticesOf('tenant', { ...rule, tool: 'sh*' }), undefined);
    assert.equal((await world.call('policies.get', { scope: 'agent:nosuch' })).rules.length, 1);
    assert.equal((await world.call('policies.get', { scope: 'tenant' })).notices, undefined);
  });

  it('gives rules names that no command line takes for a flag', async () => {
    const world = await World.create({ tools: [shell], script: [] });
    const rules = Array.from({ length: 200 }, (_, n): PolicyRule => ({ ...rule, reason: `${n}` }));
    const set = await world.call('policies.set', { scope: 'tenant', rules });
    for (const { id } of set.rules) assert.match(id, /^r[0-9A-Za-z]{10}$/);
    assert.equal(new Set(set.rules.map(({ id }) => id)).size, 200);
  });
});

it('a rule on what none of its tools names counts for no call, and whoever files it hears so', () => {
  const tools = [
    { name: 'read', names: { paths: ['path'] } },
    { name: 'shell', names: { commands: ['c'] } },
    { name: 'x' },
  ];
  const on = (tool: string, more: Partial<PolicyRule>): string[] =>
    noticesOfRule({ decision: 'deny', tool, ...more }, null, [{ name: 'a', tools }]);
  assert.deepEqual(on('read', { command: 'ls' }), ['read runs no command: the rule counts for no call']);
  assert.deepEqual(on('read', { hosts: ['*'] }), ['read names no host: the rule counts for no call']);
  assert.deepEqual([...on('shell', { paths: ['**'], hosts: ['*'] }), ...on('x', { command: 'ls' })], []);
  assert.deepEqual([...on('read', { paths: ['**'] }), ...on('*', { command: 'ls' })], []);
  assert.deepEqual(noticesOfRule({ decision: 'deny', tool: 'nosuch' }, null, []), []);
});
