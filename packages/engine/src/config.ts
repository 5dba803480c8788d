import type { Config } from './values.ts';

/** Says where the instructions of a configuration are to be read. */
export function located(config: Config, seq: number): Config {
  return config.instructions === undefined ? config : { ...config, instructions: { ...config.instructions, seq } };
}

/** The configuration a run works with: the session's, overridden by its own. Limits and policies merge by member. */
export function mergeConfig(base: Config, over: Config): Config {
  const merged: Config = { ...base, ...over };
  if (base.limits !== undefined || over.limits !== undefined) merged.limits = { ...base.limits, ...over.limits };
  if (base.policies !== undefined || over.policies !== undefined)
    merged.policies = { ...base.policies, ...over.policies };
  return merged;
}
