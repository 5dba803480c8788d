/** What a person who approves a call is offered to allow from now on. */
import type { PolicyRule } from '@perdure/engine';
import { offeredPrefix } from './commands.ts';
import type { Ruled } from './policy.ts';

/**
 * A rule that allows this call, and no more than calls like it: its commands by their first words, its hosts, the folders
 * of its files; the tool as a whole only where its arguments name nothing. Null: it cannot be allowed but once.
 */
export function offerOf({ name, facts: { scripts, hosts, paths } }: Ruled): PolicyRule | null {
  const rule: PolicyRule = { decision: 'allow', tool: name };
  if (scripts !== null) {
    const commands = scripts.flatMap((script) => (script.plain ? script.commands.map(offeredPrefix) : [null]));
    if (commands.length === 0 || commands.includes(null)) return null;
    const [first = '', ...others] = new Set(commands.filter((command) => command !== null));
    return { ...rule, command: others.length === 0 ? first : [first, ...others] };
  }
  if (hosts.certainty === 'unclear' || paths.certainty === 'unclear') return null;
  if (hosts.certainty === 'certain' && hosts.named.length > 0) rule.hosts = [...new Set(hosts.named)];
  if (paths.certainty === 'certain' && paths.named.length > 0) {
    const globs = paths.named.map(({ path, tree }) => globOf(path, tree));
    if (globs.some((glob) => glob === null)) return null;
    rule.paths = [...new Set(globs.filter((glob) => glob !== null))];
  }
  return rule;
}

/** The folder of a file; the file alone where that is the whole workspace, or outside. */
function globOf(path: string, tree: boolean): string | null {
  if (/[*?]/.test(path)) return null;
  if (tree) return path === '.' ? '**' : `${path}/**`;
  const folder = path.slice(0, path.lastIndexOf('/'));
  return folder === '' || path.startsWith('/') || path.startsWith('..') ? path : `${folder}/**`;
}
