/**
 * What was asked for and may not be meant: an agent or a tool that nobody here has. It is done all the same, because it may
 * be added later, or run in another process; whoever asked is told.
 */
import type { PolicyRule } from '@perdure/engine';
import { matchesTool } from '../policy/patterns.ts';
import type { ToolDefinition } from '../ports.ts';

/** An agent as far as notices go by it. */
export type Known = { name: string; tools: readonly Pick<ToolDefinition, 'name' | 'names'>[] };

const listed = (names: readonly string[]): string => [...new Set(names)].toSorted().join(', ') || 'none';

/** `[]` where the agent is defined here, and where none is: then nobody knows. */
export function noticesOfAgent(name: string, agents: readonly Known[]): string[] {
  const names = agents.map((agent) => agent.name);
  if (names.length === 0 || names.includes(name)) return [];
  return [`no agent ${name} is defined here (${listed(names)}): it counts once there is one`];
}

export function noticesOfTools(wanted: readonly string[], agents: readonly Known[]): string[] {
  const names = agents.flatMap(({ tools }) => tools.map((tool) => tool.name));
  const unknown = agents.length === 0 ? [] : wanted.filter((name) => !names.includes(name));
  return unknown.map((name) => `no agent here has a tool ${name} (${listed(names)}): it counts once one has`);
}

/** `agent`: whose rule it is; null: that of all. */
export function noticesOfRule(rule: PolicyRule, agent: string | null, agents: readonly Known[]): string[] {
  const concerned = agents.filter(({ name }) => agent === null || name === agent);
  if (concerned.length === 0) return [];
  const tools = concerned.flatMap((each) => each.tools);
  const meant = tools.filter(({ name }) => matchesTool(rule.tool, name));
  const whose = agent === null ? 'no agent here' : `agent ${agent}`;
  const verb = agent === null ? 'has a tool' : 'has no tool';
  if (meant.length === 0)
    return [`${whose} ${verb} ${rule.tool} (${listed(tools.map(({ name }) => name))}): it counts once there is one`];
  // A tool that says nothing may name anything.
  const none = (...kinds: readonly (keyof NonNullable<ToolDefinition['names']>)[]): boolean =>
    meant.every(({ names }) => names !== undefined && kinds.every((kind) => (names[kind]?.length ?? 0) === 0));
  const what = listed(meant.map(({ name }) => name));
  return [
    ...(rule.command !== undefined && none('commands') ? [`${what} runs no command: the rule counts for no call`] : []),
    ...(rule.paths !== undefined && none('paths', 'trees', 'patches', 'commands')
      ? [`${what} names no path: the rule counts for no call`]
      : []),
    ...(rule.hosts !== undefined && none('urls', 'commands')
      ? [`${what} names no host: the rule counts for no call`]
      : []),
  ];
}

/** In a view, where there are any. */
export const withNotices = <T extends object>(view: T, notices: readonly string[]): T & { notices?: string[] } =>
  notices.length === 0 ? view : { ...view, notices: [...notices] };
