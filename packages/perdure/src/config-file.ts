/** What a folder says of its agents: `perdure.config.ts`, and the folders in `agents/` beside it. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ConfigError } from '@perdure/runtime';
import type { AgentFolder } from './agent-folders.ts';
import { AGENTS, readAgentFolders } from './agent-folders.ts';
import type { Config, ConfigFile } from './config.ts';
import { defineConfig } from './config.ts';
import { importModule, located } from './modules.ts';
import type { Environment } from './settings.ts';

export const CONFIG_NAMES = ['perdure.config.ts', 'perdure.config.mjs', 'perdure.config.js'];

export type Project = {
  /** The configuration's file; null: its agents are folders alone. */
  file: string | null;
  /** With all agents: first those of the file, then the folders by name. */
  config: Config;
  folders: readonly AgentFolder[];
  /** The file's export of that name (see `perdure simulate`). */
  simulation: unknown;
};

/** The file that is meant: the named one, else the first of the usual names; null where there is none. */
export function findConfig(directory: string, named: string | null): string | null {
  if (named === null) return CONFIG_NAMES.map((name) => join(directory, name)).find((path) => existsSync(path)) ?? null;
  const file = resolve(directory, named);
  if (!existsSync(file))
    throw new ConfigError(
      'invalid_config',
      named,
      'there is no such file: name one that is there, or leave --config out',
    );
  return file;
}

/** Null where nothing defines an agent. Throws ConfigError whose path begins with the name of the file that is wrong. */
export async function loadProject(directory: string, named: string | null, env: Environment): Promise<Project | null> {
  const file = findConfig(directory, named);
  const loaded = file === null ? { config: {}, simulation: undefined } : await loadConfig(file);
  const home = file === null ? directory : dirname(file);
  const folders = await readAgentFolders(join(home, AGENTS), relative(directory, join(home, AGENTS)), env);
  const { config, simulation } = loaded;
  const agents = [...(config.agents ?? []), ...folders.map(({ definition }) => definition)];
  for (const { definition, shown } of folders)
    if (agents.find(({ name }) => name === definition.name) !== definition)
      throw new ConfigError('duplicate_agent', shown, `${basename(file ?? '')} has an agent ${definition.name} too`);
  if (agents.length > 0) return { file, config: { ...config, agents }, folders, simulation };
  if (file === null) return null;
  throw new ConfigError(
    'invalid_config',
    `${basename(file)}: agents`,
    `there is no agent: define one with agent({ name, model }), or as a folder ${AGENTS}/NAME`,
  );
}

async function loadConfig(file: string): Promise<{ config: ConfigFile; simulation: unknown }> {
  const name = basename(file);
  const { default: exported, simulation } = await importModule(file, name);
  if (typeof exported !== 'object' || exported === null)
    throw new ConfigError('invalid_config', name, 'has no default export: write export default defineConfig({ ... })');
  try {
    return { config: defineConfig(exported as ConfigFile), simulation };
  } catch (error) {
    throw located(error, file, name);
  }
}
