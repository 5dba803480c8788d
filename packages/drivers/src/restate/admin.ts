/** Tells Restate where this process is called. */
import type { Timers } from '@perdure/runtime/ports';
import type { Answer } from './http.ts';
import { ask } from './http.ts';
import { LIMITS } from '../limits.ts';

export type AdminOptions = { admin: string; token: string | undefined; timers: Timers };

/** Code `engine_unavailable`: Restate cannot be reached, or refuses. */
export class EngineUnavailable extends Error {
  readonly code = 'engine_unavailable';
}

/**
 * Registers the services at `uri`, idempotently. `isShared`: the address is that of all processes (a balancer's); where it
 * is this process's own, calls that were bound to the address of one that is gone are moved here.
 */
export async function register(
  options: AdminOptions,
  names: readonly string[],
  uri: string,
  isShared: boolean,
): Promise<void> {
  const known = isShared ? [] : (await deployments(options)).filter(({ services }) => isAmong(services, names));
  const other = known.some((one) => withoutSlash(one.uri) === uri) ? undefined : known.at(-1);
  if (other === undefined) await asked(options, 'POST', '/deployments', { uri, force: true });
  else await asked(options, 'PATCH', `/deployments/${other.id}`, { uri, overwrite: true });
}

/** Where a service is called now; null: nobody has registered it. */
export async function registeredAt(options: AdminOptions, name: string): Promise<string | null> {
  const service = (await asked(options, 'GET', `/services/${name}`)) as { deployment_id: string } | null;
  if (service === null) return null;
  const found = (await asked(options, 'GET', `/deployments/${service.deployment_id}`)) as { uri?: string } | null;
  return found === null ? null : withoutSlash(found.uri ?? '');
}

const withoutSlash = (uri: string): string => uri.replace(/\/$/, '');

type Deployment = { id: string; uri: string; created: string; services: string[] };

/** Those by HTTP, the oldest first. */
async function deployments(options: AdminOptions): Promise<Deployment[]> {
  const { deployments: all } = (await asked(options, 'GET', '/deployments')) as {
    deployments: { id: string; uri?: string; created_at: string; services: { name: string }[] }[];
  };
  return all
    .map(({ id, uri = '', created_at: created, services }) => ({
      id,
      uri,
      created,
      services: services.map(({ name }) => name),
    }))
    .filter(({ uri }) => uri !== '')
    .toSorted((a, b) => (a.created < b.created ? -1 : 1));
}

const isAmong = (some: readonly string[], all: readonly string[]): boolean =>
  some.length > 0 && some.every((name) => all.includes(name));

/** Null where there is no such thing. */
async function asked(
  { admin, token, timers }: AdminOptions,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  body?: unknown,
): Promise<unknown> {
  let answer: Answer;
  try {
    answer = await ask(method, `${withoutSlash(admin)}${path}`, { timers, token, body });
  } catch (error) {
    throw new EngineUnavailable(`Restate's admin API at ${admin} does not answer: ${String(error)}`);
  }
  const { status, text } = answer;
  if (status === 404 && method === 'GET') return null;
  if (status >= 300)
    throw new EngineUnavailable(
      `Restate's admin API says ${status} to ${method} ${path}: ${text.slice(0, LIMITS.toldChars)}`,
    );
  return text === '' ? null : (JSON.parse(text) as unknown);
}
