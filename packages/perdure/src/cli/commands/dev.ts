/** A server that starts anew when a file of the project changes. Sessions are in the data: they go on. */
import { dirname, join, relative, resolve } from 'node:path';
import { AGENTS } from '../../agent-folders.ts';
import { CONFIG_NAMES } from '../../config-file.ts';
import { LIMITS } from '../../limits.ts';
import { importedFiles } from '../../modules.ts';
import { SETTINGS } from '../../settings.ts';
import type { Context, Run } from '../context.ts';
import { checkProject, startServer } from '../dev/children.ts';
import type { NoServer, Server } from '../dev/children.ts';
import { createWatch, differing, extended, filesBelow } from '../dev/watch.ts';
import type { Seen, Watch } from '../dev/watch.ts';
import { EXIT, CommandError } from '../exit.ts';
import { known } from '../failures.ts';
import { localOf } from '../local.ts';
import { print, tell } from '../output.ts';
import { tellParent } from '../parent.ts';
import { untilStopped } from '../signals.ts';
import { time } from '../time.ts';

/** Tries whether the project can be served, and says so to who asked. */
export const check: Run = async (context) => {
  const problem = await localOf(context).then(
    () => null,
    (error: unknown) => known(error) ?? (error instanceof Error ? error.message : String(error)),
  );
  await tellParent({ type: 'checked', problem, files: importedFiles() });
  return problem === null ? EXIT.ok : EXIT.failed;
};

/** What stands between two changes. */
type Standing = {
  server: Server | null;
  /** Where the last one was: the next one is there, too. */
  url: string | null;
  /** The files as the server that runs was made of them. */
  made: Seen;
  /** When servers ended by themselves. */
  deaths: number[];
};

export const dev: Run = async (context) => {
  const stopped = untilStopped().then(() => 'stopped' as const);
  let imported: readonly string[] = [];
  const own = ownFiles(context);
  const watch = createWatch(() => [...new Set([...own(), ...imported])]);
  const standing: Standing = { server: null, url: null, made: new Map(), deaths: [] };
  for (let next: 'stopped' | 'go on' = 'go on'; next !== 'stopped';) {
    let seen = watch.look();
    if (standing.server === null || differing(standing.made, seen).length > 0) {
      const { problem, files } = await checkProject(
        flagsOf(context, ['data', 'store', 'config', 'host', 'port', 'token']),
      );
      // What a broken project has not come to may be what is wrong with it.
      imported = [...new Set([...imported, ...files])];
      seen = extended(seen, watch.look());
      if (problem === null) await renew(context, standing, seen);
      else tellBroken(problem, standing);
    }
    next = await untilNext(watch, seen, standing, stopped);
  }
  await standing.server?.stop();
  return EXIT.ok;
};

/** Ends the server that runs, and starts one on the project as it is now. Throws CommandError where the first does not start. */
async function renew(context: Context, standing: Standing, seen: Seen): Promise<void> {
  const begunMs = time.monotonicMs();
  await standing.server?.stop();
  standing.server = null;
  const isFirst = standing.url === null;
  const server = await startFree(context, standing.url);
  if ('failed' in server) {
    // It has said why; the project is not what is wrong.
    if (isFirst) throw new CommandError(EXIT.failed, 'nothing is served');
    tell(`it does not start (${server.failed}): the next change tries again\n`);
    return;
  }
  const paths = differing(standing.made, seen).map((path) => relative(context.cwd, path));
  Object.assign(standing, { server, url: server.url, made: seen });
  const seconds = ((time.monotonicMs() - begunMs) / 1_000).toFixed(1);
  if (isFirst) print(server.welcome);
  else print(`restarted in ${seconds} s: ${paths.length === 0 ? 'it had ended' : `${named(paths)} changed`}\n`);
}

/** At the same address, so that whoever follows a session finds it again. Data that somebody has for a moment is waited for. */
async function startFree(context: Context, url: string | null): Promise<Server | NoServer> {
  const port = url === null ? flagsOf(context, ['port']) : ['--port', new URL(url).port];
  const flags = [...flagsOf(context, ['data', 'store', 'config', 'host', 'token']), ...port];
  for (let tries = 1; ; tries += 1) {
    const server = await startServer(flags);
    const isTaken = url !== null && 'failed' in server && server.failed === 'data_in_use';
    if (!isTaken || tries === LIMITS.devTries) return server;
    await new Promise<void>((resolve) => void time.timers.set(LIMITS.devRetryMs, resolve));
  }
}

/** Until a file changes, the server ends by itself, or this is to stop. */
async function untilNext(
  watch: Watch,
  seen: Seen,
  standing: Standing,
  stopped: Promise<'stopped'>,
): Promise<'stopped' | 'go on'> {
  const change = watch.changed(seen);
  const changed = change.happened.then(() => 'changed' as const);
  const died = standing.server?.ended.then((how) => ({ how }));
  const next = await Promise.race([stopped, changed, ...(died === undefined ? [] : [died])]);
  change.stop();
  if (next === 'stopped') return next;
  if (next === 'changed') return 'go on';
  tell(`the server ended (${next.how})\n`);
  const now = time.monotonicMs();
  standing.server = null;
  standing.deaths = [...standing.deaths.filter((at) => now - at < LIMITS.reopenWithinMs), now];
  if (standing.deaths.length <= LIMITS.reopens) return 'go on';
  tell('it ends again and again: the next change starts it\n');
  return untilNext(watch, seen, standing, stopped);
}

function tellBroken(problem: string, { server }: Standing): void {
  const then = server === null ? 'nothing runs: the next change tries again' : 'what runs goes on as it was';
  tell(`\n${problem}\n${then}\n`);
}

const named = (paths: readonly string[]): string =>
  paths.length > 3 ? `${paths.slice(0, 3).join(', ')} and ${paths.length - 3} more` : paths.join(', ');

/** The configuration, the folders of agents beside it, and `.env`: what may be there, whether it is or not. */
function ownFiles({ cwd, settings }: Context): () => string[] {
  const configs = settings.config === null ? CONFIG_NAMES : [settings.config];
  const paths = configs.map((name) => resolve(cwd, name));
  const folder = join(dirname(paths[0] ?? cwd), AGENTS);
  let isTold = false;
  return () => {
    const { files, more } = filesBelow(folder);
    if (more && !isTold)
      tell(
        `${relative(cwd, folder)} has more than ${LIMITS.watchedFiles.toLocaleString('en-US')} files: a change of one that is neither among the first nor imported is not noticed; keep what no agent is made of elsewhere\n`,
      );
    isTold ||= more;
    return [...paths, join(cwd, '.env'), ...files];
  };
}

/** Settings as they were given, for another process; those of the environment are inherited. */
function flagsOf({ given }: Context, names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const value = given[name];
    return value === undefined || !(name in SETTINGS) ? [] : [`--${name}`, value];
  });
}
