/** Works on sessions of a store that processes share; clients talk to gateways. */
import { DEFAULT_QUEUE } from '@perdure/runtime';
import type { Work } from '../../node.ts';
import { chosen } from '../../node.ts';
import { preflightAtStart } from '../../preflight.ts';
import type { Runtime } from '../../runtime.ts';
import { version } from '../../version.ts';
import type { Context, Run } from '../context.ts';
import { UsageError } from '../exit.ts';
import type { Local } from '../local.ts';
import { print } from '../output.ts';
import { NO_SANDBOX } from '../sandbox.ts';
import { live, sourceOf, unusableModels, whileStorageLasts } from '../serving.ts';
import { sharedLocal, startShared } from '../shared.ts';
import { untilStopped } from '../signals.ts';

export const worker: Run = async (context) => {
  const stopped = untilStopped().then(() => ({}));
  const local = await sharedLocal(context);
  const agents = agentsOf(context, local);
  return whileStorageLasts(async () => {
    const runtime = await startShared(context, local, 'worker', workOn(agents, local));
    return live(runtime, stopped, {
      local,
      serves: false,
      ready: async () => {
        print(await welcome(local, runtime, agents));
        return preflightAtStart(runtime);
      },
    });
  });
};

/** Throws UsageError for names that nothing has. */
function agentsOf({ flags }: Context, { options }: Local): readonly string[] {
  const choice = { agents: namesOf(flags, 'agents'), queues: namesOf(flags, 'queue') };
  try {
    return chosen(options.agents, choice, DEFAULT_QUEUE);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function namesOf(flags: Context['flags'], flag: 'agents' | 'queue'): string[] | null {
  const value = flags[flag];
  if (value === undefined || value === true) return null;
  const names = [value].flat().flatMap((each) => each.split(','));
  const named = names.map((name) => name.trim()).filter((name) => name !== '');
  if (named.length === 0) throw new UsageError(`--${flag} names none`);
  return named;
}

/** One that has all agents there are works on what is left of agents that are defined no more, too. */
const workOn = (agents: readonly string[], { options }: Local): Work =>
  agents.length === options.agents.length ? {} : { agents };

async function welcome(local: Local & { place: string }, runtime: Runtime, agents: readonly string[]): Promise<string> {
  const { leases } = runtime.host.parts.store;
  const own = (await leases.list('node/')).find(({ address }) => address === runtime.address);
  const from = sourceOf(local) ?? 'built in';
  const lines = [
    `Perdure worker ${version()} runs as ${own?.name ?? 'a node whose lease has run out already'}`,
    `  store    ${local.place}`,
    `  agents   ${agents.join(', ')} (${from})`,
    `  internal ${runtime.address} (/health/ready)`,
    ...(local.settings.sandbox === 'none' ? [`  sandbox  ${NO_SANDBOX}`] : []),
    ...unusableModels(runtime).map((problem) => `  warning  ${problem}`),
    'Ctrl-C stops it; its sessions go on with another one.',
  ];
  return `${lines.join('\n')}\n`;
}
