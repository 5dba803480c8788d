/**
 * Programs that run other programs: what is known of them, so that a command is not taken for what its first word says.
 *
 * O1 A program that takes a command, and whose options are known here, is read: what stands behind them is a command.
 * O2 A program that takes a command or code in any other way (a file of commands, an editor, an option that is not known
 *    here) cannot be read to its end.
 * O3 All others do what they do: what `make`, `npm test`, `node x.js` or `./x` start by themselves is the sandbox's to bound.
 */
import { gitRuns, isOwnCommand } from './git.ts';
import { interprets, isInterpreter } from './interpreters.ts';
import type { Words } from './options.ts';
import { areWritten, commandBehind, matches, namesOf, optionsOf, says, UNKNOWN } from './options.ts';
import { awkRuns, sedRuns } from './stream-editors.ts';

/** What a command runs besides the program that its first word names. */
export type Carried = {
  /** Each with its words, as the program calls it. */
  commands: readonly Words[];
  /** For a shell to read. */
  scripts: readonly string[];
  /** Variables that it sets, as `NAME=value`; `NAME` where the value is not known. */
  sets: readonly string[];
};
const NOTHING: Carried = { commands: [], scripts: [], sets: [] };

/** They run the command behind their options and so many words. */
type Carrier = { flags?: RegExp; valued?: RegExp; skips?: number };
const PLAIN: Carrier = {};
const PACKAGES: Carrier = {
  flags: /^(?:-y|--yes|-q|--quiet|-s|--silent|--no|--no-install|--offline|--prefer-offline|--package=.+)$/,
  valued: /^(?:-p|--package)$/,
};
const CARRIERS: ReadonlyMap<string, Carrier> = new Map(
  Object.entries({
    env: { flags: /^(?:-i|-|-0|--null|--ignore-environment|--unset=\w+)$/, valued: /^-u$/ },
    command: { flags: /^-[pvV]+$/ },
    builtin: PLAIN,
    exec: { flags: /^-[cl]+$/, valued: /^-a$/ },
    nohup: PLAIN,
    nice: { flags: /^(?:-n?-?\d+|--adjustment=-?\d+)$/, valued: /^-n$/ },
    ionice: { flags: /^(?:-t|-[cn]\d)$/, valued: /^-[cn]$/ },
    timeout: {
      flags: /^(?:--foreground|--preserve-status|-v|-[ks]\w+|--(?:signal|kill-after)=\w+)$/,
      valued: /^-[ks]$/,
      skips: 1,
    },
    time: { flags: /^-[pv]+$/ },
    setsid: { flags: /^-[cfw]+$/ },
    stdbuf: { flags: /^-[ioe][\dL]\w*$/ },
    unbuffer: PLAIN,
    xargs: {
      flags: /^(?:-[0rtpx]+|-[nPLsd].+|-I.+|--null|--no-run-if-empty|--verbose|--max-(?:args|procs|lines)=\d+)$/,
      valued: /^-[0rtpx]*[nPLsdI]$/,
    },
    sudo: { flags: /^-[nEHS]+$/, valued: /^-[ug]$/ },
    doas: { flags: /^-n$/, valued: /^-u$/ },
    fakeroot: PLAIN,
    linux32: PLAIN,
    linux64: PLAIN,
    i386: PLAIN,
    x86_64: PLAIN,
    uname26: PLAIN,
    busybox: PLAIN,
    toybox: PLAIN,
    npx: PACKAGES,
    pnpx: PACKAGES,
    bunx: PACKAGES,
    uvx: PLAIN,
    'npm exec': PACKAGES,
    'npm x': PACKAGES,
    'pnpm exec': PACKAGES,
    'pnpm dlx': PACKAGES,
    'yarn exec': PACKAGES,
    'yarn dlx': PACKAGES,
    'bun x': PACKAGES,
    'uv run': PLAIN,
    'poetry run': PLAIN,
    'pipenv run': PLAIN,
    'pdm run': PLAIN,
    'pyenv exec': PLAIN,
    'rbenv exec': PLAIN,
    'opam exec': PLAIN,
    'stack exec': PLAIN,
    'rustup run': { skips: 1 },
    'bundle exec': PLAIN,
  }),
);
/** They run commands or code in ways that are not read here; where they are only asked what they are, nothing. */
const OPAQUE: ReadonlySet<string> = new Set(
  (
    'source . alias bind enable complete compgen compopt fc coproc ' +
    'fish csh tcsh ksh ksh93 mksh oksh pdksh posh hush zsh yash osh ysh pwsh nu elvish xonsh rc es slsh execlineb ' +
    'parallel su runuser pkexec chrt taskset setarch chroot unshare nsenter bwrap firejail capsh setpriv prlimit choom sg ' +
    'chpst setuidgid envdir gosu su-exec tini dumb-init softlimit cpulimit cgexec numactl eatmydata faketime daemon daemonize ' +
    'proxychains proxychains4 chronic ifne pee hyperfine nodemon concurrently cross-env direnv multitime pexec rlwrap proot runscript script scriptreplay watch entr flock torify torsocks ' +
    'ssh sshpass sftp ssh-agent mosh rsh rlogin telnet ftp lftp socat ncat nc netcat openvpn ' +
    'systemd-cat systemd-inhibit run0 catchsegv debconf sem niceload mispipe lckdo zrun scriptlive autoexpect watchexec fzf ' +
    'strace ltrace gdb lldb perf valgrind bpftrace rr at batch crontab systemd-run start-stop-daemon service run-parts ' +
    'dbus-run-session dbus-launch xvfb-run xterm expect screen tmux tmate byobu dtach abduco ' +
    'sudoedit editor sensible-editor select-editor pager sensible-pager ed red ex vi vim rvim nvim view vimdiff gvim emacs emacsclient nano pico joe micro visudo vipw ' +
    'less zless more zmore most man info view lv w3m lynx mail mailx mutt ' +
    'sqlite3 mysql mariadb psql mongosh redis-cli gnuplot octave m4 dc ' +
    'irb pry ghci jshell jjs erl iex scala groovy julia osascript tclsh wish guile csi sbcl clisp R ' +
    'distcc run-mailcap xdg-open logrotate logsave xdotool debugfs tshark nmap gs pdsh pssh msfconsole ansible ansible-playbook'
  ).split(' '),
);
/** The loader of programs, called by its own name, runs the one behind it. */
const LOADER = /^ld(?:-linux[\w.-]*)?\.so/;
/** Shells whose language is read here; the script of any other is not. */
const SHELLS: ReadonlySet<string> = new Set('sh bash rbash dash ash'.split(' '));
const INFORMS = /^(?:--version|--help|-V)$/;
/** Options, or words, by which a program that is harmless without them runs another one, or loads its code. */
const TELLTALES: ReadonlyMap<string, (word: string) => boolean> = new Map([
  ['fd', says('xX', 'exec', 'exec-batch')],
  ['fdfind', says('xX', 'exec', 'exec-batch')],
  ['rg', says('', 'pre', 'hostname-bin')],
  ['zip', says('T', 'unzip-command')],
  ['sort', says('', 'compress-program')],
  ['split', says('', 'filter')],
  ['rsync', says('e', 'rsh', 'rsync-path')],
  ['scp', says('SoFD')],
  ['cpio', says('', 'rsh-command', 'rmt-command')],
  ['curl', says('K', 'config')],
  ['wget', says('e', 'use-askpass', 'execute', 'config')],
  ['aria2c', says('', 'on-', 'conf-path')],
  ['bat', says('', 'pager')],
  ['ag', says('', 'pager')],
  ['sdiff', says('', 'diff-program')],
  ['diff3', says('', 'diff-program')],
  ['install', says('', 'strip-program')],
  ['patch', says('e', 'ed')],
  ['convert', matches(/\|/)],
  ['magick', matches(/\|/)],
  ['svn', says('', 'diff-cmd', 'diff3-cmd', 'editor-cmd', 'config-option', 'config-dir')],
  ['hg', says('', 'config', 'config-file')],
  ['jobs', says('x')],
]);
/** The same of programs that build: what they are told when they run adds nothing to what their files may say. */
const BUILDERS: ReadonlyMap<string, (word: string) => boolean> = new Map([
  ['make', matches(/^(?:--eval|-[A-Za-z]*E|-[A-Za-z]*f-|SHELL=|MAKEFLAGS=)|^-$|^-?f?\/(?:dev|proc)\/|\$[({]/)],
  ['cmake', matches(/^-[EP]/)],
  ['go', matches(/^--?(?:exec|toolexec|vettool)|extld/)],
  ['rustc', matches(/linker/)],
  ['mvn', matches(/^exec:|^-Dexec/)],
  ['pip', matches(/^--editor/)],
  ['pip3', matches(/^--editor/)],
  ['ipython', matches(/^-[A-Za-z]*[cm]/)],
  ['gh', matches(/^(?:alias|extension)$/)],
  ['cargo', matches(/^--config/)],
  ['java', matches(/^-XX:On/)],
  ['npm', matches(/^(?:exec|x|explore|edit)$|script-shell|node-options/)],
  ['pnpm', matches(/^(?:exec|dlx)$|script-shell|node-options/)],
  ['yarn', matches(/^(?:exec|dlx)$|script-shell/)],
  ['bun', matches(/^x$/)],
  ...'docker podman nerdctl kubectl oc lxc vagrant multipass limactl'
    .split(' ')
    .map((name) => [name, matches(/^(?:run|exec|ssh|shell|debug)$/)] as const),
  ['apt', says('oc', 'option', 'config-file')],
  ['apt-get', says('oc', 'option', 'config-file')],
  ['dpkg', says('', 'pre-invoke', 'post-invoke', 'status-logger')],
  ['dpkg-architecture', says('c', 'command')],
  ['rpm', says('E', 'eval', 'pipe', 'define')],
  ['pandoc', says('FL', 'filter', 'lua-filter', 'pdf-engine')],
  ['latexmk', says('er')],
  ['openssl', matches(/^-(?:engine|provider)/)],
  ['ssh-keygen', says('D')],
  ['tcpdump', says('z')],
  ['hash', says('p')],
]);
const COMPILER = /^(?:.*-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|c89|c99|gfortran)(?:-[\d.]+)?$/;
const COMPILES_BY = matches(/^(?:-wrapper|-B|-fplugin|-specs|--specs|-Xclang|-load|-fuse-ld|@)/);
const TEX = /^(?:pdf|xe|lua)?(?:la)?tex$/;
const TEX_RUNS = matches(/shell-escape|write18/);
const AWK = /^(?:[gmno]?awk)$/;
const TAR = /^(?:bsd|g)?tar$/;
const tarSays = says(
  'IF',
  'use-compress-program',
  'to-command',
  'checkpoint-action',
  'rsh-command',
  'rmt-command',
  'info-script',
  'new-volume-script',
);
/** They change what they are given, or write where they are told. */
const WRITERS: ReadonlyMap<string, RegExp> = new Map([
  ['find', /^-(?:delete|fprint|fprintf|fprint0|fls)$/],
  ['curl', /^(?:-o|-O|--output|--remote-name)/],
]);
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

/** `/usr/bin/env` is `env`. */
export const baseOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** The program as it is known here. */
function knownAs(name: string): string {
  const { base, plain } = namesOf(baseOf(name));
  const isOther = OPAQUE.has(base) || CARRIERS.has(base);
  const isKnown = OPAQUE.has(plain) || SHELLS.has(plain) || isInterpreter(plain);
  return isKnown && !isOther ? plain : base;
}

/** What a command runs besides the program of its first word; null: that cannot be told. */
export function carriedBy(words: Words): Carried | null {
  const [name = null, ...args] = words;
  // `{}` is what another program puts in its place.
  if (name === null || name.includes('{}') || name.includes(UNKNOWN)) return null;
  // What runs now, or what somebody writes into it.
  if (/^\/(?:proc|dev)\//.test(name)) return null;
  const base = knownAs(name);
  if (OPAQUE.has(base) || LOADER.test(base)) return args.length > 0 && args.every(informs) ? NOTHING : null;
  if (base === 'find') return foundBy(args);
  if (base === 'eval') return areWritten(args) ? { ...NOTHING, scripts: [args.join(' ')] } : null;
  if (base === 'trap') return trappedBy(args);
  if (SHELLS.has(base)) return shellRuns(args);
  if (SETTERS.has(base) || SETTING_OPTIONS.has(base)) return builtinRuns(base, args);
  const [carrier, behind] = carrierOf(base, args);
  if (carrier !== undefined) return carriedFor(base, carrier, behind);
  if (runsUnread(base, args)) return null;
  // `make CC=…` is as good as `CC=… make`.
  return base === 'make'
    ? { ...NOTHING, sets: args.filter((word) => word !== null && /^\w+=/.test(word)) as string[] }
    : NOTHING;
}

const informs = (word: string | null): boolean => word !== null && INFORMS.test(word);

/** Whether it runs what is not read here. */
function runsUnread(base: string, args: Words): boolean {
  if (base === 'git') return gitRuns(args);
  const verb = /^git-(.+)$/.exec(base)?.[1];
  if (verb !== undefined && isOwnCommand(verb)) return gitRuns([verb, ...args]);
  if (base === 'sed') return sedRuns(args);
  if (AWK.test(base)) return awkRuns(args);
  if (isInterpreter(base)) return !(args.length > 0 && args.every(informs)) && interprets(base, args);
  // Its first word may be a bundle of options without a dash.
  if (TAR.test(base))
    return args.some((word, at) => word === null || tarSays(at === 0 ? word.replace(/^(?!-)/, '-') : word));
  const tells = TELLTALES.get(base);
  if (tells !== undefined) return optionsOf(args).some((word) => word === null || tells(word));
  const builds = BUILDERS.get(base) ?? (COMPILER.test(base) ? COMPILES_BY : TEX.test(base) ? TEX_RUNS : undefined);
  // A file of rules that a command writes.
  if (
    base === 'make' &&
    args.some((word, at) => word === null && /^(?:-\w*f|--(?:make)?file)$/.test(args[at - 1] ?? ''))
  )
    return true;
  return builds !== undefined && optionsOf(args).some((word) => word !== null && builds(word));
}

function carrierOf(base: string, args: Words): [Carrier | undefined, Words] {
  const alone = CARRIERS.get(base);
  return alone === undefined ? [CARRIERS.get(`${base} ${args[0] ?? ''}`), args.slice(1)] : [alone, args];
}

function carriedFor(base: string, { flags, valued, skips = 0 }: Carrier, args: Words): Carried | null {
  const behind = commandBehind(args, { flags, valued });
  if (behind === null || behind.command.slice(0, skips).includes(null)) return null;
  let command: Words = behind.command.slice(skips);
  const sets: string[] = [];
  while (
    /^(?:env|sudo)$/.test(base) &&
    command[0] !== undefined &&
    (command[0] === null || /^[^-=]+=/.test(command[0]))
  ) {
    if (command[0] === null) return null;
    sets.push(command[0]);
    command = command.slice(1);
  }
  if (base === 'xargs') command = filledIn(behind.options, command);
  return { ...NOTHING, sets, commands: command.length === 0 ? [] : [command] };
}

/** Of `xargs`: what it reads stands behind the words, or in the place of one that it was told. */
function filledIn(options: readonly string[], command: Words): Words {
  if (command.length === 0) return [];
  const at = options.findIndex((word) => /^-[0rtpx]*I/.test(word));
  if (at < 0) return [...command, null];
  const place = options[at]?.replace(/^-[0rtpx]*I/, '') || options[at + 1];
  const isOpen = place === undefined || place.includes(UNKNOWN);
  return command.map((word) => (isOpen || word === null || word.includes(place) ? null : word));
}

/** Of `find`: each command behind `-exec`. A file that it names begins with the place it searches, so it is no option. */
function foundBy(args: Words): Carried | null {
  const commands: (string | null)[][] = [];
  let open: (string | null)[] | null = null;
  for (const [at, word] of args.entries()) {
    if (word === null) return null;
    if (open === null) {
      if (/^-(?:exec|execdir|ok|okdir)$/.test(word)) open = [];
    } else if (word === ';' || (word === '+' && args[at - 1] === '{}')) {
      commands.push(open);
      open = null;
    } else open.push(word === '{}' ? `${word}${UNKNOWN}` : word.includes('{}') ? null : word);
  }
  return open === null ? { ...NOTHING, commands } : null;
}

function trappedBy(args: Words): Carried | null {
  const [script] = args;
  if (script === undefined) return NOTHING;
  return script === null || !areWritten([script]) || (script.startsWith('-') && script !== '-')
    ? null
    : { ...NOTHING, scripts: [script] };
}

/** A script that stands behind `-c` is read; one in a file, or in what the shell reads, is not. */
function shellRuns(args: Words): Carried | null {
  // What stands behind the script is what it calls `$0`, `$1` and so on: known to it only when it runs.
  const given = args.slice(0, 2);
  if (!areWritten(given)) return null;
  if (args.length > 0 && args.every(informs)) return NOTHING;
  const [option = '', script] = given;
  // What stands before `-c` may be options with values of their own.
  return /^-[A-Za-jl-z]*c$/.test(option) && script !== undefined ? { ...NOTHING, scripts: [script] } : null;
}

/** Builtins that name the variables they set; a name that is not known may be any. */
const NAMERS: ReadonlySet<string> = new Set(
  'read mapfile readarray getopts let declare typeset local export readonly'.split(' '),
);

/** Whether `test` may look at a variable that is not named here (`-v`), which expands what stands in the brackets of its name. */
function testsVariable(args: Words): boolean {
  const words = args.filter((word) => word !== ']');
  if (words.length === 1) return words[0] === null;
  return words.some((word, at) => words[at + 1] === null && (word === null || /^-[vR]$/.test(word)));
}

function builtinRuns(base: string, args: Words): Carried | null {
  if (args.some((word) => word !== null && expands(word))) return null;
  // `set -k`: from then on what looks like an assignment behind a command is one.
  if (
    /^(?:set|shopt)$/.test(base) &&
    optionsOf(args).some((word) => word === null || word === 'keyword' || says('k')(word))
  )
    return null;
  if (base === 'test' || base === '[') return testsVariable(args) ? null : NOTHING;
  const [first = ''] = args;
  if (base === 'printf' && (first === null ? args.length === 1 : !first.startsWith('-v'))) return NOTHING;
  const names = NAMERS.has(base) || base === 'printf';
  if (names && args.some((word) => word === null || /^[^=]*\0/.test(word))) return null;
  // `declare -n x=PAGER`: `x` is another name of it. `mapfile -C`: what is called for each line.
  const telling = /^(?:declare|typeset|local)$/.test(base)
    ? says('n')
    : /^(?:mapfile|readarray)$/.test(base)
      ? says('C')
      : null;
  if (telling !== null && args.some((word) => word !== null && telling(word))) return null;
  return { ...NOTHING, sets: args.filter((word) => word !== null) };
}

/** Whether a builtin expands a word once more, in which something stands that would run. */
export function expands(word: string): boolean {
  // By hand: a pattern would begin anew at each bracket.
  const at = word.indexOf('[');
  return at >= 0 && /\$\(|`/.test(word.slice(at));
}

/** Whether a command does nothing but what its first word says, as far as one can tell. */
export function isPlain(words: Words): boolean {
  const carried = carriedBy(words);
  const [name = null, ...args] = words;
  if (carried === null || name === null) return false;
  const base = knownAs(name);
  const isKnown = !OPAQUE.has(base) && !SHELLS.has(base) && !/^(?:sed|eval|trap|hash)$/.test(base) && !AWK.test(base);
  const writes = WRITERS.get(base);
  const may = base === 'git' && args.includes(null);
  return (
    isKnown &&
    !may &&
    carrierOf(base, args)[0] === undefined &&
    !args.some((word) => (word === null ? writes !== undefined : writes?.test(word))) &&
    carried.commands.length === 0
  );
}

/** Whether a builtin gives variables values that it reads or makes. */
export const readsVariables = ([name]: Words): boolean =>
  /^(?:read|mapfile|readarray|getopts|printf)$/.test(name ?? '');

/** Whether a builtin gives a variable a value, or may: from then on a name may be another program's. */
export function setsVariables([name = null, ...rest]: Words): boolean {
  if (name === null || SETTERS.has(name)) return true;
  const options = SETTING_OPTIONS.get(name);
  return options !== undefined && rest.some((word) => word === null || options.test(word));
}
