/**
 * A repair: the agent runs the failing test of a small repository in a sandbox, reads the code, changes it once a person has
 * approved the change, and runs the test again. Kill it at any moment and start it again: it goes on where it was. Needs
 * Linux and bubblewrap: see docs/guides/shell.md.
 *
 *     npx node examples/repair/program.ts [FOLDER]
 *
 * With OPENAI_API_KEY a real model does it (OPENAI_BASE_URL: at another endpoint; MODEL: another one, such as openai-chat/NAME).
 */
import { agent, createRuntime, files, readMore, shell } from 'perdure';
import { chownSync, cpSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? 'repair';
const work = join(folder, 'work'); // beside the data, for no command may see that
if (!existsSync(work)) {
  const copy = join(folder, 'copy');
  mkdirSync(folder, { recursive: true });
  cpSync(join(import.meta.dirname, 'sample'), copy, { recursive: true });
  if (process.getuid?.() === 0) chownSync(copy, 65_534, 65_534); // commands never run as root
  renameSync(copy, work);
}

const isDemo = process.env['OPENAI_API_KEY'] === undefined;
const mechanic = agent({
  name: 'mechanic',
  model: isDemo ? 'demo' : (process.env['MODEL'] ?? 'openai/gpt-5-mini'),
  instructions: 'You repair code. Run the tests (node --test) before and after, and change as little as you can.',
  tools: [files({ root: work, write: true }), shell({ root: work }), readMore()],
  // Commands see the folder read-only, without a network; changes of files still ask.
  policies: { rules: [{ decision: 'allow', tool: 'shell' }] },
  limits: { turns: 20, session: { tokens: 200_000 } },
});
const edit = {
  path: 'average.mjs',
  digest: 'ej5vg2rtnWX6G41T', // as read_file tells it
  edits: [{ old: '(numbers.length - 1)', new: 'numbers.length' }],
};
const task = isDemo
  ? [
      'call shell {"command": "node --test"}',
      'call read_file {"path": "average.mjs"}',
      `call edit_file ${JSON.stringify(edit)}`,
      'call shell {"command": "node --test"}',
    ].join('\nthen\n')
  : 'A test in this folder fails. Find out why, and repair the code.';

const rt = await createRuntime({ agents: [mechanic], data: join(folder, 'data') });
const session = await rt.open('mechanic', { key: 'repair' });
const run = await session.send(task, { submission: 'the failing test' });
let end = await run.result();
while (end.waits !== undefined && end.waits.length > 0) {
  for (const wait of end.waits) {
    console.log(`${wait.kind}: ${wait.call?.name} ${JSON.stringify(wait.call?.arguments)}`);
    // A person's part, here: the change is right; and tests that a crash cut short may run again.
    if (wait.kind === 'approval') await session.resolve(wait.id, { decision: 'approve', digest: wait.digest ?? '' });
    else await session.resolve(wait.id, { outcome: 'retry' });
  }
  end = await run.result();
}
console.log(`${end.status}: ${end.text}`);
await rt.close();
