/** Each setting with its value and origin, and a look at what would go wrong. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ProviderView } from '@perdure/contract';
import { modelsIn, resolveRoute, system } from '@perdure/runtime';
import { inspectPostgres, placeOf } from '@perdure/stores/postgres';
import { DATABASE } from '@perdure/stores/sqlite';
import { AGENTS } from '../../agent-folders.ts';
import { settled } from '../../assistant.ts';
import { openStore } from '../../data.ts';
import { shownEngine } from '../../engine.ts';
import { DataInUseError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { modelsOf } from '../../models.ts';
import { sandboxOf } from '../../sandbox.ts';
import { runningServer } from '../../server-file.ts';
import { isPostgres, SETTINGS } from '../../settings.ts';
import type { Environment, Origins, PostgresUrl, SettingName, Settings } from '../../settings.ts';
import { version } from '../../version.ts';
import type { Beside } from '../beside.ts';
import { besideOf, keyedBeside } from '../beside.ts';
import { serverOf } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT } from '../exit.ts';
import type { Local } from '../local.ts';
import { localOf } from '../local.ts';
import { print, printJson, table } from '../output.ts';
import { NO_SANDBOX } from '../sandbox.ts';

type Check = { name: string; result: 'ok' | 'warn' | 'fail'; text: string };

export const doctor: Run = async (context) => {
  const checks: Check[] = [
    { name: 'version', result: 'ok', text: `perdure ${version()} on Node ${process.versions.node}` },
  ];
  const local = await configured(context, checks);
  const { settings, origins } = local ?? context;
  const stored: Check[] = [];
  await checkData(context, settings, stored);
  if (isPostgres(settings.store)) await checkPostgres(settings.store, stored);
  await checkRestate(local, checks);
  const isThere = stored.every(({ result }) => result !== 'fail');
  const env = await checkKeys(context, settings, local, isThere, checks);
  if (local !== null) checkModels(env, local, checks);
  checks.push(...stored);
  await checkSandbox(context, settings, checks);
  await checkServer(context, checks);
  const rows = (Object.keys(SETTINGS) as SettingName[]).map((name) => ({ name, ...shown(name, settings, origins) }));
  if (isJson(context)) printJson({ settings: rows, checks });
  else {
    print(table([['SETTING', 'VALUE', 'FROM'], ...rows.map(({ name, value, from }) => [name, value, from])]));
    print(`\n${table(checks.map(({ name, result, text }) => [result, name, text]))}`);
  }
  return checks.some(({ result }) => result === 'fail') ? EXIT.failed : EXIT.ok;
};

function shown(name: SettingName, settings: Settings, origins: Origins): { value: string; from: string } {
  const value = settings[name];
  const text =
    value === null ? '' : SETTINGS[name].secret ? '(set)' : isPostgres(value) ? placeOf(value) : plain(name, settings);
  return { value: text, from: origins[name] };
}

function plain(name: SettingName, settings: Settings): string {
  const value = settings[name];
  if (name === 'engine') return shownEngine(settings.engine);
  return typeof value === 'object' ? Object.values(value ?? {}).join(',') : String(value);
}

async function configured(context: Context, checks: Check[]): Promise<Local | null> {
  try {
    const local = await localOf(context);
    const names = local.options.agents.map(({ name }) => name).join(', ');
    checks.push({ name: 'configuration', result: 'ok', text: `${sourceOf(local)}: ${names}` });
    for (const { shown, files, evals } of local.folders) {
      const found = evals.length === 0 ? '' : `; evals, not run by anything here: ${evals.join(', ')}`;
      checks.push({ name: shown, result: 'ok', text: `${files.join(', ')}${found}` });
    }
    return local;
  } catch (error) {
    checks.push({ name: 'configuration', result: 'fail', text: messageOf(error) });
    return null;
  }
}

function sourceOf({ file, folders }: Local): string {
  if (file === null) return folders.length === 0 ? 'none, so the built-in agent is there' : `folders in ${AGENTS}`;
  return folders.length === 0 ? file : `${file} and folders in ${AGENTS}`;
}

/** Which providers can be used as they are, and where the key of each comes from; those that are stored, where the data can be read. */
async function checkKeys(
  { env, cwd }: Context,
  settings: Settings,
  local: Local | null,
  isThere: boolean,
  checks: Check[],
): Promise<Environment> {
  const data = resolve(cwd, settings.data);
  const endpoints = local?.options.models?.endpoints;
  const name = 'provider keys';
  let beside: Beside | null = null;
  try {
    beside = isThere ? await besideOf(settings, data) : null;
    const { env: keyed, providers } = await keyedBeside(beside, settings, data, env, endpoints);
    const isRefused = providers.some(({ problem }) => problem !== undefined);
    checks.push({ name, result: isRefused ? 'warn' : 'ok', text: keysText(providers) });
    return keyed;
  } catch (error) {
    checks.push({ name, result: 'fail', text: messageOf(error) });
    return env;
  } finally {
    await beside?.close();
  }
}

function keysText(providers: readonly ProviderView[]): string {
  const found: string[] = [];
  const unused: string[] = [];
  const missing: string[] = [];
  const free: string[] = [];
  for (const { provider, names, from, used, keyless, problem } of providers) {
    if (from !== null) found.push(`${provider} (${used}, ${from === 'secret' ? 'stored' : from})`);
    else if (problem !== undefined) unused.push(`${provider} (${names.join(' or ')}: ${problem})`);
    else if (keyless) free.push(provider);
    else missing.push(`${provider} (${names.join(' or ')})`);
  }
  return Object.entries({ found, 'stored, and not used': unused, missing, 'none needed': free })
    .flatMap(([what, names]) => (names.length === 0 ? [] : [`${what}: ${names.join(', ')}`]))
    .join('; ');
}

function checkModels(env: Environment, { options, file }: Local, checks: Check[]): void {
  const real =
    file === null
      ? 'set OPENAI_API_KEY or ANTHROPIC_API_KEY for a real one, or keep a key by perdure auth login'
      : `name another model in ${file} for a real one`;
  const models = modelsOf(options.models, env);
  for (const { name, model } of settled(options.agents, env)) {
    const resolved = resolveRoute(models, model);
    const demo = resolved.ok && resolved.infos.some(({ provider }) => provider === 'demo');
    if (!resolved.ok) checks.push({ name: `model of ${name}`, result: 'fail', text: resolved.message });
    else if (demo)
      checks.push({
        name: `model of ${name}`,
        result: 'warn',
        text: `demo answers by rules: ${real}`,
      });
    else checks.push({ name: `model of ${name}`, result: 'ok', text: modelsIn(model).join(', then ') });
  }
}

async function checkData(context: Context, settings: Settings, checks: Check[]): Promise<void> {
  const data = resolve(context.cwd, settings.data);
  const running = await runningServer(data);
  if (running !== null) {
    checks.push({ name: 'data', result: 'ok', text: `${data} is served at ${running.url} (process ${running.pid})` });
    return;
  }
  const folder = firstThere(data);
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    checks.push({ name: 'data', result: 'fail', text: `${folder} cannot be written: name another folder with --data` });
    return;
  }
  if (settings.store === 'sqlite' && existsSync(join(data, DATABASE))) await openOnce(data, checks);
  else checks.push({ name: 'data', result: 'ok', text: `${data} is made at the first start` });
}

/** Opens the data as the server would, and lets it go: what it says then is what a start would say. */
async function openOnce(data: string, checks: Check[]): Promise<void> {
  try {
    const store = await openStore('sqlite', data);
    await store.close();
    for (const { session, code, seq, detail } of store.damage)
      checks.push({ name: session, result: 'fail', text: `damaged (${code}) at seq ${seq}: ${detail}` });
    const damaged = store.damage.length;
    const text = damaged === 0 ? data : `${data}: ${damaged} damaged, the other sessions go on`;
    checks.push({ name: 'data', result: damaged === 0 ? 'ok' : 'fail', text });
  } catch (error) {
    const inUse = error instanceof DataInUseError;
    checks.push({ name: 'data', result: inUse ? 'ok' : 'fail', text: messageOf(error) });
  }
}

/** Leases go by the database's clock, deadlines by this machine's. */
async function checkPostgres(url: PostgresUrl, checks: Check[]): Promise<void> {
  try {
    const { clock, timers } = system;
    const { serverVersion, schemaVersion, pending, flushes, bypassesPolicies, clockAheadMs } = await inspectPostgres({
      url,
      clock,
      timers,
    });
    const schema = schemaVersion === 0 ? 'its schema is made at the first start' : `schema version ${schemaVersion}`;
    const off = Math.abs(clockAheadMs);
    const skew = `its clock is ${off} ms ${clockAheadMs < 0 ? 'behind' : 'ahead of'} this machine's`;
    const isOld = schemaVersion > 0 && pending > 0;
    const parts = [placeOf(url), `Postgres ${serverVersion}`, isOld ? `${schema}: run perdure migrate` : schema, skew];
    if (!flushes) parts.push('its fsync is off: what is acknowledged may be lost with its machine');
    if (bypassesPolicies)
      parts.push(
        'it is used as a superuser or with BYPASSRLS: connect as a plain role, so that row policies part tenants',
      );
    const isDoubtful = off > LIMITS.clockSkewMs || !flushes || bypassesPolicies;
    const result = isOld ? 'fail' : isDoubtful ? 'warn' : 'ok';
    checks.push({ name: 'store', result, text: parts.join(', ') });
  } catch (error) {
    checks.push({ name: 'store', result: 'fail', text: messageOf(error) });
  }
}

/** One that is started with the process is looked at by whoever starts it. */
async function checkRestate(local: Local | null, checks: Check[]): Promise<void> {
  const engine = local?.options.engine;
  if (typeof engine !== 'object') return;
  const { ingress, admin, token } = engine.restate;
  if (ingress === undefined || admin === undefined) return;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const name = 'restate';
  for (const address of [`${ingress}/restate/health`, `${admin}/health`]) {
    try {
      const { ok, status } = await fetch(address, { headers, signal: AbortSignal.timeout(LIMITS.livenessMs) });
      checks.push({ name, result: ok ? 'ok' : 'fail', text: `${address} says ${status}` });
    } catch (error) {
      const why = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      checks.push({ name, result: 'fail', text: `${address} cannot be reached: ${why}` });
    }
  }
}

/** Tries its walls here and now. Where there is none, tools that run commands refuse, and all else works. */
async function checkSandbox(context: Context, settings: Settings, checks: Check[]): Promise<void> {
  if (settings.sandbox === 'none') {
    checks.push({ name: 'sandbox', result: 'warn', text: NO_SANDBOX });
    return;
  }
  const sandbox = sandboxOf(settings.sandbox, resolve(context.cwd, settings.data));
  try {
    const { kind, version, walls } = await sandbox.probe();
    const broken = walls.filter(({ holds }) => !holds).length;
    const text = `${kind} ${version ?? ''}${broken === 0 ? '' : `: ${broken} of its walls do not hold; run no commands in it`}`;
    checks.push({ name: 'sandbox', result: broken === 0 ? 'ok' : 'fail', text });
    for (const { wall, holds, detail } of walls)
      checks.push({ name: `sandbox: ${wall}`, result: holds ? 'ok' : 'fail', text: detail });
  } catch (error) {
    checks.push({ name: 'sandbox', result: 'warn', text: `no commands of tools run: ${messageOf(error)}` });
  }
}

const firstThere = (path: string): string => (existsSync(path) ? path : firstThere(dirname(path)));

async function checkServer(context: Context, checks: Check[]): Promise<void> {
  try {
    const server = await serverOf(context);
    const text = server === null ? 'none runs: perdure up starts one' : `${server.url} (${server.why})`;
    checks.push({ name: 'server', result: 'ok', text });
  } catch (error) {
    checks.push({ name: 'server', result: 'fail', text: messageOf(error) });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
