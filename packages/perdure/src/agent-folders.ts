/** A folder is an agent: `agents/NAME/` with `instructions.md`, and beside it `agent.ts`, `tools/*.ts`, `skills/` and `evals/`. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import process from 'node:process';
import type { AgentDefinition, AgentOptions } from '@perdure/runtime';
import { agent, ConfigError } from '@perdure/runtime';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { usualModel } from './assistant.ts';
import { LIMITS } from './limits.ts';
import { importModule, located } from './modules.ts';
import type { Environment } from './settings.ts';
import { skillsIn } from './skill-folders.ts';

/**
 * What `agent.ts` of a folder exports by default: an agent's options without its name, which is the folder's. Its tools
 * come before those of `tools/`; its instructions stand only where there is no `instructions.md`.
 */
export type AgentFolderOptions = Partial<Omit<AgentOptions, 'name'>> & {
  /**
   * Folders with its skills, from its own on; `false`: none. Default: its own `skills/`, then that of the project, beside
   * `agents/`.
   */
  skills?: false | readonly string[];
};

export type AgentFolder = {
  definition: AgentDefinition;
  /** As messages name it: `agents/support`. */
  shown: string;
  /** Files it was made of, from the folder on: `instructions.md`, `agent.ts`, `tools/refund.ts`. */
  files: readonly string[];
  /** What is in `evals/`: found, and not run by anything here. */
  evals: readonly string[];
};

export const AGENTS = 'agents';
const MODULE = /^(?!.*\.(test|spec|d)\.)[^._].*\.(ts|mts|mjs|js)$/;
const NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/**
 * The agents that stand as folders in a folder (`agents`, from the working directory), by name. One without a model has
 * that of the first key that the environment holds, else `demo`. Names that begin with `.` or `_` are no agents. Throws
 * ConfigError with the path of the file that is wrong.
 */
export async function loadAgents(directory: string): Promise<AgentDefinition[]> {
  const folder = resolve(directory);
  if (!isFolder(folder))
    throw new ConfigError('invalid_config', directory, 'is no folder: name the one with the agents');
  const found = await readAgentFolders(folder, relative(process.cwd(), folder) || '.', process.env);
  return found.map(({ definition }) => definition);
}

/** `shown`: how messages name the folder that holds them. None where it is not there. */
export async function readAgentFolders(folder: string, shown: string, env: Environment): Promise<AgentFolder[]> {
  if (!isFolder(folder)) return [];
  const names = readdirSync(folder).filter((name) => !/^[._]/.test(name) && isFolder(join(folder, name)));
  const found: AgentFolder[] = [];
  for (const name of names.toSorted())
    found.push(await readAgentFolder(join(folder, name), name, `${shown}/${name}`, env));
  return found;
}

async function readAgentFolder(folder: string, name: string, shown: string, env: Environment): Promise<AgentFolder> {
  if (!NAME.test(name))
    throw new ConfigError('invalid_config', shown, 'an agent name has lower-case letters, digits, _ and -, at most 64');
  const options = await readOptions(folder, shown);
  const instructions = readInstructions(folder, shown, options?.value.instructions);
  const tools = await readTools(folder, shown, options);
  const { skills, ...given } = options?.value ?? {};
  const own = tools.flatMap(({ tools: each }) => each);
  const file = options === null ? folder : join(folder, options.file);
  const place = options === null ? shown : `${shown}/${options.file}`;
  try {
    const known = own.some((tool) => tool.name === 'skill') ? [] : readSkills(folder, skills);
    const definition = agent({
      model: usualModel(env),
      ...given,
      name,
      instructions,
      tools: [...own, ...known],
    });
    const files = [
      ...(existsSync(join(folder, INSTRUCTIONS)) ? [INSTRUCTIONS] : []),
      ...new Set([...(options === null ? [] : [options.file]), ...tools.map((each) => each.file)]),
    ];
    return { definition, shown, files, evals: readEvals(folder) };
  } catch (error) {
    throw located(error, file, place);
  }
}

function readSkills(folder: string, skills: AgentFolderOptions['skills']): ToolDefinition[] {
  if (skills === false) return [];
  if (skills === undefined) return skillsIn([join(folder, 'skills'), join(folder, '../../skills')]);
  if (!Array.isArray(skills) || !skills.every((each) => typeof each === 'string'))
    throw new ConfigError('invalid_config', 'skills', "is neither false nor a list: write skills: ['./skills']");
  const folders = skills.map((each: string) => resolve(folder, each));
  const missing = folders.find((each) => !isFolder(each));
  if (missing !== undefined) throw new ConfigError('invalid_config', 'skills', `${missing} is no folder`);
  return skillsIn(folders);
}

const INSTRUCTIONS = 'instructions.md';

function readInstructions(folder: string, shown: string, given: string | undefined): string {
  const path = join(folder, INSTRUCTIONS);
  if (!existsSync(path)) {
    if (given !== undefined) return given;
    throw new ConfigError(
      'invalid_config',
      shown,
      `has no ${INSTRUCTIONS}: write one, or let the name begin with _ if it is no agent`,
    );
  }
  if (given !== undefined)
    throw new ConfigError(
      'invalid_config',
      `${shown}/${INSTRUCTIONS}`,
      'agent.ts has instructions too: keep one of them',
    );
  if (statSync(path).size > LIMITS.instructionsBytes)
    throw new ConfigError(
      'invalid_config',
      `${shown}/${INSTRUCTIONS}`,
      `has more than ${LIMITS.instructionsBytes} bytes`,
    );
  return readFileSync(path, 'utf8').trim();
}

type Options = { file: string; value: AgentFolderOptions };

async function readOptions(folder: string, shown: string): Promise<Options | null> {
  const file = ['agent.ts', 'agent.mts', 'agent.mjs', 'agent.js'].find((name) => existsSync(join(folder, name)));
  if (file === undefined) return null;
  const place = `${shown}/${file}`;
  const { default: value } = await importModule(join(folder, file), place);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(
      'invalid_config',
      place,
      'has no default export: write export default { model: ..., limits: ... }',
    );
  if ('name' in value)
    throw new ConfigError('invalid_config', `${place}: name`, 'the folder is the name: leave it out');
  return { file, value };
}

type Tools = { file: string; tools: readonly ToolDefinition[] };

/** Those of the options, then those of the files by their names. */
async function readTools(folder: string, shown: string, options: Options | null): Promise<Tools[]> {
  const given = options?.value.tools;
  if (options !== null && given !== undefined && !Array.isArray(given))
    throw new ConfigError('invalid_config', `${shown}/${options.file}: tools`, 'is no list: write tools: [...]');
  const read: Tools[] = options === null || given === undefined ? [] : [{ file: options.file, tools: given.flat() }];
  for (const name of modulesIn(join(folder, 'tools'))) {
    const file = `tools/${name}`;
    const { default: exported } = await importModule(join(folder, file), `${shown}/${file}`);
    const tools = [exported].flat();
    if (!tools.every(isTool))
      throw new ConfigError(
        'invalid_config',
        `${shown}/${file}`,
        'exports no tool: write export default tool({ ... }), or let the name begin with _ if it is none',
      );
    for (const tool of tools) {
      const before = read.find((each) => each.tools.some((other) => other.name === tool.name));
      if (before !== undefined)
        throw new ConfigError('invalid_config', `${shown}/${file}`, `${before.file} has a tool ${tool.name} already`);
    }
    read.push({ file, tools });
  }
  return read;
}

const isTool = (value: unknown): value is ToolDefinition =>
  typeof value === 'object' && value !== null && 'name' in value && 'run' in value && 'effect' in value;

function modulesIn(folder: string): string[] {
  return isFolder(folder)
    ? readdirSync(folder)
        .filter((name) => MODULE.test(name))
        .toSorted()
    : [];
}

function readEvals(folder: string): string[] {
  const evals = join(folder, 'evals');
  return isFolder(evals)
    ? readdirSync(evals)
        .filter((name) => !/^[._]/.test(name))
        .toSorted()
    : [];
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
