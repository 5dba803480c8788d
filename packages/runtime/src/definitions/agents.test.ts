import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config, Pin, Policies } from '@perdure/engine';
import { createScriptedModel } from '@perdure/testkit';
import { z } from 'zod';
import type { AgentOptions } from './agents.ts';
import type { ToolOptions } from './tool.ts';
import { agent, Agents } from './agents.ts';
import { tool } from './tool.ts';
import { ConfigError } from '../errors.ts';
import type { ToolDefinition } from '../ports.ts';

const models = createScriptedModel([], { models: ['scripted', 'other'] }).source;
const pay = (more: Partial<ToolOptions<unknown>> = {}): ToolDefinition =>
  tool({ name: 'pay', description: 'Pays.', input: { type: 'object' }, run: () => 'paid', ...more });
const base = { name: 'clerk', model: 'scripted' };
/** What a run is bound to: these tests ask for nothing unfit. */
const bound = (pin: ReturnType<Agents['pin']>): Pin | null =>
  pin !== null && 'unfit' in pin ? assert.fail(pin.unfit) : pin;
const pinOf = (options: Partial<AgentOptions>, config: Config = {}, defaults: { policies?: Policies } = {}) =>
  bound(new Agents([agent({ ...base, ...options })], models, defaults).pin(options.name ?? 'clerk', config));

const refusal = (work: () => unknown): { code: string; path: string; message: string } => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return { code: error.code, path: error.path, message: error.message };
  }
  return assert.fail('was not refused');
};

test('a typo is refused with its path', () => {
  const cases: [object, string][] = [
    [{ ...base, instruction: 'x' }, 'agent clerk.instruction'],
    [{ ...base, limits: { turn: 1 } }, 'agent clerk.limits.turn'],
    [{ ...base, limits: { session: { dollars: 1 } } }, 'agent clerk.limits.session.dollars'],
    [{ ...base, limits: { turns: 0 } }, 'agent clerk.limits.turns'],
    [{ ...base, policies: { mode: 'yolo' } }, 'agent clerk.policies.mode'],
    [{ ...base, policies: { rules: [{ decision: 'deny', tools: 'x' }] } }, 'agent clerk.policies.rules.0'],
    [{ ...base, tools: 'pay' }, 'agent clerk.tools'],
    [{ ...base, tools: ['pay'] }, 'agent clerk.tools.0'],
    [{ name: 'Clerk', model: 'm' }, 'agent Clerk.name'],
    [{ name: 'clerk' }, 'agent clerk.model'],
  ];
  for (const [options, path] of cases) {
    const refused = refusal(() => agent(options as AgentOptions));
    assert.equal(refused.code, 'invalid_config');
    assert.ok(refused.path.startsWith(path), `${refused.path}, not ${path}`);
    assert.ok(refused.message.startsWith(refused.path));
  }
  const wrong = { name: 'pay', description: 'x', input: {}, run: () => '', timeout: 5 };
  assert.equal(refusal(() => tool(wrong as unknown as ToolOptions<unknown>)).path, 'tool.timeout');
});

test('two tools with one name, and two agents with one name, are refused', () => {
  assert.match(refusal(() => agent({ ...base, tools: [[pay()], pay()] })).message, /two tools are called pay/);
  const twice = agent(base);
  assert.equal(refusal(() => new Agents([twice, twice], models)).code, 'duplicate_agent');
});

test('a schema that cannot work is refused where it is defined', () => {
  assert.match(refusal(() => pay({ input: { type: 'nothing' } })).message, /tool pay.*broken/);
  assert.match(refusal(() => pay({ input: z.date() })).message, /cannot be told to a model/);
  assert.match(refusal(() => agent({ ...base, output: { type: 'nothing' } })).path, /agent clerk\.output/);
  let deep: Record<string, unknown> = { type: 'object' };
  for (let i = 0; i < 100; i += 1) deep = { type: 'object', properties: { a: deep } };
  assert.equal(refusal(() => pay({ input: deep })).code, 'invalid_tool');
});

test('a tool is unsafe, runs without approval and has a minute, unless it says otherwise', () => {
  const { effect, approval, timeoutMs } = pay();
  assert.deepEqual([effect, approval, timeoutMs], ['unsafe', 'never', 60_000]);
});

test('a zod schema parses what the tool is given', async () => {
  const zod = tool({
    name: 'add',
    description: 'Adds.',
    input: z.object({ a: z.number(), b: z.number().default(5) }),
    run: ({ a, b }) => String(a + b),
  });
  assert.deepEqual(zod.input['required'], ['a']);
  assert.equal(await zod.run({ a: 2 }, {} as never), '7');
});

test('the hash of a pin changes with all that binds a run', () => {
  const first = pinOf({ tools: [pay()] })?.hash;
  assert.equal(pinOf({ tools: [pay()] })?.hash, first);
  const changes: [Partial<AgentOptions>, Config?][] = [
    [{ tools: [pay()], instructions: 'Be brief.' }],
    [{ tools: [pay()], model: 'other' }],
    [{ tools: [] }],
    [{ tools: [pay({ name: 'pays' })] }],
    [{ tools: [pay({ description: 'Pays!' })] }],
    [{ tools: [pay({ input: { type: 'object', required: ['a'] } })] }],
    [{ tools: [pay({ effect: 'keyed' })] }],
    [{ tools: [pay({ approval: 'always' })] }],
    [{ tools: [pay()], policies: { mode: 'bypass' } }],
    [{ tools: [pay()], limits: { turns: 3 } }],
    [{ tools: [pay()], output: { type: 'object' } }],
    [{ tools: [pay()], name: 'other' }],
    [{ tools: [pay()] }, { model: 'other' }],
    [{ tools: [pay()] }, { temperature: 1 }],
    [{ tools: [pay()] }, { limits: { turns: 3 } }],
    [{ tools: [pay()] }, { policies: { mode: 'bypass' } }],
    [{ tools: [pay()] }, { instructions: { digest: 'a', bytes: 1 } }],
  ];
  const hashes = changes.map(([options, config]) => pinOf(options, config)?.hash);
  assert.equal(new Set([first, ...hashes]).size, changes.length + 1);
});

test('the hash of a pin changes with nothing else', () => {
  const first = pinOf({ tools: [pay()] });
  assert.equal(pinOf({ tools: [pay({ run: () => 'else' })] })?.hash, first?.hash);
  assert.equal(pinOf({ tools: [pay()], description: 'For people.' })?.hash, first?.hash);
  const at = (seq: number): Config => ({ instructions: { digest: 'a', bytes: 1, seq } });
  assert.equal(pinOf({}, at(3))?.hash, pinOf({}, at(9))?.hash);
});

test('without a configuration of its own a run is bound to the version that its agent shows', () => {
  const agents = new Agents([agent(base)], models);
  assert.equal(bound(agents.pin('clerk', {}))?.hash, agents.get('clerk')?.hash);
});

test('a pin is made once for each configuration, and has the limits of agent, defaults and configuration', () => {
  const agents = new Agents([agent({ ...base, limits: { turns: 7, calls: 9 } })], models, {
    limits: { turns: 1, deadlineMs: 5 },
  });
  const pin = bound(agents.pin('clerk', { limits: { calls: 2 } }));
  assert.equal(agents.pin('clerk', { limits: { calls: 2 } }), pin);
  assert.deepEqual(pin?.limits, { turns: 7, calls: 2, deadlineMs: 5 });
  assert.equal(agents.pin('nobody', {}), null);
  assert.equal(agents.pin('clerk', { model: 'nowhere' }), null);
  assert.equal(bound(agents.pin('clerk', { maxOutputTokens: 4_000 }))?.maxOutputTokens, 4_000);
});

test("a denial among the operator's defaults is lifted by no agent", () => {
  const definition = agent({ ...base, policies: { mode: 'bypass', rules: [{ decision: 'allow', tool: '*' }] } });
  const agents = new Agents([definition], models, {
    policies: { mode: 'ask', rules: [{ decision: 'deny', tool: 'pay' }] },
  });
  assert.deepEqual(agents.get('clerk')?.manifest.policies, {
    mode: 'bypass',
    rules: [
      { decision: 'deny', tool: 'pay' },
      { decision: 'allow', tool: '*' },
    ],
  });
});
