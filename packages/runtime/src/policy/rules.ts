/** Rules as people write them: whether they can be obeyed, and how they are told. */
import type { Policies, PolicyRule } from '@perdure/engine';
import { isCommand } from './commands.ts';
import { matcherOf, normalPath } from './patterns.ts';

/** What is wrong with a rule, and which member of it; null: it can be obeyed (P15). */
export function misfitOfRule(rule: PolicyRule): { path: string; message: string } | null {
  for (const [place, condition] of Object.entries(rule.args ?? {})) {
    if ('regex' in condition && matcherOf('regex', condition.regex, false) === null)
      return { path: `args.${place}`, message: `${condition.regex} is no regular expression (RE2)` };
    if (/~(?![01])/.test(place)) return { path: `args.${place}`, message: `${place} is no JSON pointer` };
  }
  for (const glob of rule.paths ?? []) {
    const misfit = misfitOfGlob(glob);
    if (misfit !== null) return { path: 'paths', message: misfit };
  }
  for (const kind of ['paths', 'hosts'] as const)
    for (const pattern of rule[kind] ?? [])
      if (matcherOf(kind === 'paths' ? 'path' : 'host', pattern, false) === null)
        return { path: kind, message: `${pattern} is no glob` };
  for (const host of rule.hosts ?? [])
    if (/[/:@?#\s]/.test(host))
      return { path: 'hosts', message: `${host} is no host: write it without scheme, port and path` };
  for (const command of typeof rule.command === 'string' ? [rule.command] : (rule.command ?? []))
    if (!isCommand(command, rule.decision === 'allow'))
      return {
        path: 'command',
        message:
          rule.decision === 'allow'
            ? `${command} cannot be allowed: a rule names the beginning of one plain command, such as git status`
            : `${command} is no plain command, such as git push: of a program that runs others, name the program alone`,
      };
  return null;
}

/** Whether any of them looks at paths. */
export const namePaths = (rules: readonly PolicyRule[]): boolean => rules.some(({ paths }) => paths !== undefined);

/** A glob as other tools know them would be taken word by word here, and fit nothing. */
function misfitOfGlob(glob: string): string | null {
  const other = /[[\]{}]|^!/.exec(glob)?.[0];
  // Paths are compared without these.
  const isWritten = glob.startsWith('./') || normalPath(glob) === glob.normalize('NFC');
  if (other === undefined && isWritten) return null;
  if (other === undefined)
    return `${glob} fits no path: write it without //, . and .., and without a / at its end (a folder with all below it is ${normalPath(glob)}/**)`;
  return `${glob} is no glob of a rule, which knows *, ** and ?: write each path by itself, and ? for a ${other} in a name`;
}

/** The first rule that cannot be obeyed, with its place. */
export function misfitOfPolicies(policies: Policies): { path: string; message: string } | null {
  for (const [index, rule] of (policies.rules ?? []).entries()) {
    const misfit = misfitOfRule(rule);
    if (misfit !== null) return { path: `rules.${index}.${misfit.path}`, message: misfit.message };
  }
  return null;
}

/** A rule in one line: what it decides, on what, and why. */
export function ruleText(rule: PolicyRule): string {
  const {
    decision,
    tool,
    args = {},
    paths = [],
    hosts = [],
    command = [],
    tainted,
    acts = [],
    maxNanoUsd,
    reason,
  } = rule;
  const parts = [
    ...Object.entries(args).map(([place, condition]) => `${place} ${conditionText(condition)}`),
    ...(paths.length === 0 ? [] : [`paths ${paths.join(', ')}`]),
    ...(hosts.length === 0 ? [] : [`hosts ${hosts.join(', ')}`]),
    ...(command.length === 0 ? [] : [`command ${typeof command === 'string' ? command : command.join(', ')}`]),
    ...(tainted === undefined ? [] : [taintText(tainted)]),
    ...(acts.length === 0 ? [] : [`to ${acts.join(' or ')}`]),
    ...(maxNanoUsd === undefined ? [] : [`${decision === 'allow' ? 'up to' : 'over'} ${maxNanoUsd / 1e9} USD`]),
  ];
  const conditions = parts.length === 0 ? '' : ` (${parts.join('; ')})`;
  return `${decision} ${tool}${conditions}${reason === undefined ? '' : `: ${reason}`}`;
}

function conditionText(condition: NonNullable<PolicyRule['args']>[string]): string {
  if ('equals' in condition) return `= ${JSON.stringify(condition.equals)}`;
  return 'glob' in condition ? `like ${condition.glob}` : `matches ${condition.regex}`;
}

function taintText(tainted: boolean | readonly string[]): string {
  if (typeof tainted !== 'boolean') return `after words of ${tainted.join(' or ')}`;
  return tainted ? 'in a tainted context' : 'in a context that nothing taints';
}
