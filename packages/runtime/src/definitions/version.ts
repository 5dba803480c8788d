/** The version a run is bound to: that of its agent, and what its own configuration adds to it. */
import type { Config } from '@perdure/engine';
import { canonicalJson, sha256 } from '../log/digest.ts';

/** The configuration as far as it binds a run: '{}' binds to nothing but its agent. */
export const bindingOf = (config: Config): string => canonicalJson(pinned(config));

/** `agent`: the hash of the agent's version. */
export function versionOf(agent: string, config: Config): string {
  const own = bindingOf(config);
  return own === '{}' ? agent : sha256(`${agent}\n${own}`);
}

/** Where the instructions are stored says nothing about what the run is bound to. */
function pinned(config: Config): Config {
  return config.instructions === undefined
    ? config
    : { ...config, instructions: { digest: config.instructions.digest, bytes: config.instructions.bytes } };
}
