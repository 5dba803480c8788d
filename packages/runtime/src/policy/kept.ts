/** What rules on paths keep from a call, whatever it names: for whoever can hold that, such as a sandbox. */
import type { PolicyRule } from '@perdure/engine';
import type { SandboxPath } from '../ports.ts';
import type { Judged, Standing } from './conditions.ts';
import { counts } from './conditions.ts';
import { matcherOf, normalPath } from './patterns.ts';

/** The globs of rules that deny, where all else that they ask for is so, or may be. Pure. */
export function keptFrom(rules: readonly PolicyRule[], call: Judged, standing: Standing): readonly string[] {
  const globs = rules.flatMap(({ paths, ...rule }) =>
    paths !== undefined && rule.decision === 'deny' && counts(rule, call, standing) ? paths : [],
  );
  return [...new Set(globs)];
}

/** As `denies` of a sandbox. A glob is relative, and meant below any folder, or absolute: here or there. */
export function keeping(globs: readonly string[]): (path: SandboxPath) => boolean {
  const matchers = globs.map((glob) => {
    const matches = matcherOf('path', glob, true) ?? (() => true);
    return glob.startsWith('/')
      ? ({ here, there }: SandboxPath) => matches(normalPath(here)) || matches(normalPath(there))
      : ({ below }: SandboxPath) => matches(normalPath(below));
  });
  return (path) => matchers.some((matches) => matches(path));
}
