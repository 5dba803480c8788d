/** What these agents would meet on this data, before they are deployed: for people and for CI. */
import type { ProviderView } from '@perdure/contract';
import type { PreflightCounts, SessionPreflight } from '@perdure/runtime';
import { Agents, countPreflight, noCounts, preflight, system } from '@perdure/runtime';
import { settled } from '../../assistant.ts';
import { modelsOf } from '../../models.ts';
import type { PostgresUrl } from '../../settings.ts';
import { isPostgres } from '../../settings.ts';
import { besideOf, keyedBeside, TENANT } from '../beside.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { localOf } from '../local.ts';
import { print, printJson } from '../output.ts';

/** Reads beside a server that has the data; calls nothing, writes nothing. */
export const checkFlight: Run = async (context) => {
  const { options, data, settings } = await localOf(context);
  const { store } = settings;
  if (store === 'memory') throw new UsageError('a store in memory holds nothing to look at');
  const beside = await besideOf(settings, data);
  if (beside === null) throw new UsageError(isPostgres(store) ? await noSchema(store) : noData(data));
  try {
    const { env, providers } = await keyedBeside(beside, settings, data, context.env, options.models?.endpoints);
    const models = modelsOf(options.models, env);
    try {
      const { policies, limits, compaction } = options;
      const defaults = {
        ...(policies === undefined ? {} : { policies }),
        ...(limits === undefined ? {} : { limits }),
        ...(compaction === undefined ? {} : { compaction }),
      };
      const agents = new Agents(settled(options.agents, env), models, defaults);
      const counts = noCounts();
      for await (const one of preflight({ now: system.clock.now(), store: beside.tenant(TENANT), agents, models })) {
        countPreflight(counts, one);
        tellOne(context, one);
      }
      const keys = providers.flatMap(({ provider, from, used }) => (from === null ? [] : [{ provider, from, used }]));
      if (isJson(context)) printJson({ counts, ...(keys.length === 0 ? {} : { keys }) });
      else print(`${summary(counts)}${keysText(keys)}`);
      return counts.attention + counts.failed === 0 ? EXIT.ok : EXIT.failed;
    } finally {
      await models.close();
    }
  } finally {
    await beside.close();
  }
};

const noSchema = async (url: PostgresUrl): Promise<string> => {
  const { placeOf } = await import('@perdure/stores/postgres');
  return `there is no data in ${placeOf(url)}`;
};
const noData = (data: string): string => `there is no data in ${data}: name its folder with --data`;

/** Whether a model is to be had depends on them, and where they are set may be another place than where they are wanted. */
function keysText(keys: readonly Pick<ProviderView, 'provider' | 'from' | 'used'>[]): string {
  const words = keys.map(({ provider, from, used }) => `${provider} (${used}, ${from === 'secret' ? 'stored' : from})`);
  return words.length === 0 ? '' : `keys of providers: ${words.join(', ')}\n`;
}

function tellOne(context: Context, one: SessionPreflight): void {
  if (isJson(context)) printJson(one);
  else if (one.verdict !== 'unchanged') print(shown(one));
}

function shown({ session, agent, status, verdict, findings }: SessionPreflight): string {
  const lines = findings.map(({ code, text, seq }) => `  ${code}${seq === undefined ? '' : ` at ${seq}`}: ${text}\n`);
  return `${session}  ${agent}, ${status}: ${WORDS[verdict]}\n${lines.join('')}`;
}

const WORDS: { readonly [verdict in SessionPreflight['verdict']]: string } = {
  unchanged: 'unchanged',
  changed: 'changed, and goes on as it was pinned',
  attention: 'needs attention',
  failed: 'cannot be read as it was',
};

function summary({ sessions, unchanged, changed, attention, failed }: PreflightCounts): string {
  if (sessions === 0) return 'nothing is unfinished\n';
  const parts = [`${unchanged} unchanged`, `${changed} changed`, `${attention} to look at`, `${failed} unreadable`];
  return `${sessions} unfinished session${sessions === 1 ? '' : 's'}: ${parts.join(', ')}\n`;
}
