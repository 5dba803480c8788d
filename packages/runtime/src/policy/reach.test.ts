/** Rules on paths look at what a call names and at where that leads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Params } from '@perdure/contract';
import type { PolicyRule } from '@perdure/engine';
import { createVirtualSystem } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import type { WorldOptions } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import { createBodies } from '../effects/bodies.ts';
import { decodeFrame } from '../log/frame.ts';
import type { Reached } from '../ports.ts';
import { Redactor } from '../secrets/redact.ts';
import { deniedNow, reachNow } from './dispatch.ts';
import { judged, ruleOn } from './policy.ts';

const deny: PolicyRule = { decision: 'deny', tool: '*', paths: ['secrets/**'], reason: 'kept' };
const allow: PolicyRule = { decision: 'allow', tool: '*', paths: ['src/**'] };

test('a denial counts for either of what is named and where it leads, leave only for both', () => {
  const ruling = (rule: PolicyRule, path: string, reach: Parameters<typeof judged>[4]): string => {
    const declared = { effect: 'unsafe' as const, approval: 'always' as const, names: { paths: ['path'] } };
    const standing = { at: 0, taint: [], nanoUsd: 0 };
    return ruleOn(judged('read', declared, { path }, '', reach), { policies: { rules: [rule] }, filed: [], standing })
      .verdict;
  };
  const to = (path: string, tree = false): Reached[] => [{ path, tree }];
  const cases: [string, Parameters<typeof judged>[4], string, string][] = [
    ['src/a', null, 'allow', 'ask'],
    ['src/a', to('src/a'), 'allow', 'ask'],
    ['src/a', to('secrets/a'), 'ask', 'deny'],
    ['src/a', to('SECRETS/a'), 'ask', 'deny'],
    ['src/a', to('docs/a'), 'ask', 'ask'],
    ['secrets/a', to('src/a'), 'ask', 'deny'],
    ['docs', to('.', true), 'ask', 'deny'],
    ['src/a', to('src', true), 'allow', 'ask'],
    ['src/a', [...to('src/a'), ...to('secrets/a')], 'ask', 'deny'],
    // What cannot be told is never allowed, and is denied.
    ['src/a', 'unclear', 'ask', 'deny'],
    ['src/a', to('src/a\nb'), 'ask', 'deny'],
    ['src/a', to('src/e\u0301'), 'ask', 'deny'],
    ['src/a', [], 'allow', 'ask'],
  ];
  for (const [path, reach, allowed, denied] of cases)
    assert.deepEqual([ruling(allow, path, reach), ruling(deny, path, reach)], [allowed, denied], JSON.stringify(reach));
});

/** A folder of links, and what was read in it. */
function linked(links: { [path: string]: string | Error }) {
  const read: { path: string; reached: readonly Reached[] | undefined }[] = [];
  let asked = 0;
  const reads = tool({
    name: 'read',
    description: 'Reads.',
    input: { type: 'object', properties: { path: { type: 'string' } } },
    effect: 'pure',
    names: { paths: ['path'] },
    reaches: (args) => {
      asked += 1;
      const { path } = args as { path: string };
      const led = links[path] ?? path;
      if (led instanceof Error) throw led;
      return [{ path: led, tree: false }];
    },
    run: (args, { reached }) => {
      read.push({ path: (args as { path: string }).path, reached });
      return 'read';
    },
  });
  const call = (path: string) => ({ calls: [{ name: 'read', arguments: { path } }] });
  const world = async (paths: readonly string[], more: WorldOptions = {}) =>
    World.create({ tools: [reads], script: [...paths.map(call), { text: 'ok' }], ...more });
  return { read, asked: () => asked, world };
}
const settle = async (world: World): Promise<string> => {
  const { session } = await world.open();
  await world.system.settle();
  return session;
};

test('a link to what is denied is denied, and what runs is held to where it led', async () => {
  const { read, world: create } = linked({ way: 'secrets/a', other: 'src/a' });
  await settle(await create(['way', 'other', 'src/b'], { agent: { policies: { rules: [deny] } } }));
  assert.deepEqual(read, [
    { path: 'other', reached: [{ path: 'src/a', tree: false }] },
    { path: 'src/b', reached: [{ path: 'src/b', tree: false }] },
  ]);
});

test('where no rule looks at paths no tool is asked, and nothing is held', async () => {
  const { read, asked, world: create } = linked({ way: 'secrets/a' });
  await settle(await create(['way'], { agent: { policies: { rules: [{ decision: 'deny', tool: 'other' }] } } }));
  assert.deepEqual([read, asked()], [[{ path: 'way', reached: undefined }], 0]);
});

test('a tool that cannot tell is denied what is denied somewhere, and that is logged', async () => {
  const { read, world: create } = linked({ way: new Error('no such device') });
  const world = await create(['way'], { agent: { policies: { rules: [deny] } } });
  await settle(world);
  assert.deepEqual(read, []);
  assert.ok(world.lines.some(({ message }) => message === 'nobody can tell where the paths of a call lead'));
});

test('a tool that tells what are no places is one that cannot tell', async () => {
  for (const told of [undefined, null, 'src/a', [null], [{ path: 7, tree: false }], [{ path: 'src/a' }]]) {
    let ran = 0;
    const odd = tool({
      name: 'read',
      description: 'Reads.',
      input: { type: 'object', properties: { path: { type: 'string' } } },
      effect: 'pure',
      names: { paths: ['path'] },
      reaches: () => told as unknown as Reached[],
      run: () => {
        ran += 1;
        return 'read';
      },
    });
    const script = [{ calls: [{ name: 'read', arguments: { path: 'src/a' } }] }, { text: 'ok' }];
    const world = await World.create({ tools: [odd], script, agent: { policies: { rules: [deny] } } });
    await settle(world);
    assert.equal(ran, 0, JSON.stringify(told));
    assert.ok(world.lines.some(({ message }) => message === 'nobody can tell where the paths of a call lead'));
  }
});

test('a link that is turned while an approval is waited for leads the call nowhere else', async () => {
  const links: { [path: string]: string } = { way: 'src/a' };
  const { read, asked, world: create } = linked(links);
  const rules: PolicyRule[] = [deny, { decision: 'ask', tool: 'read' }];
  const world = await create(['way'], { agent: { policies: { rules } } });
  const session = await settle(world);
  links['way'] = 'secrets/a';
  await approve(world, session);
  assert.deepEqual([read, asked()], [[{ path: 'way', reached: [{ path: 'src/a', tree: false }] }], 1]);
});

test('a rule on paths that was filed meanwhile finds where the call leads by then', async () => {
  const { read, world: create } = linked({ way: 'secrets/a', other: 'src/a' });
  const world = await create(['way', 'other'], { agent: { policies: { rules: [{ decision: 'ask', tool: 'read' }] } } });
  const session = await settle(world);
  await world.call('policies.add', { scope: 'tenant', rule: deny });
  await approve(world, session);
  await approve(world, session);
  assert.deepEqual(read, [{ path: 'other', reached: [{ path: 'src/a', tree: false }] }]);
});

test('a call that was ruled on before its tool could tell is ruled on by where it leads now', async () => {
  const bodies = createBodies({ random: createVirtualSystem().random, redactor: new Redactor() });
  const reads = tool({ name: 'read', description: 'Reads.', input: {}, reaches: () => [], run: () => 'read' });
  const allowed = {
    call: { name: 'read', digest: '', rule: '' },
    args: { path: 'way' },
    ruledBy: null,
    now: { filed: [], text: null },
    bound: [deny],
    edited: false,
    reached: null,
    standing: { at: 0, taint: [], nanoUsd: 0 },
  };
  const led: Reached[] = [{ path: 'secrets/a', tree: false }];
  assert.equal(await reachNow(allowed, reads, async () => led), led);
  assert.match(deniedNow(allowed, reads, led, bodies)?.rule ?? '', /kept/);
  // What was ruled on by it is not ruled on again, and is held to it.
  const known = { ...allowed, reached: led };
  assert.equal(await reachNow(known, reads, async () => assert.fail('it was asked again')), led);
  assert.equal(deniedNow(known, reads, led, bodies), null);
});

test('what an approver makes of the paths is denied by where they lead', async () => {
  const { read, world: create } = linked({ way: 'secrets/a' });
  const rules: PolicyRule[] = [deny, { decision: 'ask', tool: 'read' }];
  const world = await create(['src/a'], { agent: { policies: { rules } } });
  const session = await settle(world);
  await approve(world, session, { arguments: { path: 'way' } });
  assert.deepEqual(read, []);
});

test('rules that are tried on the past see where a call led then; the entry has not grown by it', async () => {
  const links: { [path: string]: string } = { way: 'secrets/a' };
  const { read, world: create } = linked(links);
  const rules: PolicyRule[] = [{ decision: 'deny', tool: '*', paths: ['elsewhere/**'] }];
  const world = await create(['way', 'way'], { agent: { policies: { rules } } });
  const session = await settle(world);
  assert.equal(read.length, 2);
  links['way'] = 'src/a';
  const { findings } = await world.call('policies.test', { policies: { rules: [deny] }, since: 0, limit: 9 });
  assert.deepEqual(
    findings.map(({ effect, would }) => [effect, would]),
    [
      ['r1t1c0', 'deny'],
      ['r1t2c0', 'deny'],
    ],
  );
  const frames = await world.log.read(session, { after: 0, limit: 100 });
  const requested = frames.flatMap((frame) => decodeFrame(frame)).filter(({ kind }) => kind === 'call.requested');
  for (const { data } of requested) assert.doesNotMatch(JSON.stringify(data), /secrets\/a/);
});

async function approve(world: World, session: string, more: object = {}): Promise<void> {
  const [wait] = (await world.call('waits.list', { session, limit: 9 })).waits;
  assert.ok(wait, 'nothing waits');
  const answer = { decision: 'approve', digest: wait.digest ?? '', ...more } as Params<'waits.resolve'>['answer'];
  await world.call('waits.resolve', { session, wait: wait.id as `w${number}`, answer });
  await world.system.settle();
}
