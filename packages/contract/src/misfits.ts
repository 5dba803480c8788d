/** What is wrong with what was given, in the words that every caller reads: over HTTP, by RPC, and in a program. */

export type Misfit = { path: string; message: string };

export const MISSING = 'is missing';

type Issue = {
  code?: string | undefined;
  path: PropertyKey[];
  message: string;
  keys?: string[];
  errors?: Issue[][];
};

/** `issues` of zod, each with its path. `whole`: the parameter that is the whole body, and so no member of it. */
export function misfitsOf(issues: readonly unknown[], whole?: string): Misfit[] {
  const inBody = (path: PropertyKey[]): PropertyKey[] => (path[0] === whole ? path.slice(1) : path);
  return (issues as readonly Issue[]).flatMap((issue) => flatten({ ...issue, path: inBody(issue.path) }, []));
}

function flatten(issue: Issue, above: PropertyKey[]): Misfit[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => ({ path: dotted([...path, key]), message: 'is an unknown field' }));
  }
  if (issue.code === 'invalid_union' && issue.errors !== undefined && issue.errors.length > 0) {
    return closest(issue.errors).flatMap((inner) => flatten(inner, path));
  }
  const said = issue.message.replace(/^Invalid input: /, '');
  const message = said.endsWith('received undefined') ? MISSING : `is not valid: ${said}`;
  return [{ path: dotted(path), message }];
}

/** Of a union's branches the one that was most likely meant: of the right type, with the fewest problems. */
function closest(branches: Issue[][]): Issue[] {
  const isOtherType = (branch: Issue[]): boolean =>
    branch.some(({ code, path }) => path.length === 0 && code !== 'unrecognized_keys');
  const ranked = branches.toSorted(
    (a, b) => Number(isOtherType(a)) - Number(isOtherType(b)) || a.length - b.length || depth(b) - depth(a),
  );
  return ranked[0] ?? [];
}

const depth = (branch: Issue[]): number => Math.max(0, ...branch.map(({ path }) => path.length));

/** `config.limits.turns`, `input[0].text`; of the body itself: `body`. */
function dotted(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'body';
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index > 0 ? '.' : ''}${String(step)}`))
    .join('');
}
