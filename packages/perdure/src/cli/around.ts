/** The agents of the configuration, for a word on what may not be meant where no server has them. */
import type { AgentDefinition } from '@perdure/runtime';
import type { Context } from './context.ts';
import { localOf } from './local.ts';

/** `[]` also for a configuration that cannot be read: what was asked for does not need it. */
export const agentsAround = async (context: Context): Promise<readonly AgentDefinition[]> =>
  localOf(context).then(
    ({ options }) => options.agents ?? [],
    () => [],
  );
