import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ArgumentNames, Mode, PolicyRule, Taint } from '@perdure/engine';
import fc from 'fast-check';
import type { Standing } from './conditions.ts';
import type { Binding, FiledRule, Ruling } from './policy.ts';
import { judged, ruleOn } from './policy.ts';
import { misfitOfRule, ruleText } from './rules.ts';

type Case = {
  tool?: string;
  args?: unknown;
  names?: ArgumentNames;
  acts?: ('write' | 'egress')[];
  mode?: Mode;
  filed?: FiledRule[];
  standing?: Partial<Standing>;
  approval?: 'always' | 'never';
};
/** What the rules say of a call of a tool that asks by itself. */
function rule(rules: PolicyRule[], of: Case = {}): Ruling {
  const { tool = 'act', args = {}, names, acts, mode, filed = [], standing = {}, approval = 'always' } = of;
  const declared = { effect: 'unsafe' as const, approval, ...(names && { names }), ...(acts && { acts }) };
  const binding: Binding = {
    policies: { rules, ...(mode && { mode }) },
    filed,
    standing: { at: 1_000, taint: [], nanoUsd: 0, ...standing },
  };
  return ruleOn(judged(tool, declared, args), binding);
}
const verdicts = (condition: Omit<PolicyRule, 'decision' | 'tool'>, of: Case): string =>
  (['allow', 'deny'] as const).map((decision) => rule([{ decision, tool: '*', ...condition }], of).verdict).join(' ');
/** The rule surely counts; it surely does not; nobody can tell, so that it is not allowed and is denied. */
const YES = 'allow deny';
const NO = 'ask ask';
const UNKNOWN = 'ask deny';

describe('a condition on arguments', () => {
  const args = { to: 'ops@example.com', list: ['a.ts', 'b.ts'], deep: { n: 5 } };
  it('is on a value, or on the form of each text in it, by name or by pointer', () => {
    const cases: [NonNullable<PolicyRule['args']>, string][] = [
      [{ to: { equals: 'ops@example.com' } }, YES],
      [{ to: { equals: 'ops' } }, NO],
      [{ '/deep/n': { equals: 5 } }, YES],
      [{ deep: { equals: { n: 5 } } }, YES],
      [{ '/list/1': { equals: 'b.ts' } }, YES],
      [{ to: { glob: '*@example.com' } }, YES],
      [{ to: { glob: '*@example.org' } }, NO],
      [{ to: { regex: '^ops@' } }, YES],
      [{ list: { glob: '*.ts' } }, YES],
      // Of several an allow wants each, a denial any.
      [{ list: { glob: 'a.*' } }, UNKNOWN],
      [{ missing: { glob: '*' } }, NO],
      [{ __proto__x: { equals: 1 } }, NO],
      [{ to: { glob: '*' }, '/deep/n': { equals: 6 } }, NO],
    ];
    for (const [condition, expected] of cases)
      assert.equal(verdicts({ args: condition }, { args }), expected, JSON.stringify(condition));
  });

  it('is no way to look at what is not there: a prototype has no members', () => {
    for (const place of ['__proto__', 'constructor', '/to/length', '/list/length'])
      assert.equal(verdicts({ args: { [place]: { regex: '' } } }, { args }), NO, place);
  });

  it('takes time that grows with the text alone', () => {
    assert.equal(verdicts({ args: { x: { regex: '(a+)+$' } } }, { args: { x: `${'a'.repeat(50_000)}b` } }), NO);
  });
});

describe('a condition on paths', () => {
  const on = (glob: string, path: string): string =>
    verdicts({ paths: [glob] }, { names: { paths: ['path'] }, args: { path } });

  it('is on what the path leads to, however it is written', () => {
    const cases: [string, string, string][] = [
      ['src/**', 'src/a/b.ts', YES],
      ['src/**', './src//a/../b.ts', YES],
      ['src/**', 'src', YES],
      ['src/*.ts', 'src/a/b.ts', NO],
      ['src/*.ts', 'src/a.ts', YES],
      ['**/*.ts', 'a.ts', YES],
      ['src/**', 'src/../secrets/key', NO],
      ['secrets/**', 'src/../secrets/key', YES],
      ['src/**', 'srcs/a', NO],
      ['**', 'a/b', YES],
      ['src/a?.ts', 'src/ab.ts', YES],
      ['/etc/**', '/etc/passwd', YES],
      ['/etc/**', '//etc/./passwd', YES],
      ['/etc/**', '/../etc/passwd', YES],
    ];
    for (const [glob, path, expected] of cases) assert.equal(on(glob, path), expected, `${glob} ${path}`);
  });

  it('forbids with a folder all that is in it, and allows no more than what it says', () => {
    for (const [glob, path] of [
      ['secrets', 'secrets/key'],
      ['**/.env', 'app/.ENV/key'],
      ['src/*', 'src/a/b.ts'],
      ['/etc/ssl', '/etc/ssl/private/key'],
    ] as const)
      assert.equal(on(glob, path), UNKNOWN, `${glob} ${path}`);
    for (const [glob, path] of [
      ['secrets', 'secrets2/key'],
      ['**/.env', 'app/.env2'],
    ] as const)
      assert.equal(on(glob, path), NO, `${glob} ${path}`);
  });

  it('forbids what is written another way, and allows only what is written this way', () => {
    for (const path of [
      'Secrets/key',
      '/else/secrets/key',
      '../work/secrets/key',
      'secrets\\key',
      'secrets/k\u0000',
      '',
    ])
      assert.equal(on('secrets/**', path), UNKNOWN, JSON.stringify(path));
  });

  it('on a folder with all that is below it is on each place in it', () => {
    const trees = (glob: string, path: string): string =>
      verdicts({ paths: [glob] }, { names: { trees: ['path'] }, args: { path } });
    const cases: [string, string, string][] = [
      ['src/**', 'src', YES],
      ['src/**', 'src/deep', YES],
      ['src/*', 'src', UNKNOWN],
      ['secrets/**', '.', UNKNOWN],
      ['**/.env', 'src', UNKNOWN],
      ['secrets/**', 'src', NO],
      ['secrets/**', '/', UNKNOWN],
    ];
    for (const [glob, path, expected] of cases) assert.equal(trees(glob, path), expected, `${glob} ${path}`);
  });

  it('on a folder that is not named is on the root', () => {
    const of = { names: { trees: ['path'] }, args: { pattern: 'x' } };
    assert.deepEqual([verdicts({ paths: ['secrets/**'] }, of), verdicts({ paths: ['**'] }, of)], [UNKNOWN, YES]);
  });

  it('finds those that a diff names', () => {
    const patch =
      'diff --git a/src/a b/src/a\n--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-x\n+y\n--- /dev/null\n+++ b/ci/key\n';
    const of = { names: { patches: ['patch'] }, args: { patch } };
    assert.equal(verdicts({ paths: ['src/**'] }, of), UNKNOWN);
    assert.equal(verdicts({ paths: ['src/**', 'ci/**'] }, of), YES);
    assert.equal(verdicts({ paths: ['other/**'] }, of), NO);
  });

  it('looks at every text of a tool that says nothing, and at every word of a command, and allows neither', () => {
    assert.equal(verdicts({ paths: ['**/.env'] }, { args: { any: { where: 'a/.env' } } }), UNKNOWN);
    assert.equal(verdicts({ paths: ['**/.env'] }, { args: { any: 'else' } }), NO);
    const shell = (command: string): string =>
      verdicts({ paths: ['**/.env'] }, { names: { commands: ['command'] }, args: { command } });
    for (const command of ['cat .env', 'cat < a/.env', 'cp --from=.env x', 'echo "$(cat .env)"', 'cat $x', 'x > .env'])
      assert.equal(shell(command), UNKNOWN, command);
    assert.equal(shell('cat a.txt'), NO);
    assert.equal(verdicts({ paths: ['**'] }, { names: {}, args: { text: 'a/b' } }), NO);
  });
});

describe('a condition on hosts', () => {
  const on = (host: string, url: string): string =>
    verdicts({ hosts: [host] }, { names: { urls: ['url'] }, args: { url } });

  it('is on the host that the URL leads to', () => {
    const cases: [string, string, string][] = [
      ['api.example.com', 'https://api.example.com/x?y', YES],
      ['*.example.com', 'https://API.Example.com./', YES],
      ['*.example.com', 'https://example.com', NO],
      ['example.com', 'https://example.com@evil.test/', NO],
      ['evil.test', 'https://example.com@evil.test/', YES],
      ['example.com', 'https://example.com.evil.test/', NO],
      ['127.0.0.1', 'http://2130706433/', YES],
      ['example.com', 'not a url', UNKNOWN],
    ];
    for (const [host, url, expected] of cases) assert.equal(on(host, url), expected, `${host} ${url}`);
  });

  it('finds hosts in commands', () => {
    const shell = (command: string): string =>
      verdicts({ hosts: ['*.evil.test'] }, { names: { commands: ['c'] }, args: { c: command } });
    for (const command of ['curl https://a.evil.test/x', 'curl a.evil.test', 'git clone git@a.evil.test:x', 'curl $u'])
      assert.equal(shell(command), UNKNOWN, command);
    assert.equal(shell('curl https://example.com'), NO);
  });
});

describe('a condition on a command', () => {
  const of = (command: string): Case => ({ names: { commands: ['command'] }, args: { command } });
  it('allows a script where each of its commands is allowed, by one rule or by several', () => {
    const rules: PolicyRule[] = [
      { decision: 'allow', tool: '*', command: 'git status' },
      { decision: 'allow', tool: '*', command: ['npm test', 'ls'] },
    ];
    assert.equal(rule(rules, of('git status && npm test | ls')).verdict, 'allow');
    assert.equal(rule(rules, of('git status && npm test && npm publish')).verdict, 'ask');
    assert.equal(rule(rules.slice(0, 1), of('git status && npm test')).verdict, 'ask');
  });

  it('says nothing of a tool that runs none, and is closed to one that may', () => {
    assert.equal(verdicts({ command: 'rm' }, { names: {}, args: { command: 'rm' } }), NO);
    assert.equal(verdicts({ command: 'rm' }, { args: { cmd: 'rm x' } }), YES);
  });
});

describe('a condition on how things stand', () => {
  it('is on what the model has read', () => {
    const on = (tainted: boolean | Taint[], taint: Taint[]): string => verdicts({ tainted }, { standing: { taint } });
    assert.deepEqual([on(true, ['web']), on(true, []), on(false, []), on(false, ['web'])], [YES, NO, YES, NO]);
    assert.deepEqual([on(['web'], ['web', 'file']), on(['web'], ['file'])], [YES, NO]);
  });

  it('is on what the call may do to the world', () => {
    const on = (acts: ('write' | 'egress')[]): string => verdicts({ acts: ['egress'] }, { acts });
    assert.deepEqual([on(['egress']), on(['write', 'egress']), on(['write'])], [YES, UNKNOWN, NO]);
    assert.equal(verdicts({ acts: ['egress'] }, {}), UNKNOWN);
  });

  it('is on what the run has cost: up to so much it is allowed, over it denied', () => {
    const at = (nanoUsd: number): string => verdicts({ maxNanoUsd: 5 }, { standing: { nanoUsd } });
    assert.deepEqual([at(5), at(6)], ['allow ask', 'ask deny']);
  });

  it('ends when the rule expires', () => {
    const at = (time: number): string => verdicts({ expiresAt: 100 }, { standing: { at: time } });
    assert.deepEqual([at(99), at(100)], [YES, NO]);
  });
});

describe('a rule', () => {
  it('that cannot be obeyed is refused with what is wrong', () => {
    const cases: [Partial<PolicyRule>, RegExp][] = [
      [{ args: { x: { regex: '(' } } }, /no regular expression/],
      [{ args: { '/x~2': { equals: 1 } } }, /no JSON pointer/],
      [{ hosts: ['https://example.com'] }, /no host/],
      [{ hosts: ['example .com'] }, /no host/],
      ...['secrets/', 'a//b', 'a/../b', 'a/.'].map((glob): [Partial<PolicyRule>, RegExp] => [
        { paths: [glob] },
        /fits no path/,
      ]),
      [{ command: 'sudo' }, /cannot be allowed/],
      [{ command: ['ls', 'a | b'] }, /cannot be allowed/],
    ];
    for (const [more, message] of cases)
      assert.match(misfitOfRule({ decision: 'allow', tool: '*', ...more })?.message ?? '', message);
    assert.equal(
      misfitOfRule({
        decision: 'deny',
        tool: '*',
        command: 'sudo',
        paths: ['**', './a/**', '../b', '.', '/', '/c'],
        hosts: ['*'],
      }),
      null,
    );
  });

  it('that cannot be evaluated never allows, and denies', () => {
    assert.equal(verdicts({ args: { x: { regex: '(' } } }, { args: { x: 'y' } }), UNKNOWN);
    assert.equal(verdicts({ command: 'a | b' }, { names: { commands: ['c'] }, args: { c: 'ls' } }), UNKNOWN);
  });

  it('is told with all of its conditions', () => {
    const told = ruleText({
      decision: 'deny',
      tool: 'web_*',
      args: { to: { glob: '*' } },
      hosts: ['*.test'],
      command: 'git push',
      tainted: ['web'],
      acts: ['egress'],
      maxNanoUsd: 2e9,
      reason: 'no way out',
    });
    assert.equal(
      told,
      'deny web_* (to like *; hosts *.test; command git push; after words of web; to egress; over 2 USD): no way out',
    );
  });
});

const condition = fc.record(
  {
    tool: fc.constantFrom('*', 'act', 'other', 'a*'),
    args: fc.constantFrom({ path: { glob: '*' } }, { path: { regex: 'x' } }, { none: { equals: 1 } }),
    paths: fc.constantFrom(['**'], ['src/**'], ['secrets/**']),
    hosts: fc.constantFrom(['*'], ['*.test']),
    command: fc.constantFrom('git status', 'rm', 'git'),
    tainted: fc.constantFrom<(boolean | Taint[])[]>(true, false, ['web']),
    acts: fc.constantFrom<('write' | 'egress')[][]>(['write'], ['egress'], ['write', 'egress']),
    maxNanoUsd: fc.constantFrom(0, 10),
    expiresAt: fc.constantFrom(1, 5_000),
  },
  { requiredKeys: ['tool'] },
);
const rules = (decision: PolicyRule['decision']) =>
  fc.array(
    condition.map((given) => ({ decision, ...given }) as unknown as PolicyRule),
    { maxLength: 4 },
  );
const calls = fc.record({
  args: fc.record({
    path: fc.constantFrom('src/a', 'secrets/x', '../x', 'x\u0000', ''),
    url: fc.constantFrom('https://a.test', 'https://b.example', 'nothing'),
    command: fc.constantFrom('git status', 'rm x', 'git status; $x', 'if', ''),
  }),
  names: fc.constantFrom<ArgumentNames[]>(
    { paths: ['path'], urls: ['url'], commands: ['command'] },
    { trees: ['path'] },
    {},
  ),
  mode: fc.constantFrom<Mode[]>('ask', 'accept-edits', 'read-only', 'bypass'),
  approval: fc.constantFrom<('always' | 'never')[]>('always', 'never'),
  standing: fc.record({ taint: fc.subarray<Taint>(['web', 'file']), nanoUsd: fc.constantFrom(0, 5, 50) }),
});
const filed = (all: PolicyRule[]): FiledRule[] => all.map((each, n) => ({ rule: each, told: `filed ${n}` }));
const RANK = { allow: 0, ask: 1, deny: 2 } as const;

describe('whatever the rules and the call', () => {
  it('a denial is lifted by nothing: no rule, no grant, no mode', () => {
    fc.assert(
      fc.property(
        rules('deny'),
        rules('ask'),
        rules('allow'),
        rules('allow'),
        calls,
        (deny, ask, allow, grants, call) => {
          fc.pre(rule(deny, { ...call, mode: 'ask' }).verdict === 'deny');
          assert.equal(
            rule([...grants, ...allow, ...ask, ...deny], { ...call, filed: filed([...allow, ...grants]) }).verdict,
            'deny',
          );
          assert.equal(rule(allow, { ...call, filed: filed([...grants, ...deny]) }).verdict, 'deny');
        },
      ),
    );
  });

  it('one more rule that asks or denies never gives more leave, one more that allows never less', () => {
    fc.assert(
      fc.property(rules('deny'), rules('ask'), rules('allow'), calls, (deny, ask, allow, call) => {
        const before = RANK[rule([...ask, ...allow], call).verdict];
        assert.ok(RANK[rule([...ask, ...allow, ...deny], call).verdict] >= before);
        assert.ok(RANK[rule(allow, call).verdict] <= RANK[rule([...ask, ...allow], call).verdict]);
        assert.ok(RANK[rule(ask, call).verdict] >= before);
      }),
    );
  });

  it('the order of rules, and where they stand, changes no verdict', () => {
    fc.assert(
      fc.property(rules('deny'), rules('ask'), rules('allow'), calls, (deny, ask, allow, call) => {
        const all = [...deny, ...ask, ...allow];
        const { verdict } = rule(all, call);
        assert.equal(rule(all.toReversed(), call).verdict, verdict);
        assert.equal(rule([], { ...call, filed: filed(all) }).verdict, verdict);
      }),
    );
  });

  it('the mode read-only lets nothing through that may do something, whatever is granted', () => {
    fc.assert(
      fc.property(rules('allow'), calls, (allow, call) => {
        assert.equal(rule(allow, { ...call, mode: 'read-only' }).verdict, 'deny');
      }),
    );
  });

  it('what cannot be read is never allowed by a condition on it', () => {
    const closed: [Omit<PolicyRule, 'decision' | 'tool'>, Case][] = [
      [{ paths: ['**'] }, { names: { paths: ['path'] }, args: { path: 'x\u0000' } }],
      [{ paths: ['**'] }, { names: { paths: ['path'] }, args: {} }],
      [{ hosts: ['*'] }, { names: { urls: ['url'] }, args: { url: 'nothing' } }],
      [{ command: 'git' }, { names: { commands: ['command'] }, args: { command: 'git "' } }],
      [{ args: { x: { glob: '*' } } }, {}],
    ];
    for (const [given, of] of closed)
      assert.equal(rule([{ decision: 'allow', tool: '*', ...given }], of).verdict, 'ask');
  });
});
