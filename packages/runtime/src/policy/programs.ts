/** Programs that run other programs: what is known of them, so that a command is not taken for what its first word says. */

type Words = readonly (string | null)[];

/** They run what stands behind them, or what they read. */
const CARRIERS: ReadonlySet<string> = new Set(
  (
    'eval exec source . command builtin env xargs parallel sudo doas su runuser pkexec nohup nice ionice chrt taskset timeout time ' +
    'setsid setarch stdbuf unbuffer script watch entr flock ssh scp sftp rsync chroot unshare nsenter bwrap firejail strace ltrace ' +
    'gdb perf valgrind at batch crontab trap alias coproc busybox toybox systemd-run start-stop-daemon dbus-run-session ' +
    'expect screen tmux awk gawk mawk nawk sed ed ex vi vim nvim emacs less more man ' +
    'prlimit choom setpriv linux32 linux64 i386 x86_64 fakeroot capsh sg ssh-agent run-parts sqlite3 ' +
    'hash enable compgen complete compopt'
  ).split(' '),
);
/** The loader of programs, called by its own name, runs the one behind it. */
const LOADER = /^ld(?:-linux[\w.-]*)?\.so/;
/** Builtins of bash that give variables values: what runs behind them may be something else. */
const SETTERS: ReadonlySet<string> = new Set(
  'read mapfile readarray getopts let declare typeset local export readonly unset set shopt wait'.split(' '),
);
/** Builtins that may set one, too; and all of these expand what stands in the brackets of its name, quoted or not. */
const SETTING_OPTIONS: ReadonlyMap<string, RegExp> = new Map([
  ['printf', /^-v/],
  ['test', /^-[vR]$/],
  ['[', /^-[vR]$/],
]);
const SHELLS: ReadonlySet<string> = new Set('sh bash rbash dash ash zsh ksh mksh fish csh tcsh pwsh'.split(' '));
/** With one of these options the program is in the command itself; without any argument, in what it reads. */
const INTERPRETERS: ReadonlyMap<RegExp, RegExp> = new Map([
  [/^(?:python|pypy)[\d.]*$/, /^-[A-Za-z]*c/],
  [/^(?:node|nodejs|bun|tsx|ts-node)$/, /^(?:-[A-Za-z]*[ep]|--eval|--print)/],
  [/^deno$/, /^eval$/],
  [
    /^(?:perl[\d.]*|ruby[\d.]*|lua[\d.]*|osascript|Rscript|julia|tclsh[\d.]*|guile|scala|groovy)$/,
    /^(?:-[A-Za-z]*[eE]|--eval)/,
  ],
  [/^php[\d.]*$/, /^-[rBRE]/],
]);
/** Options by which a program that is harmless without them runs another one, or loads its code. */
const CARRYING_OPTIONS: ReadonlyMap<string, RegExp> = new Map([
  ['find', /^-(?:exec|execdir|ok|okdir|delete|fprint|fprintf|fprint0|fls)$/],
  ['fd', /^(?:-[xX]|--exec|--exec-batch)/],
  [
    'git',
    /^(?:-c|--config-env|--exec-path|--upload-pack|--receive-pack|--ext-diff|--textconv|-O|--open-files-in-pager|--exec|-x)/,
  ],
  [
    'tar',
    /^(?:-I|--use-compress-program|--to-command|--checkpoint-action|--rsh-command|-F|--info-script|--new-volume-script)/,
  ],
  ['zip', /^(?:-T|-TT|--unzip-command)/],
  ['rg', /^--(?:pre|hostname-bin)/],
  ['sort', /^--compress-program/],
  ['go', /^-(?:exec|toolexec)/],
  ['curl', /^(?:-K|--config|-o|-O|--output|--remote-name)/],
]);

/** `/usr/bin/env` is `env`. */
export const baseOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

const interpreterOf = (base: string): RegExp | null =>
  [...INTERPRETERS].find(([pattern]) => pattern.test(base))?.[1] ?? null;

/** Whether a command may run another one that its first word does not name. */
export function runsOthers(words: Words): boolean {
  const [name = null, ...rest] = words;
  if (name === null) return true;
  const base = baseOf(name);
  if (CARRIERS.has(base) || SHELLS.has(base) || LOADER.test(base) || hidesCode(words)) return true;
  if (expands(words)) return true;
  const options = CARRYING_OPTIONS.get(base);
  return options !== undefined && rest.some((word) => word === null || options.test(word));
}

/** Whether a builtin gives a variable a value, or may: from then on a name may be another program's. */
export function setsVariables([name = null, ...rest]: Words): boolean {
  if (name === null || SETTERS.has(name)) return true;
  const options = SETTING_OPTIONS.get(name);
  return options !== undefined && rest.some((word) => word === null || options.test(word));
}

/** Whether a builtin expands a word once more, in which something stands that would run. */
function expands([name = null, ...rest]: Words): boolean {
  if (name === null || !(SETTERS.has(name) || SETTING_OPTIONS.has(name))) return false;
  return rest.some((word) => word !== null && /\[.*(?:\$\(|`)/s.test(word));
}

/** Whether it runs code that is not among its words as commands. */
export function hidesCode(words: Words): boolean {
  const [name = null, ...rest] = words;
  if (name === null) return true;
  const base = baseOf(name);
  if (base === 'eval' || base === 'alias' || base === 'trap') return rest.length > 0;
  if (base === '.' || base === 'source') return true;
  if (SHELLS.has(base)) return !rest.some((word) => word !== null && !word.startsWith('-')) || rest.some(isInlineFlag);
  const inline = interpreterOf(base);
  if (inline === null) return false;
  if (rest.some((word) => word === null || inline.test(word) || word === '-')) return true;
  return rest.every((word) => word?.startsWith('-') === true && word !== '--version');
}

const isInlineFlag = (word: string | null): boolean =>
  word === null || /^-[A-Za-z]*[cs]/.test(word) || word === '--command';

/** The script in the words of a shell, `eval` or `trap`, where it is written out. */
export function nestedScript(words: Words): string | null {
  const [name = null, ...rest] = words;
  if (name === null || rest.some((word) => word === null)) return null;
  const fixed = rest as readonly string[];
  const base = baseOf(name);
  if (base === 'eval') return fixed.join(' ');
  if (base === 'trap') return fixed[0] === undefined || fixed[0].startsWith('-') ? null : fixed[0];
  if (!SHELLS.has(base)) return null;
  const at = fixed.findIndex((word) => /^-[A-Za-z]*c$/.test(word));
  // What stands before `-c` may be options with values of their own; behind it are the script and its arguments.
  return at === 0 ? (fixed[1] ?? null) : null;
}
