/** Starts the server, says where it is, and drains it when it is asked to stop. */
import { relative } from 'node:path';
import { modelsIn } from '@perdure/runtime';
import { placeOf } from '@perdure/stores/postgres';
import { DataInUseError } from '../../errors.ts';
import { importedFiles } from '../../modules.ts';
import { preflightAtStart } from '../../preflight.ts';
import type { Runtime } from '../../runtime.ts';
import { startRuntime } from '../../runtime.ts';
import { isPostgres } from '../../settings.ts';
import { version } from '../../version.ts';
import type { Context, Run } from '../context.ts';
import type { ExitCode } from '../exit.ts';
import { CommandError, EXIT } from '../exit.ts';
import type { Local } from '../local.ts';
import { localOf } from '../local.ts';
import { print } from '../output.ts';
import { NO_SANDBOX } from '../sandbox.ts';
import { whenFree } from '../owner.ts';
import { hasParent, tellParent, untilParentStops } from '../parent.ts';
import type { Stopped } from '../serving.ts';
import { environmentOf, live, sourceOf, unusableModels, whileStorageLasts } from '../serving.ts';
import { untilStopped } from '../signals.ts';

export const up: Run = async (context) => {
  const stopped = Promise.race([untilStopped().then(() => ({})), untilParentStops()]);
  const local = await localOf(context);
  return whileStorageLasts(async () =>
    serveUntil(context, local, stopped).catch(async (error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      await tellParent({ type: 'failed', code });
      throw error;
    }),
  );
};

/** Serves until it is asked to stop, or until the storage stops. */
async function serveUntil(context: Context, local: Local, stopped: Stopped): Promise<ExitCode | 'storage'> {
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
  return live(runtime, stopped, {
    local,
    serves: true,
    ready: async (given) => {
      const url = given ?? '';
      const text = welcome(context, local, runtime, url, unusableModels(runtime));
      if (!hasParent()) print(text);
      await tellParent({ type: 'ready', url, welcome: text, files: importedFiles() });
      return preflightAtStart(runtime);
    },
  });
}

/** Who asked for this data to be served has that; who asked for another address has not. */
function alreadyRuns({ given }: Context, { settings }: Local, server: { url: string; pid: number }): ExitCode {
  const { url, pid } = server;
  const { hostname, port } = new URL(url);
  const wantsPort = given['port'] !== undefined && settings.port !== 0 && settings.port !== Number(port);
  const wantsHost = given['host'] !== undefined && settings.host !== hostname.replace(/^\[|\]$/g, '');
  if (wantsPort || wantsHost)
    throw new CommandError(
      EXIT.failed,
      `a server on this data already runs at ${url} (process ${pid}): stop it first to move it`,
    );
  print(`Perdure already runs on this data at ${url} (process ${pid}).\n`);
  return EXIT.ok;
}

function welcome({ given }: Context, local: Local, runtime: Runtime, url: string, unusable: readonly string[]): string {
  const { settings } = local;
  const defined = runtime.host.parts.agents.list().map(({ definition }) => definition);
  const agents = defined.map(({ name, model }) => `${name} (${modelsIn(model).join(', then ')})`).join(', ');
  const folder = runtime.data === null ? 'in memory, until it stops' : relative(process.cwd(), runtime.data) || '.';
  const data = isPostgres(settings.store) ? `${placeOf(settings.store)}, its own things in ${folder}` : folder;
  const from = sourceOf(local) ?? 'built in; perdure.config.ts or a folder agents/NAME defines your own';
  const bearer = settings.token === null ? '' : " -H 'authorization: Bearer TOKEN'";
  const demo = defined.some(({ model }) => modelsIn(model).includes('demo'));
  const real =
    local.file === null
      ? 'with OPENAI_API_KEY or ANTHROPIC_API_KEY in .env, or after perdure auth login openai, a real one does'
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
    // What a flag named, the next command does not know.
    `  npx perdure run "What is 2 + 3?"${given['data'] === undefined ? '' : ` --url ${url}`}`,
    `  curl -s ${url}/v1/runs${bearer} -H 'content-type: application/json' -d '{"input": "What is 2 + 3?", "wait": true}'`,
    'Ctrl-C stops it; what is unfinished goes on at the next start.',
    '',
  ].join('\n');
}
