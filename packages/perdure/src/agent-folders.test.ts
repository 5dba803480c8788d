import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { loadAgents, readAgentFolders } from './agent-folders.ts';
import { loadProject } from './config-file.ts';
import { LIMITS } from './limits.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'perdure-folders-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text);
};
const read = async (env = {}) => readAgentFolders(join(home, 'agents'), 'agents', env);
const tool = (name: string): string =>
  `import { tool } from 'perdure';
   export default tool({ name: '${name}', description: 'Does.', input: { type: 'object' }, effect: 'pure', run: () => '${name}' });`;
/** The path and the problem that loading ends with. */
const refusal = async (): Promise<string> => {
  let said = '';
  await assert.rejects(loadProject(home, null, {}), (error: Error & { code: string; path: string }) => {
    assert.match(error.code, /^(invalid_config|invalid_tool|duplicate_agent)$/);
    assert.ok(error.message.startsWith(error.path));
    said = error.message;
    return true;
  });
  return said;
};

test('a folder with instructions is an agent, with the model of the key that is there', async () => {
  put('agents/plain/instructions.md', '\nYou help.\n\n');
  const [plain] = await read();
  assert.deepEqual(
    [plain?.definition.name, plain?.definition.instructions, plain?.definition.model, plain?.files, plain?.evals],
    ['plain', 'You help.', 'demo', ['instructions.md'], []],
  );
  assert.equal((await read({ ANTHROPIC_API_KEY: 'x' }))[0]?.definition.model.toString().split('/')[0], 'anthropic');
  assert.equal((await read({ ANTHROPIC_API_KEY: ' ' }))[0]?.definition.model, 'demo');
});

test('its options, its tools and its evals are found beside them, in the order of their names', async () => {
  put('agents/support/instructions.md', 'You help.');
  put(
    'agents/support/agent.ts',
    `import type { AgentFolderOptions } from 'perdure';
     import { ask } from 'perdure';
     export default { model: 'demo', description: 'Helps.', limits: { turns: 3 }, tools: [ask()] } satisfies AgentFolderOptions;`,
  );
  put('agents/support/tools/refund.ts', tool('refund'));
  put('agents/support/tools/find.ts', `import { word } from './_words.ts';\n${tool('find')}\nword satisfies string;`);
  put('agents/support/tools/_words.ts', `export const word = 'a';`);
  put('agents/support/tools/find.test.ts', `throw new Error('a test is no tool');`);
  put('agents/support/tools/README.md', 'no tool');
  put('agents/support/tools/two.ts', `import { ask, sleep } from 'perdure';\nexport default [sleep()];`);
  put('agents/support/evals/basic.json', '{}');
  put('agents/_shared/words.ts', `export const word = 'b';`);
  put('agents/.cache/x', '');
  put('agents/README.md', 'no agent');
  const [support, ...others] = await read();
  assert.deepEqual(others, []);
  assert.deepEqual(
    support?.definition.tools.map(({ name }) => name),
    ['ask', 'find', 'refund', 'sleep'],
  );
  assert.deepEqual([support?.definition.limits, support?.definition.description], [{ turns: 3 }, 'Helps.']);
  assert.deepEqual(support?.files, ['instructions.md', 'agent.ts', 'tools/find.ts', 'tools/refund.ts', 'tools/two.ts']);
  assert.deepEqual(support?.evals, ['basic.json']);
});

test('folders stand behind the agents of a configuration beside them, and need none', async () => {
  assert.equal(await loadProject(home, null, {}), null);
  put('agents/b/instructions.md', 'B.');
  put('agents/a/instructions.md', 'A.');
  const names = async (): Promise<string[]> =>
    (await loadProject(home, null, {}))?.config.agents.map(({ name }) => name) ?? [];
  assert.deepEqual(await names(), ['a', 'b']);
  put(
    'perdure.config.ts',
    `import { agent, defineConfig } from 'perdure';
     export default defineConfig({ agents: [agent({ name: 'z', model: 'demo' })], limits: { turns: 5 } });`,
  );
  assert.deepEqual(await names(), ['z', 'a', 'b']);
  put('other/perdure.config.mjs', `export default { limits: { turns: 4 } };`);
  put('other/agents/c/instructions.md', 'C.');
  const other = await loadProject(home, 'other/perdure.config.mjs', {});
  assert.deepEqual([other?.config.agents.map(({ name }) => name), other?.config.limits], [['c'], { turns: 4 }]);
  assert.equal(other?.folders[0]?.shown, 'other/agents/c');
  assert.deepEqual(
    (await loadAgents(join(home, 'agents'))).map(({ name }) => name),
    ['a', 'b'],
  );
  await assert.rejects(loadAgents(join(home, 'nothing')), { code: 'invalid_config' });
});

test('what is wrong is told with the file it is in', async () => {
  const wrong: [{ [path: string]: string }, RegExp][] = [
    [{ 'agents/My Agent/instructions.md': '' }, /^agents\/My Agent: an agent name has/],
    [{ 'agents/a/notes.md': '' }, /^agents\/a: has no instructions\.md/],
    [
      { 'agents/a/instructions.md': 'x'.repeat(LIMITS.instructionsBytes + 1) },
      /^agents\/a\/instructions\.md: has more/,
    ],
    [
      { 'agents/a/instructions.md': 'x', 'agents/a/agent.ts': `export default { instructions: 'y' };` },
      /^agents\/a\/instructions\.md: agent\.ts has instructions too/,
    ],
    [{ 'agents/a/agent.ts': 'export const model = 1;' }, /^agents\/a\/agent\.ts: has no default export/],
    [{ 'agents/a/agent.ts': `export default { name: 'b' };` }, /^agents\/a\/agent\.ts: name: the folder is the name/],
    [
      { 'agents/a/agent.ts': `export default { instructions: 'x', limits: { turn: 3 } };` },
      /^agents\/a\/agent\.ts: agent a\.limits\.turn: unknown key turn/,
    ],
    [
      { 'agents/a/agent.ts': `export default { instructions: 'x', tools: 'none' };` },
      /^agents\/a\/agent\.ts: tools: is no list/,
    ],
    [
      { 'agents/a/agent.ts': `export default {\n  model: missing(),\n};` },
      /^agents\/a\/agent\.ts:2: cannot be loaded: missing is not defined/,
    ],
    [
      { 'agents/a/instructions.md': 'x', 'agents/a/tools/t.ts': 'export default {' },
      /^agents\/a\/tools\/t\.ts.*: cannot be loaded:/,
    ],
    [
      { 'agents/a/instructions.md': 'x', 'agents/a/tools/t.ts': 'export const t = 1;' },
      /^agents\/a\/tools\/t\.ts: exports no tool/,
    ],
    [
      {
        'agents/a/instructions.md': 'x',
        'agents/a/tools/t.ts': `import { tool } from 'perdure';\nexport default tool({ name: 'a b', description: 'x', input: {}, run: () => 1 });`,
      },
      /^agents\/a\/tools\/t\.ts: tool\.name: a tool name has/,
    ],
    [
      { 'agents/a/instructions.md': 'x', 'agents/a/tools/one.ts': tool('same'), 'agents/a/tools/two.ts': tool('same') },
      /^agents\/a\/tools\/two\.ts: tools\/one\.ts has a tool same already/,
    ],
    [
      {
        'agents/a/instructions.md': 'x',
        'perdure.config.ts': `import { agent, defineConfig } from 'perdure';\nexport default defineConfig({ agents: [agent({ name: 'a', model: 'demo' })] });`,
      },
      /^agents\/a: perdure\.config\.ts has an agent a too/,
    ],
    [{ 'perdure.config.mjs': 'export default { limits: {} };' }, /^perdure\.config\.mjs: agents: there is no agent/],
  ];
  for (const [files, said] of wrong) {
    for (const [path, text] of Object.entries(files)) put(path, text);
    assert.match(await refusal(), said);
    rmSync(home, { recursive: true });
    // A module is loaded once in a process: the next one has another place.
    home = mkdtempSync(join(tmpdir(), 'perdure-folders-'));
  }
});

const skill = (name: string): string => `---\nname: ${name}\ndescription: Does ${name}.\n---\nHow.\n`;
const catalogOf = async (): Promise<string | undefined> =>
  (await read())[0]?.definition.tools.find(({ name }) => name === 'skill')?.source?.read();

test('skills stand in folders beside it and beside all agents, its own first; there may be none', async () => {
  put('agents/a/instructions.md', 'A.');
  put('skills/README.md', 'no skill');
  assert.equal(await catalogOf(), undefined);
  put('agents/a/skills/own/SKILL.md', skill('own'));
  put('skills/shared/SKILL.md', skill('shared'));
  assert.match((await catalogOf()) ?? '', /- own: Does own\.\n- shared: Does shared\.$/);
  put('agents/a/agent.ts', 'export default { skills: false };');
  assert.equal(await catalogOf(), undefined);
});

test('skills may be where its options say; a folder that is not there and a skill that is broken are told', async () => {
  put('agents/b/instructions.md', 'B.');
  put('agents/b/agent.ts', "export default { skills: ['../../more'] };");
  assert.match(await refusal(), /^agents\/b\/agent\.ts: skills.*more is no folder$/);
  put('more/x/SKILL.md', skill('x'));
  assert.match((await catalogOf()) ?? '', /- x: Does x\.$/);
  put('more/y/SKILL.md', skill('z'));
  assert.match(await refusal(), /^agents\/b\/agent\.ts: skills.*is called z/);
  rmSync(join(home, 'more/y'), { recursive: true });
  put('agents/c/instructions.md', 'C.');
  put('agents/c/agent.ts', 'export default { skills: true };');
  assert.match(await refusal(), /^agents\/c\/agent\.ts: skills: is neither false nor a list/);
});
