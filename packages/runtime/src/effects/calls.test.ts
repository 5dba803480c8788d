import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policies } from '@perdure/engine';
import { createVirtualSystem } from '@perdure/testkit';
import type { Manifest } from '../definitions/agents.ts';
import { createBodies } from './bodies.ts';
import { parseArguments } from './calls.ts';
import { prepareCall } from './prepare.ts';
import { argumentsDigest } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import { Redactor } from '../secrets/redact.ts';

const manifest = {
  tools: [
    {
      name: 'pay',
      description: 'Pays.',
      input: {
        type: 'object',
        properties: { amount: { type: 'integer' }, to: { $ref: '#/$defs/node' } },
        required: ['amount'],
        additionalProperties: false,
        $defs: { node: { type: 'array', items: { $ref: '#/$defs/node' } } },
      },
      effect: 'keyed',
      approval: 'always',
      timeoutMs: 5,
      verify: true,
    },
  ],
} as unknown as Manifest;

const prepare = async (name: string, args: string, policies: Policies = {}) => {
  const bodies = createBodies({ random: createVirtualSystem().random, redactor: new Redactor() });
  const call = await prepareCall(manifest, { id: 'call_1', name, arguments: args }, bodies, {
    policies,
    filed: [],
    standing: { at: 0, taint: [], nanoUsd: 0 },
  });
  const said =
    bodies.stored.bodies.find(({ digest }) => digest === (call.denial ?? call.invalid?.result)?.digest)?.text ?? '{}';
  return { ...call, said: (JSON.parse(said) as { content?: string }).content ?? '' };
};

test('a call has the facts of the declaration that its run is pinned to, and the digest of its arguments', async () => {
  const { said: _said, judged, ...call } = await prepare('pay', ' {"amount": 5} ');
  assert.deepEqual(call, {
    name: 'pay',
    providerId: 'call_1',
    digest: argumentsDigest('pay', { amount: 5 }),
    effect: 'keyed',
    taint: [],
    timeoutMs: 5,
    verify: true,
    invalid: null,
  });
  assert.partialDeepStrictEqual(judged, { approval: 'always', edits: false, acts: ['write', 'egress'] });
});

test('a call that the policies deny carries the reason for the model; any other carries none', async () => {
  const rules = [{ decision: 'deny', tool: 'p*', reason: 'audit until Friday' }] as const;
  const denied = await prepare('pay', '{"amount": 5}', { rules: [...rules] });
  assert.match(denied.said, /^Not run: .*rule deny p\*: audit until Friday/);
  assert.equal((await prepare('pay', '{"amount": 5}', { mode: 'bypass' })).denial, undefined);
  const long = { decision: 'deny', tool: '*', reason: 'x'.repeat(2 * LIMITS.messageChars) } as const;
  assert.ok((await prepare('pay', '{"amount": 5}', { rules: [long] })).said.length <= LIMITS.messageChars);
});

test('a tool that is not there is answered with those that are', async () => {
  const call = await prepare('steal', '{}');
  assert.equal(call.invalid?.code, 'unknown_tool');
  assert.match(call.said, /no tool steal\. Tools: pay\./);
  assert.deepEqual([call.effect, call.judged], ['unsafe', null]);
  for (const name of ['__proto__', 'constructor', 'toString', ''])
    assert.equal((await prepare(name, '{}')).invalid?.code, 'unknown_tool');
});

test('broken, unfit, too deep and too large arguments are answered with what is wrong, and have no digest', async () => {
  const cases: [string, string, RegExp][] = [
    ['{"amount":5', 'invalid_json', /not valid JSON/],
    ['{"amount":"5"}', 'invalid_arguments', /arguments\/amount must be integer/],
    ['', 'invalid_arguments', /required property 'amount'/],
    ['[]', 'invalid_arguments', /must be object/],
    ['{"amount":5,"__proto__":{"x":1}}', 'invalid_arguments', /additional properties/],
    [`{"amount":5,"to":${'['.repeat(100)}${']'.repeat(100)}}`, 'invalid_arguments', /deeper/],
    [`{"amount":5,"to":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'invalid_arguments', /deeper/],
    [`{"amount":5,"x":"${'y'.repeat(LIMITS.argumentBytes)}"}`, 'too_large', /more than 262144 bytes/],
  ];
  for (const [args, code, said] of cases) {
    const call = await prepare('pay', args);
    assert.equal(call.invalid?.code, code, args.slice(0, 80));
    assert.match(call.said, said);
    assert.ok(call.said.length <= LIMITS.messageChars);
    assert.equal(call.digest, '');
  }
});

test('no text at all stands for no arguments', () => {
  assert.deepEqual(parseArguments(' '), { ok: true, value: {} });
  assert.equal(parseArguments('{').ok, false);
});
