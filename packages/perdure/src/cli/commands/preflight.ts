/** What these agents would meet on this data, before they are deployed: for people and for CI. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { PreflightCounts, SessionPreflight } from '@perdure/runtime';
import { Agents, countPreflight, noCounts, preflight, system } from '@perdure/runtime';
import type { ReadTenant } from '@perdure/runtime/ports';
import { DATABASE, readSqliteStore } from '@perdure/stores/sqlite';
import { modelsOf } from '../../models.ts';
import type { PostgresUrl } from '../../settings.ts';
import { isPostgres } from '../../settings.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { localOf } from '../local.ts';
import { print, printJson } from '../output.ts';

/** Reads beside a server that has the data; calls nothing, writes nothing. */
export const checkFlight: Run = async (context) => {
  const { options, data, settings } = await localOf(context);
  if (settings.store === 'memory') throw new UsageError('a store in memory holds nothing to look at');
  const beside = isPostgres(settings.store) ? await sharedStore(settings.store) : folderBeside(data);
  const models = modelsOf(options.models, context.env);
  try {
    const { policies, limits, compaction } = options;
    const defaults = {
      ...(policies === undefined ? {} : { policies }),
      ...(limits === undefined ? {} : { limits }),
      ...(compaction === undefined ? {} : { compaction }),
    };
    const agents = new Agents(options.agents, models, defaults);
    const counts = noCounts();
    for await (const one of preflight({ now: system.clock.now(), store: beside.tenant('default'), agents, models })) {
      countPreflight(counts, one);
      tellOne(context, one);
    }
    if (isJson(context)) printJson({ counts });
    else print(summary(counts));
    return counts.attention + counts.failed === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await beside.close();
    await models.close();
  }
};

type Beside = { tenant(name: string): ReadTenant; close(): void | Promise<void> };

function folderBeside(data: string): Beside {
  if (!existsSync(resolve(data, DATABASE)))
    throw new UsageError(`there is no data in ${data}: name its folder with --data`);
  return readSqliteStore(data);
}

/** Others have it open, too: who only reads is one more of them. An empty one is left as it is. */
async function sharedStore(url: PostgresUrl): Promise<Beside> {
  const { openPostgresStore, placeOf, readPostgresSchema } = await import('@perdure/stores/postgres');
  const options = { url, timers: system.timers };
  const { version } = await readPostgresSchema(options);
  if (version === 0) throw new UsageError(`there is no data in ${placeOf(url)}`);
  return openPostgresStore(options);
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
