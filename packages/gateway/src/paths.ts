/** The table's paths as routes. A segment may hold two names, as `/runs/{session}.{run}` does. */
import { CHANNELS, METHODS, pathParams } from '@perdure/contract';

const names = (segment: string): string[] => pathParams(segment);
const joined = (segment: string): string => names(segment).join('_');

/** `/sessions/{session}/runs` → `/sessions/:session/runs`; a segment of two names becomes one with a dot inside. */
export function routePath(path: string): string {
  const segments = path.split('/').map((segment) => {
    const count = names(segment).length;
    if (count === 0) return segment;
    return count === 1 ? `:${joined(segment)}` : `:${joined(segment)}{[^/.]+\\.[^/.]+}`;
  });
  return segments.join('/');
}

/** Gives what stands in a path of the table by the table's names, from what the router found. */
export function createSplitter(path: string): (given: Record<string, string>) => Record<string, string> {
  const segments = path.split('/').filter((segment) => names(segment).length > 0);
  const plan = segments.map((segment) => ({ from: joined(segment), to: names(segment) }));
  return (given) => {
    const split: Record<string, string> = {};
    for (const { from, to } of plan) {
      const value = given[from] ?? '';
      const values = to.length > 1 ? value.split('.') : [value];
      for (const [index, name] of to.entries()) split[name] = values[index] ?? '';
    }
    return split;
  };
}

/** What is served beside the table. */
const AROUND = [
  { verb: 'POST', path: '/rpc' },
  { verb: 'GET', path: '/openapi.json' },
  { verb: 'GET', path: '/openrpc.json' },
];
const ROUTES = [...Object.values(METHODS), ...Object.values(CHANNELS), ...AROUND].map(({ verb, path }) => {
  const pattern = path.split('/').map((segment) => {
    const value = names(segment).length > 1 ? '[^/.]+' : '[^/]+';
    return segment.replaceAll('.', '\\.').replace(/\{\w+\}/g, value);
  });
  return { verb, pattern: new RegExp(`^${pattern.join('/')}$`) };
});

/** The verbs that a path (below the base) has in the table; empty where it is not in it. */
export function matchPath(path: string): string[] {
  const verbs = ROUTES.filter(({ pattern }) => pattern.test(path)).map(({ verb }) => verb);
  return [...new Set(verbs.flatMap((verb) => (verb === 'GET' ? ['GET', 'HEAD'] : [verb])))];
}
