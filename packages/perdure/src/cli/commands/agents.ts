/** The agents that a server has. */
import { readingProject } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT } from '../exit.ts';
import { NO_SANDBOX } from '../sandbox.ts';
import { oneLine, print, printJson, table, tell } from '../output.ts';
import { LIMITS } from '../../limits.ts';

const routeOf = (model: string | readonly string[]): string => [model].flat().join(', then ');

export const list: Run = async (context) => {
  const page = await readingProject(context, async (client) => client.call('agents.list', { limit: 1_000 }));
  if (isJson(context)) printJson(page);
  else {
    const rows = page.agents.map(({ name, model, tools, description }) => [
      name,
      routeOf(model),
      String(tools.length),
      description,
    ]);
    print(table([['AGENT', 'MODEL', 'TOOLS', 'DESCRIPTION'], ...rows]));
    if (page.agents.some(({ sandbox }) => sandbox === 'none')) tell(`sandbox: ${NO_SANDBOX}\n`);
    if (page.next !== undefined) tell('there are more\n');
  }
  return EXIT.ok;
};

/** Of a server that does not say, nothing is said. */
const sandboxIn = (kind: string | undefined): string => (kind === 'none' ? NO_SANDBOX : (kind ?? ''));

export const show: Run = async (context) => {
  const name = context.args[0] ?? '';
  const agent = await readingProject(context, async (client) => client.call('agents.get', { name }));
  if (isJson(context)) {
    printJson(agent);
    return EXIT.ok;
  }
  const tools = agent.tools.map((tool) => [
    `  ${tool.name}`,
    tool.class,
    tool.approval === 'always' ? 'asks' : 'runs',
    oneLine(tool.description, LIMITS.shownChars),
  ]);
  print(
    table([
      ['agent', agent.name],
      ['model', routeOf(agent.model)],
      ['version', agent.hash],
      ['about', agent.description],
      ['limits', JSON.stringify(agent.limits)],
      ['policies', JSON.stringify(agent.policies)],
      ['sandbox', sandboxIn(agent.sandbox)],
    ]),
  );
  print(`tools\n${table(tools)}`);
  return EXIT.ok;
};
