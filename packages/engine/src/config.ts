import type { Facts, Rejection, Unfit } from './commands.ts';
import type { Config, Digest, Pin } from './values.ts';

/** Says where the instructions of a configuration are to be read. */
export function located(config: Config, seq: number): Config {
  return config.instructions === undefined ? config : { ...config, instructions: { ...config.instructions, seq } };
}

/** All content that a configuration names. */
export const configRefs = ({ instructions, mounts = [] }: Config): Digest[] => [
  ...(instructions === undefined ? [] : [instructions.digest]),
  ...mounts.map(({ tree }) => tree),
];

export const isUnfit = (pin: Pin | Unfit | null): pin is Unfit => pin !== null && 'unfit' in pin;

export const refusalOf = ({ unfit, path }: Unfit): Rejection => ({
  code: 'invalid_request',
  message: unfit,
  details: { path },
});

/** Why a session cannot have this configuration; null: it can, or nobody here can tell (its agent is elsewhere). */
export function refusalOfConfig(facts: Facts, config: Config): Rejection | null {
  const pin = facts.pin(config);
  return isUnfit(pin) ? refusalOf(pin) : null;
}

/** A configuration changed by another, which goes before it. Limits, policies and compaction change by member; mounts as a whole. */
export function mergeConfig(base: Config, over: Config): Config {
  const merged: Config = { ...base, ...over };
  if (base.limits !== undefined || over.limits !== undefined) merged.limits = { ...base.limits, ...over.limits };
  if (base.policies !== undefined || over.policies !== undefined)
    merged.policies = { ...base.policies, ...over.policies };
  if (base.compaction !== undefined || over.compaction !== undefined)
    merged.compaction = { ...base.compaction, ...over.compaction };
  return merged;
}

/**
 * The configuration a run works with: the session's, overridden by its own. Rules of both count, so that no run lifts
 * what its session denies.
 */
export function runConfig(session: Config, run: Config): Config {
  const merged = mergeConfig(session, run);
  const rules = [...(session.policies?.rules ?? []), ...(run.policies?.rules ?? [])];
  return rules.length === 0 ? merged : { ...merged, policies: { ...merged.policies, rules } };
}
