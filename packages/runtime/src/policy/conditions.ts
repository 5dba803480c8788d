/**
 * Whether a rule counts for a call.
 *
 * R1 `allow` counts where all that the call names is surely within its conditions; `ask` and `deny` where anything of it
 *    may be. What cannot be told is never a reason to allow (unknown is closed).
 * R2 A condition that cannot be evaluated (a pattern that is none) counts as one that cannot be told.
 */
import type { Act, ArgumentCondition, PolicyRule, Taint } from '@perdure/engine';
import { canonicalJson } from '../log/digest.ts';
import { isSurely, mayRun, prefixOf } from './commands.ts';
import type { CallFacts, Certainty } from './facts.ts';
import { leavesOf, valueAt } from './facts.ts';
import type { HabitsOf } from './habits.ts';
import { matcherOf, matchesTool, mayMatchBelow } from './patterns.ts';
import type { ShellCommand } from './shell.ts';

/** How things stand when a call is ruled on. */
export type Standing = {
  /** Wall ms. */
  at: number;
  /** Of the context that the call's turn was built from. */
  taint: readonly Taint[];
  /** What the run has cost so far. */
  nanoUsd: number;
  /** What became of the calls before it; missing: there were none. */
  habits?: HabitsOf;
};
/** `digest`: of its name and arguments; '' where it has none. */
export type Judged = { name: string; digest: string; acts: readonly Act[]; facts: CallFacts };

/** Whether the rule counts, its command apart: that is for all `allow` rules together. */
export function counts(rule: PolicyRule, call: Judged, standing: Standing): boolean {
  const allows = rule.decision === 'allow';
  return (
    matchesTool(rule.tool, call.name) &&
    (rule.expiresAt === undefined || standing.at < rule.expiresAt) &&
    (rule.maxNanoUsd === undefined || standing.nanoUsd <= rule.maxNanoUsd === allows) &&
    (rule.tainted === undefined || isTainted(rule.tainted, standing.taint)) &&
    (rule.acts === undefined || acting(rule.acts, call.acts, allows)) &&
    argumentsFit(rule, call.facts, allows) &&
    (rule.paths === undefined || pathsFit(rule.paths, call.facts.paths, allows)) &&
    (rule.hosts === undefined || hostsFit(rule.hosts, call.facts.hosts, allows)) &&
    (allows || rule.command === undefined || commandFits(rule.command, call.facts))
  );
}

const isTainted = (wanted: boolean | readonly Taint[], taint: readonly Taint[]): boolean =>
  typeof wanted === 'boolean' ? taint.length > 0 === wanted : taint.some((label) => wanted.includes(label));

/** To allow, it does nothing else; to deny, it does one of these. */
const acting = (wanted: readonly Act[], acts: readonly Act[], allows: boolean): boolean =>
  allows ? acts.every((act) => wanted.includes(act)) : acts.some((act) => wanted.includes(act));

function argumentsFit({ args = {} }: PolicyRule, facts: CallFacts, allows: boolean): boolean {
  return Object.entries(args).every(([place, condition]) =>
    argumentFits(condition, valueAt(facts.args, place), allows),
  );
}

function argumentFits(condition: ArgumentCondition, value: unknown, allows: boolean): boolean {
  if (value === undefined) return false;
  if ('equals' in condition) return canonicalJson(value) === canonicalJson(condition.equals);
  const [kind, pattern] =
    'glob' in condition ? (['glob', condition.glob] as const) : (['regex', condition.regex] as const);
  const matches = matcherOf(kind, pattern, !allows);
  if (matches === null) return !allows;
  const texts = leavesOf(value);
  return allows ? texts.length > 0 && texts.every(matches) : texts.some(matches);
}

/** Of several values each, or any; what is not certain is judged by R1. */
function fits<T>(certainty: Certainty, named: readonly T[], matches: (value: T) => boolean, allows: boolean): boolean {
  if (allows) return certainty === 'certain' && named.length > 0 && named.every(matches);
  return certainty === 'unclear' || named.some(matches);
}

function pathsFit(globs: readonly string[], { certainty, named }: CallFacts['paths'], allows: boolean): boolean {
  const one = ({ path, tree }: CallFacts['paths']['named'][number], glob: string): boolean => {
    if (!tree) return matcherOf('path', glob, !allows)?.(path) ?? !allows;
    // A folder is allowed with all that is below it, or not at all.
    if (allows) return /(?:^|\/)\*\*$/.test(glob) && matcherOf('path', glob, false)?.(path) === true;
    return mayMatchBelow(glob, path);
  };
  return fits(certainty, named, (place) => globs.some((glob) => one(place, glob)), allows);
}

const hostsFit = (globs: readonly string[], { certainty, named }: CallFacts['hosts'], allows: boolean): boolean =>
  fits(certainty, named, (host) => globs.some((glob) => matcherOf('host', glob, !allows)?.(host) ?? !allows), allows);

const listOf = (command: string | readonly string[]): readonly string[] =>
  typeof command === 'string' ? [command] : command;

function commandFits(command: string | readonly string[], { scripts }: CallFacts): boolean {
  if (scripts === null) return false;
  return listOf(command).some((each) => {
    const prefix = prefixOf(each);
    return prefix === null || scripts.some((script) => mayRun(script, prefix));
  });
}

/**
 * The `allow` rules that together allow the call, given those that count for it: one that names no command, or for each
 * simple command of its scripts one that names it. Null where there are none.
 */
export function allowing(rules: readonly PolicyRule[], { scripts }: CallFacts): readonly PolicyRule[] | null {
  const whole = rules.find(({ command }) => command === undefined);
  if (whole !== undefined) return [whole];
  if (scripts === null || scripts.some(({ clear, plain }) => !clear || !plain)) return null;
  const commands = scripts.flatMap((script) => script.commands);
  const used = commands.map((command) => rules.find((rule) => names(rule, command)));
  return commands.length > 0 && used.every((rule) => rule !== undefined) ? [...new Set(used)] : null;
}

const names = ({ command = [] }: PolicyRule, written: ShellCommand): boolean =>
  listOf(command).some((each) => {
    const prefix = prefixOf(each);
    return prefix !== null && isSurely(written, prefix);
  });
