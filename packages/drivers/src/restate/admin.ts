/** Tells Restate where this process is called. */
import type { Timers } from '@perdure/runtime/ports';
import { fetched } from './fetched.ts';

export type AdminOptions = { admin: string; token: string | undefined; timers: Timers };

/** Code `engine_unavailable`: Restate cannot be reached, or refuses. */
export class EngineUnavailable extends Error {
  readonly code = 'engine_unavailable';
}

/**
 * Registers the service at `uri`, idempotently. `isShared`: the address is that of all processes (a balancer's); where it
 * is this process's own, calls that were bound to the address of one that is gone are moved here.
 */
export async function register(options: AdminOptions, name: string, uri: string, isShared: boolean): Promise<void> {
  const known = isShared ? null : await deploymentOf(options, name);
  if (known !== null && withoutSlash(known.uri) !== uri)
    await ask(options, 'PATCH', `/deployments/${known.id}`, { uri, overwrite: true });
  else await ask(options, 'POST', '/deployments', { uri, force: true });
}

const withoutSlash = (uri: string): string => uri.replace(/\/$/, '');

/** Where the service is called now; null: nobody has registered it. */
async function deploymentOf(options: AdminOptions, name: string): Promise<{ id: string; uri: string } | null> {
  const service = (await ask(options, 'GET', `/services/${name}`)) as { deployment_id: string } | null;
  if (service === null) return null;
  const found = (await ask(options, 'GET', `/deployments/${service.deployment_id}`)) as { uri?: string } | null;
  return found === null ? null : { id: service.deployment_id, uri: found.uri ?? '' };
}

/** Null where there is no such thing. */
async function ask(
  { admin, token, timers }: AdminOptions,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  body?: unknown,
): Promise<unknown> {
  let response: Response;
  try {
    response = await fetched(timers, `${withoutSlash(admin)}${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new EngineUnavailable(`Restate's admin API at ${admin} does not answer: ${String(error)}`);
  }
  const text = await response.text();
  if (response.status === 404 && method === 'GET') return null;
  if (!response.ok)
    throw new EngineUnavailable(
      `Restate's admin API says ${response.status} to ${method} ${path}: ${text.slice(0, 500)}`,
    );
  return text === '' ? null : (JSON.parse(text) as unknown);
}
