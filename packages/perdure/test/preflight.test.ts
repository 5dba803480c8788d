import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createPlace } from './process.ts';

const config = (tool: string, more = ''): string => `
import { agent, defineConfig, tool } from 'perdure';
import { z } from 'zod';

const pay = tool({ name: 'pay', description: 'Pays.', input: z.object({ amount: z.number() }), approval: 'always', ${tool} run: () => 'paid' });
export default defineConfig({ agents: [agent({ name: 'payer', model: 'demo', tools: [pay] ${more} })] });
`;

test('what a deployment would meet is told before it is one, beside the server that has the data', async (t) => {
  const place = createPlace();
  t.after(async () => place.leave());
  const write = (name: string, text: string): void => writeFileSync(join(place.directory, name), text);
  write('perdure.config.ts', config(''));
  write('next.config.ts', config("effect: 'keyed',"));
  write('worded.config.ts', config('', ", instructions: 'Be brief.'"));
  write('broken.config.ts', 'export default 1;');

  const none = await place.run(['preflight']);
  assert.deepEqual([none.code, /there is no data in/.test(none.stderr)], [5, true]);

  const server = place.start(['up', '--port', '0']);
  await server.printed(/Ctrl-C stops it/);
  await server.printed(/"msg":"preflight"|preflight/);
  const asked = await place.run(['run', 'call pay {"amount": 2}']);
  assert.equal(asked.code, 7, asked.stderr);

  const [same, next, worded, lines, broken] = await Promise.all([
    place.run(['preflight']),
    place.run(['preflight', '--config', 'next.config.ts']),
    place.run(['preflight', '--config', 'worded.config.ts']),
    place.run(['preflight', '--config', 'next.config.ts', '--json']),
    place.run(['preflight', '--config', 'broken.config.ts']),
  ]);
  assert.deepEqual(
    [same.code, same.stdout],
    [0, '1 unfinished session: 1 unchanged, 0 changed, 0 to look at, 0 unreadable\n'],
  );
  assert.equal(next.code, 1);
  assert.match(next.stdout, /needs attention\n {2}pin_changed: .*class unsafe → keyed\n {2}tool_class: r1t1c0/);
  assert.deepEqual([worded.code, /goes on as it was pinned/.test(worded.stdout)], [0, true]);
  const [one, counts] = lines.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { [name: string]: unknown });
  assert.deepEqual(
    [one?.['verdict'], counts],
    ['attention', { counts: { sessions: 1, unchanged: 0, changed: 0, attention: 1, failed: 0 } }],
  );
  assert.equal(broken.code, 1);

  server.kill('SIGTERM');
  await server.ended;
  const after = await place.run(['preflight', '--config', 'next.config.ts']);
  assert.equal(after.code, 1, 'also when nobody has the data');
  const again = place.start(['up', '--port', '0', '--config', 'next.config.ts']);
  assert.match(await again.printed(/perdure preflight says/), /"attention":1/);
});
