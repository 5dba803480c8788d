/** What a runtime in this process is made of: the configuration's file or the built-in assistant, with the settings. */
import { resolve } from 'node:path';
import { assistant } from '../assistant.ts';
import type { AgentFolder } from '../agent-folders.ts';
import { loadProject } from '../config-file.ts';
import { engineOf } from '../engine.ts';
import type { Sharing } from '../node.ts';
import type { RuntimeOptions } from '../runtime.ts';
import type { Origins, Settings } from '../settings.ts';
import { isPostgres, readSettings } from '../settings.ts';
import type { Context } from './context.ts';

export type Local = {
  options: RuntimeOptions;
  settings: Settings;
  origins: Origins;
  /** The data folder, from the file system's root. */
  data: string;
  /** The configuration's file; null: there is none. */
  file: string | null;
  /** The agents that are folders. */
  folders: readonly AgentFolder[];
};

/** Throws ConfigError, ModelConfigError or SettingError. */
export async function localOf(context: Context): Promise<Local> {
  const { cwd, dotenv, env, own, given } = context;
  // Configurations read keys as process.env.NAME: what `.env` says counts there as well.
  for (const name of Object.keys(dotenv)) if (env[name] !== undefined) process.env[name] = env[name];
  const project = await loadProject(cwd, context.settings.config, env);
  const file = project?.file ?? null;
  const { settings, origins } =
    project === null || file === null
      ? context
      : readSettings({ flags: given, env: own, dotenv, config: { file, values: project.config } });
  const data = resolve(cwd, settings.data);
  const {
    data: _data,
    store: _store,
    engine: configured,
    ...config
  } = project?.config ?? { agents: [assistant({ directory: cwd, data, env })] };
  // In memory there is no data; a folder that was named all the same is refused when the runtime starts.
  const named = settings.store === 'memory' && origins.data === 'default' ? {} : { data };
  const { store, sandbox } = settings;
  const engine = engineOf(settings, origins, configured);
  const sharing = isPostgres(store) ? sharingOf(settings) : {};
  return {
    options: { ...config, store, engine, sandbox, ...sharing, ...named },
    settings,
    origins,
    data,
    file,
    folders: project?.folders ?? [],
  };
}

function sharingOf({ internalHost, internalPort, leaseMs }: Settings): Sharing {
  return {
    ...(internalHost === null ? {} : { internalHost }),
    ...(internalPort === null ? {} : { internalPort }),
    ...(leaseMs === null ? {} : { leaseMs }),
  };
}
