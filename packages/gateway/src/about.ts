/** What a request is about, for the lines of the log that tell of it. */
import type { Logger } from '@perdure/runtime/ports';

export type About = { session?: string; run?: string };

const NAMES = ['session', 'run'] as const;

/** Names in its parameters, and ids of what its answer shows. */
export function aboutOf(params: object, result: unknown = null): About {
  const about: About = {};
  for (const name of NAMES) {
    const id = memberOf(params, name) ?? memberOf(memberOf(result, name), 'id');
    if (typeof id === 'string') about[name] = id;
  }
  return about;
}

/** Of requests whose parameters have been read. */
const KNOWN = new WeakMap<Request, About>();

/** Keeps what a request is about: once its parameters are read, and again with what it is answered. */
export function keepAbout(request: Request, params: object, result?: unknown): void {
  KNOWN.set(request, aboutOf(params, result));
}

export const knownAbout = (request: Request): About => KNOWN.get(request) ?? {};

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as { [member: string]: unknown })[name] : undefined;

/** The logger, with what the request is about on each line. */
export const naming = (logger: Logger, about: About): Logger => ({
  debug: (fields, message) => logger.debug({ ...about, ...fields }, message),
  info: (fields, message) => logger.info({ ...about, ...fields }, message),
  warn: (fields, message) => logger.warn({ ...about, ...fields }, message),
  error: (fields, message) => logger.error({ ...about, ...fields }, message),
});
