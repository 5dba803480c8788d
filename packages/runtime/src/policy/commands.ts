/** Rules on commands: where one is named, surely (to allow it) or possibly (to ask, or to deny it). */
import { LIMITS } from '../limits.ts';
import { calledFor } from './git.ts';
import { baseOf } from './programs.ts';
import type { ShellCommand, ShellScript } from './shell.ts';
import { readScript } from './shell.ts';

const prefixes = new Map<string, Prefix>();
/** `plain`: it may be allowed; `told`: a rule that denies it finds it however it is written. */
type Prefix = { words: readonly string[]; plain: boolean; told: boolean } | null;

/** The words of a command as a rule names it, such as `git status`; null where it is not one command, written out. */
export function prefixOf(command: string): readonly string[] | null {
  return readPrefix(command)?.words ?? null;
}

/** Whether a rule may name it; what runs other commands (`sudo`) only to ask or to deny. */
export function isCommand(command: string, toAllow: boolean): boolean {
  const prefix = readPrefix(command);
  return prefix !== null && (toAllow ? prefix.plain : prefix.told);
}

function readPrefix(command: string): Prefix {
  const known = prefixes.get(command);
  if (known !== undefined) return known;
  const { clear, plain, commands: all } = readScript(command);
  const commands = all.filter(({ carried }) => !carried);
  const [only] = commands;
  const words = only?.words.filter((word) => word !== null) ?? [];
  const isOne = only !== undefined && commands.length === 1 && words.length === only.words.length;
  // Nothing but its words: neither an assignment nor a redirection, and no quotes that hide blanks.
  const isWhole = isOne && words.join(' ') === command.trim().replace(/\s+/g, ' ');
  // `bash -c` runs what stands behind it: another way to write it would not be found.
  const told = clear || !words.some((word) => word.startsWith('-'));
  const prefix = isWhole ? { words, plain: only.plain && plain, told } : null;
  if (prefixes.size >= LIMITS.compiledPatterns) prefixes.clear();
  prefixes.set(command, prefix);
  return prefix;
}

/** This command, for certain: each word of the prefix as it stands, and nothing that runs anything else. */
export function isSurely({ words, plain }: ShellCommand, prefix: readonly string[]): boolean {
  return plain && prefix.every((word, index) => words[index] === word);
}

/** Whether the script may run it. */
export function mayRun(script: ShellScript, prefix: readonly string[]): boolean {
  return !script.clear || script.commands.some(({ words }) => mayBegin(words, prefix));
}

/** The words of the prefix in their order, whatever stands between them; a word that nobody knows may be any of them. */
function mayBegin(
  [name = null, ...rest]: readonly (string | null)[],
  [first = '', ...wanted]: readonly string[],
): boolean {
  if (name !== null && baseOf(name) !== baseOf(first)) {
    const [verb, ...others] = wanted;
    // `git-push` is `git push`.
    return baseOf(name) === `${baseOf(first)}-${verb ?? ''}` && mayBegin([first, ...rest], [first, ...others]);
  }
  // Of `git` the command is known: `git stash push` is none of `git push`.
  const verb = baseOf(first) === 'git' && wanted[0]?.startsWith('-') === false ? calledFor(rest) : null;
  if (verb !== null && verb !== wanted[0]) return false;
  const flags = new Set(
    rest.flatMap((word) => (word !== null && /^-[A-Za-z]+$/.test(word) ? Array.from(word.slice(1)) : [])),
  );
  let at = 0;
  for (const word of wanted) {
    if (rest.includes(null)) return true;
    // `-rf` is `-f -r`.
    if (/^-[A-Za-z]+$/.test(word)) {
      if (!Array.from(word.slice(1)).every((flag) => flags.has(flag))) return false;
      continue;
    }
    const found = rest.indexOf(word, at);
    if (found < 0) return false;
    at = found + 1;
  }
  return true;
}

/** The beginning of a command that a person may be asked to allow from now on; null where none can be told. */
export function offeredPrefix({ words, plain, carried }: ShellCommand): string | null {
  const [name = null, ...rest] = words;
  if (!plain || carried || name === null || !/^[\w./+-]+$/.test(name)) return null;
  const verbs: string[] = [];
  // `npm run build` is three words, `git status` two, `ls -l` one.
  const most = /^(?:run|exec|remote|stash|compose|workspace)$/.test(rest[0] ?? '') ? 2 : 1;
  for (const word of rest.slice(0, most)) {
    if (word === null || !/^[a-z][\w:-]*$/.test(word)) break;
    verbs.push(word);
  }
  return [name, ...verbs].join(' ');
}
