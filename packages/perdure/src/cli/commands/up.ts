/** Starts the server, says where it is, and drains it when it is asked to stop. */
import { mkdirSync } from 'node:fs';
import { relative } from 'node:path';
import { modelsOf } from '../../models.ts';
import type { Listening } from '@perdure/gateway';
import { modelsIn, resolveRoute } from '@perdure/runtime';
import { placeOf } from '@perdure/stores/postgres';
import { DataInUseError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { importedFiles } from '../../modules.ts';
import { isPostgres } from '../../settings.ts';
import type { Background } from '../../preflight.ts';
import { preflightAtStart } from '../../preflight.ts';
import type { Runtime } from '../../runtime.ts';
import { startRuntime } from '../../runtime.ts';
import { serve } from '../../serve.ts';
import { removeServerFile, writeServerFile } from '../../server-file.ts';
import { version } from '../../version.ts';
import type { Context, Run } from '../context.ts';
import type { ExitCode } from '../exit.ts';
import { CommandError, EXIT } from '../exit.ts';
import type { Local } from '../local.ts';
import { localOf } from '../local.ts';
import { print, tell } from '../output.ts';
import { NO_SANDBOX } from '../sandbox.ts';
import { whenFree } from '../owner.ts';
import { hasParent, tellParent, untilParentStops } from '../parent.ts';
import { untilStopped } from '../signals.ts';
import { time } from '../time.ts';

export const up: Run = async (context) => {
  const stopped = Promise.race([untilStopped().then(() => ({})), untilParentStops()]);
  const local = await localOf(context);
  const reopened: number[] = [];
  for (;;) {
    const ended = await serveUntil(context, local, stopped).catch(async (error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      await tellParent({ type: 'failed', code });
      throw error;
    });
    if (ended !== 'storage') return ended;
    // A flush that failed is never tried again on the same store: it is opened anew and read (DESIGN §7).
    const now = time.monotonicMs();
    reopened.push(now);
    if (reopened.filter((at) => now - at < LIMITS.reopenWithinMs).length > LIMITS.reopens)
      throw new CommandError(EXIT.failed, 'the storage stopped again and again: look at its disk, then start again');
    tell('the storage stopped: the data is opened anew\n');
  }
};

/** Serves until it is asked to stop, or until the storage stops. */
async function serveUntil(
  context: Context,
  local: Local,
  stopped: Promise<{ drainMs?: number }>,
): Promise<ExitCode | 'storage'> {
  let runtime: Runtime;
  try {
    const log = { level: local.settings.logLevel ?? 'info' } as const;
    const open = async (): Promise<Runtime> => startRuntime({ ...local.options, log }, environmentOf(context, local));
    // Who started this one asks again by itself.
    runtime = hasParent() ? await open() : await whenFree(open, async () => null);
  } catch (error) {
    if (error instanceof DataInUseError && error.server !== null && !hasParent())
      return alreadyRuns(context, local, error.server);
    throw error;
  }
  let server: Listening | undefined;
  let flight: Background | undefined;
  const watch = watchStorage(runtime);
  try {
    server = await serve(runtime, serveOptions(local));
    mkdirSync(local.data, { recursive: true });
    writeServerFile(local.data, { pid: process.pid, url: reachable(server.url), ...tokenOf(local) });
    flight = preflightAtStart(runtime);
    const url = reachable(server.url);
    const text = welcome(local, runtime, url, unusableModels(context, local));
    if (!hasParent()) print(text);
    await tellParent({ type: 'ready', url, welcome: text, files: importedFiles() });
    return await Promise.race([stopped.then(() => EXIT.ok), watch.stopped]);
  } finally {
    watch.end();
    flight?.stop();
    // Streams end with a hint to come back, while unsafe calls come to their end.
    const drain = await Promise.race([stopped, Promise.resolve({})]);
    await Promise.all([server?.close({ graceMs: LIMITS.requestGraceMs }), runtime.close(drain)]);
    removeServerFile(local.data, process.pid);
  }
}

/** Looks again and again whether the store still accepts. */
function watchStorage(runtime: Runtime): { stopped: Promise<'storage'>; end(): void } {
  let timer: { cancel(): void };
  const stopped = new Promise<'storage'>((resolve) => {
    const look = (): void => {
      if (runtime.storage() !== null) resolve('storage');
      else timer = time.timers.set(LIMITS.storageLookMs, look);
    };
    timer = time.timers.set(LIMITS.storageLookMs, look);
  });
  return { stopped, end: () => timer.cancel() };
}

/** A token given as a flag is a secret of this process like one from a variable. */
function environmentOf({ env }: Context, { settings: { token } }: Local): Context['env'] {
  return token === null ? env : { ...env, PERDURE_TOKEN: token };
}

const tokenOf = ({ settings: { token } }: Local): { token?: string } => (token === null ? {} : { token });

function serveOptions(local: Local): { host: string; port: number; token?: string } {
  const { host, port } = local.settings;
  return { host, port, ...tokenOf(local) };
}

/** A server on all addresses is reached at the loopback. */
function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}

/** Who asked for this data to be served has that; who asked for another address has not. */
function alreadyRuns({ given }: Context, { settings }: Local, server: { url: string; pid: number }): ExitCode {
  const { url, pid } = server;
  const { hostname, port } = new URL(url);
  const wantsPort = given['port'] !== undefined && settings.port !== Number(port);
  const wantsHost = given['host'] !== undefined && settings.host !== hostname.replace(/^\[|\]$/g, '');
  if (wantsPort || wantsHost)
    throw new CommandError(
      EXIT.failed,
      `a server on this data already runs at ${url} (process ${pid}): stop it first to move it`,
    );
  print(`Perdure already runs on this data at ${url} (process ${pid}).\n`);
  return EXIT.ok;
}

/** A model may be had after another start only: its agent is there, and what is sent to it is refused. */
function unusableModels({ env }: Context, { options }: Local): string[] {
  const models = modelsOf(options.models, env);
  return options.agents.flatMap(({ name, model }) => {
    const resolved = resolveRoute(models, model);
    return resolved.ok ? [] : [`${name} cannot run: ${resolved.message}`];
  });
}

/** The files that define the agents; null: none does. */
function sourceOf({ file, folders }: Local): string | null {
  const sources = [...(file === null ? [] : [relative(process.cwd(), file)]), ...folders.map(({ shown }) => shown)];
  return sources.length === 0 ? null : sources.join(', ');
}

function welcome(local: Local, runtime: Runtime, url: string, unusable: readonly string[]): string {
  const { settings, options } = local;
  const agents = options.agents.map(({ name, model }) => `${name} (${modelsIn(model).join(', then ')})`).join(', ');
  const folder = runtime.data === null ? 'in memory, until it stops' : relative(process.cwd(), runtime.data) || '.';
  const data = isPostgres(settings.store) ? `${placeOf(settings.store)}, its own things in ${folder}` : folder;
  const from = sourceOf(local) ?? 'built in; perdure.config.ts or a folder agents/NAME defines your own';
  const bearer = settings.token === null ? '' : " -H 'authorization: Bearer TOKEN'";
  const demo = options.agents.some(({ model }) => modelsIn(model).includes('demo'));
  const real =
    local.file === null
      ? 'with OPENAI_API_KEY or ANTHROPIC_API_KEY in .env a real one does'
      : 'name another one there for real work';
  return [
    `Perdure ${version()} runs at ${url}`,
    `  data     ${data}`,
    `  agents   ${agents}`,
    `  from     ${from}`,
    ...(settings.sandbox === 'none' ? [`  sandbox  ${NO_SANDBOX}`] : []),
    ...(demo ? [`  The demo model answers by rules; ${real}.`] : []),
    ...unusable.map((problem) => `  warning  ${problem}`),
    '',
    'Next, in another terminal:',
    '  npx perdure run "What is 2 + 3?"',
    `  curl -s ${url}/v1/runs${bearer} -H 'content-type: application/json' -d '{"input": "What is 2 + 3?", "wait": true}'`,
    'Ctrl-C stops it; what is unfinished goes on at the next start.',
    '',
  ].join('\n');
}
