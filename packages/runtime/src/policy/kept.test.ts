/** What rules on paths keep from the commands of a call. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyRule, Taint } from '@perdure/engine';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import type { Sandbox, SandboxOptions, SandboxPath } from '../ports.ts';
import { keeping, keptFrom } from './kept.ts';
import { judged } from './policy.ts';

const paths = ['secrets/**'];
const deny: PolicyRule = { decision: 'deny', tool: '*', paths };

test('what is kept is what rules deny that count for the call, whatever paths it names', () => {
  const names = { commands: ['command'] };
  const kept = (rule: PolicyRule, command = 'grep -r x .', taint: readonly Taint[] = []): boolean => {
    const call = judged('shell', { effect: 'unsafe', approval: 'always', names }, { command });
    return keptFrom([rule], call, { at: 100, taint, nanoUsd: 5 }).length > 0;
  };
  assert.ok(kept(deny));
  assert.ok(kept({ ...deny, tool: 'sh*' }));
  assert.ok(!kept({ ...deny, tool: 'read_file' }));
  assert.ok(!kept({ decision: 'ask', tool: '*', paths }));
  assert.ok(!kept({ decision: 'allow', tool: '*', paths }));
  assert.ok(!kept({ decision: 'deny', tool: '*' }));
  assert.ok(!kept({ ...deny, tainted: ['web'] }));
  assert.ok(kept({ ...deny, tainted: ['web'] }, 'ls', ['web']));
  assert.ok(!kept({ ...deny, expiresAt: 100 }));
  assert.ok(kept({ ...deny, expiresAt: 101 }));
  assert.ok(kept({ ...deny, acts: ['egress'] }));
  assert.ok(kept({ ...deny, maxNanoUsd: 4 }));
  assert.ok(!kept({ ...deny, maxNanoUsd: 5 }));
  assert.ok(kept({ ...deny, command: 'grep' }));
  assert.ok(!kept({ ...deny, command: 'rm' }));
  assert.ok(kept({ ...deny, command: 'rm' }, '$x'));
});

test('a relative glob keeps what lies below any folder, an absolute one what is here or there', () => {
  const place = (below: string): SandboxPath => ({
    below,
    here: `/srv/secrets/${below}`,
    there: `/workspace/${below}`,
  });
  const cases: [string, string, boolean][] = [
    ['secrets/**', 'secrets', true],
    ['secrets/**', 'src/SECRETS/a', true],
    ['secrets/**', 'src', false],
    ['./secrets/**', 'secrets', true],
    ['**/.env', 'a/b/.env', true],
    ['*.pem', 'a/x.pem', true],
    ['\u00fc/**', 'u\u0308', true],
    ['/workspace/src/**', 'src', true],
    ['/workspace/src/**', 'a/src', false],
    ['/srv/secrets/src/**', 'src/a', true],
    ['srv/**', 'src', false],
  ];
  for (const [glob, below, expected] of cases)
    assert.equal(keeping([glob])(place(below)), expected, `${glob} ${below}`);
  assert.equal(keeping(['none', 'src'])(place('src')), true);
});

/** A tool that runs a command, and a sandbox that tells what it was asked for. */
async function worldOf(rules: PolicyRule[], ...calls: string[]) {
  const asked: (readonly string[])[] = [];
  const told = ['secrets', 'src', 'own'];
  const note = ({ denies }: Pick<SandboxOptions, 'denies'>): void => {
    asked.push(denies === undefined ? ['-'] : told.filter((below) => denies({ below, here: below, there: below })));
  };
  const sandbox: Sandbox = {
    kind: 'noting',
    probe: async () => ({ kind: 'noting', version: null, walls: [] }),
    run: async (_, options) => {
      note(options);
      throw new Error('noted');
    },
    close: async () => {},
  };
  const options = { folders: [], cwd: '/', env: {}, hosts: [], limits: {} as SandboxOptions['limits'] };
  const shell = tool({
    name: 'shell',
    description: 'Runs.',
    input: { type: 'object' },
    names: { commands: ['command'] },
    run: async (args, context) => {
      const more = (args as { own?: true }).own === true ? { denies: ({ below }: SandboxPath) => below === 'own' } : {};
      await context.sandbox.run(['x'], { ...options, ...more, input: false }).catch(() => undefined);
      await context.jobs.start(['x'], { ...options, ...more }).catch(() => undefined);
      return context.sandbox.kind;
    },
  });
  const look = tool({
    name: 'look',
    description: 'Looks.',
    input: {},
    effect: 'pure',
    taint: 'web',
    run: () => 'seen',
  });
  const script = calls.map((name) =>
    name === 'look'
      ? { calls: [{ name, arguments: {} }] }
      : { calls: [{ name: 'shell', arguments: name === 'own' ? { command: 'ls', own: true } : { command: 'ls' } }] },
  );
  const world = await World.create({
    tools: [shell, look],
    script: [...script, { text: 'ok' }],
    agent: { policies: { mode: 'bypass', rules } },
    host: { sandbox },
  });
  return { asked, world };
}

test('commands and jobs are kept from it as things stand when they begin; where no rule is on paths nothing is asked', async () => {
  const of = async (rules: PolicyRule[], ...calls: string[]) => {
    const { asked, world } = await worldOf(rules, ...calls);
    await world.open();
    await world.system.settle();
    return asked;
  };
  assert.deepEqual(await of([], 'shell'), [['-'], ['-']]);
  assert.deepEqual(await of([{ ...deny, tool: 'read' }], 'shell'), [['-'], ['-']]);
  assert.deepEqual(await of([deny], 'shell'), [['secrets'], ['secrets']]);
  // What a tool keeps from its own commands stays kept.
  assert.deepEqual(await of([deny], 'own'), [
    ['secrets', 'own'],
    ['secrets', 'own'],
  ]);
  assert.deepEqual(await of([{ ...deny, tainted: ['web'] }], 'shell', 'look', 'shell'), [
    ['-'],
    ['-'],
    ['secrets'],
    ['secrets'],
  ]);
});

test('a rule that is filed keeps from the next command on', async () => {
  const { asked, world } = await worldOf([], 'shell');
  await world.call('policies.add', { scope: 'tenant', rule: deny });
  await world.open();
  await world.system.settle();
  assert.deepEqual(asked, [['secrets'], ['secrets']]);
});
