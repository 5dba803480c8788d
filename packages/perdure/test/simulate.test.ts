import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createPlace } from './process.ts';

const place = createPlace();
after(async () => place.leave());

/** `KEY`: what the bank is told to deduplicate on. */
const configOf = (key: string): string => `
import { agent, defineConfig, tool } from 'perdure';
import { invariant, simulation } from 'perdure/testing';
import { z } from 'zod';

const bank = new Map();
const charge = tool({
  name: 'charge',
  description: 'Charges a customer.',
  input: z.object({ customer: z.string(), cents: z.number().int() }),
  effect: 'keyed',
  approval: 'always',
  run: ({ customer }, ctx) => {
    bank.set(${key}, customer);
    return 'charged';
  },
});
export default defineConfig({ agents: [agent({ name: 'clerk', model: 'anthropic/some-model', tools: [charge] })] });
const given = simulation({
  messages: ['call charge {"customer": "c1", "cents": 500}', 'call charge {"customer": "c2", "cents": 700}'],
  world: () => (bank.clear(), bank),
  invariants: [invariant('charged once', (log, world) => new Set(world.values()).size === world.size)],
});
export { given as simulation };
`;

test('agents that keep their promises pass, whatever dies', async () => {
  writeFileSync(join(place.directory, 'perdure.config.ts'), configOf('ctx.key'));
  const { code, stdout, stderr } = await place.run(['simulate', '--seeds', '20']);
  assert.equal(code, 0, stderr + stdout);
  assert.match(stdout, /^\d+ runs, .*every promise and your invariant held\.\n$/);
});

test('a tool that charges twice is printed as at most ten steps, the same each time', async () => {
  writeFileSync(join(place.directory, 'twice.config.ts'), configOf('String(bank.size)'));
  const first = await place.run(['simulate', '--config', 'twice.config.ts']);
  assert.equal(first.code, 1, first.stderr);
  const steps = first.stdout.split('\n').filter((line) => /^ *\d+\. /.test(line));
  assert.ok(steps.length <= 10, first.stdout);
  assert.match(first.stdout, /did its work, and its outcome is lost\n.*started again\n.*attempt 2/);
  assert.match(first.stdout, /invariant 'charged once' does not hold/);
  const again = await place.run(['simulate', '--config', 'twice.config.ts', '--json']);
  const { failure } = JSON.parse(again.stdout) as { failure: { steps: string[]; plan: object } };
  assert.equal(failure.steps.length, steps.length);
});

test('tools that act do not run where no simulation stands in for the world, unless that is said', async () => {
  writeFileSync(
    join(place.directory, 'real.config.ts'),
    configOf('ctx.key').replace('export { given as simulation };', 'console.log(typeof given);'),
  );
  const refused = await place.run(['simulate', '--config', 'real.config.ts']);
  assert.deepEqual([refused.code, /charge would really run/.test(refused.stderr)], [5, true], refused.stderr);
  const said = await place.run(['simulate', '--config', 'real.config.ts', '--real-effects', '--seeds', '2']);
  assert.equal(said.code, 0, said.stderr + said.stdout);
});

test('what cannot be simulated is refused', async () => {
  const empty = createPlace();
  try {
    assert.equal((await empty.run(['simulate'])).code, 5);
    assert.equal((await place.run(['simulate', '--seeds', 'many'])).code, 5);
  } finally {
    await empty.leave();
  }
});
