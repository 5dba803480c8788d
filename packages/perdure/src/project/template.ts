/** A project as `perdure init` writes it: an agent as a folder, with tools, and a test with a scripted model. */
import { keysFound } from '@perdure/models';
import { envExample } from '../settings.ts';

export type Versions = { perdure: string; zod: string };

/** Only for the check of types; a test compares these with what this repository is checked with. */
export const TOOLING = { '@types/node': '24.19.2', typescript: '7.0.2' } as const;

/** The files by their paths, in the order in which a reader meets them. */
export function projectFiles(name: string, versions: Versions): { [path: string]: string } {
  return {
    'README.md': readme(name),
    'package.json': manifest(name, versions),
    'agents/support/instructions.md': INSTRUCTIONS,
    'agents/support/agent.ts': AGENT,
    'agents/support/tools/find_order.ts': FIND_ORDER,
    'agents/support/tools/refund.ts': REFUND,
    'test/support.test.ts': TEST,
    'tsconfig.json': TSCONFIG,
    '.env.example': envExample(keysFound({})),
    '.gitignore': 'node_modules/\n.perdure/\n.env\n',
  };
}

function manifest(name: string, { perdure, zod }: Versions): string {
  const content = {
    name,
    version: '0.0.0',
    private: true,
    type: 'module',
    scripts: { dev: 'perdure dev', start: 'perdure up', test: 'node --test', types: 'tsc --noEmit' },
    dependencies: { perdure, zod },
    devDependencies: TOOLING,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

const INSTRUCTIONS = `You help the customers of a small shop.

Look an order up before you refund it, and refund no more than it cost. Ask when you do not know which order is meant.
`;

const AGENT = `import type { AgentFolderOptions } from 'perdure';
import { ask } from 'perdure';

export default {
  description: 'Helps the customers of a small shop.',
  // Without a model: that of the first key in .env, else the demo model, which answers by rules.
  // model: 'openai/gpt-5-mini',
  tools: [ask()],
  limits: { turns: 12, deadlineMs: 24 * 60 * 60_000 },
} satisfies AgentFolderOptions;
`;

const FIND_ORDER = `import { tool } from 'perdure';
import { z } from 'zod';

const orders = new Map([
  [7, { item: 'teapot', cents: 2_400 }],
  [8, { item: 'kettle', cents: 5_900 }],
]);

export default tool({
  name: 'find_order',
  description: 'Finds an order by its number.',
  input: z.object({ order: z.number().int() }),
  effect: 'pure', // a read: it may run again
  run: ({ order }) => orders.get(order) ?? 'there is no such order',
});
`;

const REFUND = `import { tool } from 'perdure';
import { z } from 'zod';

export default tool({
  name: 'refund',
  description: 'Refunds an amount of an order.',
  input: z.object({ order: z.number().int(), cents: z.number().int().positive() }),
  effect: 'keyed', // whoever pays out deduplicates on the key: it is the same after any crash
  approval: 'always', // a person approves these very arguments
  run: ({ order, cents }, { key }) => \`refunded \${cents} cents of order \${order} under key \${key.slice(0, 8)}\`,
});
`;

const TEST = `import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAgents } from 'perdure';
import { createTestRuntime } from 'perdure/testing';

const agents = await loadAgents(join(import.meta.dirname, '../agents'));

test('a refund waits for a person, and goes out once it is approved', async () => {
  const script = [
    { calls: [{ name: 'find_order', arguments: { order: 7 } }] },
    { calls: [{ name: 'refund', arguments: { order: 7, cents: 500 } }] },
    { text: 'Done: you get 5.00 back.' },
  ];
  const { rt, model } = await createTestRuntime({ agents, script });
  const session = await rt.open('support');
  const run = await session.send('My teapot came broken. Order 7.');

  const parked = await run.result();
  assert.equal(parked.status, 'waiting');
  const [wait] = parked.waits ?? [];
  assert.deepEqual(wait?.call?.arguments, { order: 7, cents: 500 });
  await session.resolve(wait.id, { decision: 'approve', digest: wait.digest ?? '' });

  const end = await run.result();
  assert.equal(end.text, 'Done: you get 5.00 back.');
  model.verify();
  await rt.close();
});
`;

const TSCONFIG = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'esnext',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      // Node runs the files as they are.
      allowImportingTsExtensions: true,
      erasableSyntaxOnly: true,
      verbatimModuleSyntax: true,
      skipLibCheck: true,
      types: ['node'],
    },
    include: ['agents', 'test', '*.ts'],
  },
  null,
  2,
)}
`;

const readme = (name: string): string => `# ${name}

Agents on [Perdure](https://www.npmjs.com/package/perdure). A folder is an agent: \`agents/support/\` has its instructions, its
options (\`agent.ts\`) and its tools, one file each.

\`\`\`sh
npm install
npm test                                     # the agent with a scripted model: no key, no network
npm run dev                                  # a server that starts anew when a file changes; sessions go on
npx perdure run 'call find_order {"order": 7}'                      # in another terminal
npx perdure run 'call refund {"order": 7, "cents": 500}'            # asks you first
\`\`\`

Without a key the agent runs on the demo model, which calls the tool it is told to. Copy \`.env.example\` to \`.env\` and put a key
in for a real one. \`npm run types\` checks the types; \`npx perdure docs\` has the guides.
`;
