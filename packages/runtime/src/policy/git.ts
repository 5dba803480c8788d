/** `git`: which of its commands run others. An alias cannot take the name of one of them, so any other may be one. */
import type { Words } from './options.ts';
import { commandBehind, optionsOf, says } from './options.ts';

type Runs = (word: string) => boolean;
const never: Runs = () => false;
const remote = says('', 'upload-pack', 'receive-pack', 'exec');
const shown = says('', 'ext-diff', 'textconv');

const COMMANDS: ReadonlyMap<string, Runs> = new Map([
  ...(
    'add am apply blame branch cat-file check-attr check-ignore checkout cherry cherry-pick clean commit commit-tree ' +
    'count-objects describe for-each-ref fsck gc hash-object ls-files ls-tree merge merge-base merge-tree mv name-rev notes ' +
    'prune read-tree reflog remote repack reset restore rev-list rev-parse revert rm show-ref show-branch shortlog ' +
    'sparse-checkout stash status switch symbolic-ref tag update-index update-ref var version worktree write-tree bundle'
  )
    .split(' ')
    .map((name) => [name, never] as const),
  ...'diff diff-files diff-index diff-tree format-patch log range-diff show whatchanged'
    .split(' ')
    .map((name) => [name, shown] as const),
  ...'archive fetch fetch-pack ls-remote pull push send-pack'.split(' ').map((name) => [name, remote] as const),
  ['clone', says('uc', 'upload-pack', 'config', 'template')],
  ['init', says('', 'template')],
  ['grep', says('O', 'open-files-in-pager', 'textconv')],
  ['rebase', says('xi', 'exec', 'interactive')],
  ['bisect', (word) => word === 'run'],
  ['submodule', (word) => word === 'foreach'],
]);
const CALLED = {
  flags:
    /^(?:-[pPvh]|--(?:paginate|no-pager|bare|no-replace-objects|literal-pathspecs|no-optional-locks|no-advice|version|help)|--(?:git-dir|work-tree|namespace)=.*)$/,
  valued: /^(?:-C|-c|--git-dir|--work-tree|--namespace)$/,
};
/** Settings that name no program. */
const SETTING =
  /^(?:(?:user|color|push|pull|advice|status|safe|rerere)\.[\w.-]+|core\.(?:abbrev|autocrlf|bare|eol|filemode|ignorecase|longpaths|quotepath|safecrlf|symlinks)|init\.defaultbranch|(?:commit|tag)\.gpgsign|diff\.(?:algorithm|renames|context|nopre\w*)|merge\.(?:ff|conflictstyle)|rebase\.auto\w+|fetch\.prune|log\.\w+|gc\.auto|protocol\.version|http\.\w+)$/i;

/** Whether `git-NAME` is a program of git's own. */
export const isOwnCommand = (name: string): boolean =>
  COMMANDS.has(name) || /^(?:filter-branch|difftool|mergetool|send-email|for-each-repo|instaweb)$/.test(name);

/** The command that `git` is called for; null: that cannot be told. */
export const calledFor = (args: Words): string | null => commandBehind(args, CALLED)?.command[0] ?? null;

/** Whether it runs commands of others, or may. */
export function gitRuns(args: Words): boolean {
  const behind = commandBehind(args, CALLED);
  if (behind === null) return true;
  const { options, command } = behind;
  const given = options.filter((_, at) => options[at - 1] === '-c').map((setting) => setting.split('=')[0] ?? '');
  if (!given.every((name) => SETTING.test(name))) return true;
  const [name, ...rest] = command;
  if (name === undefined) return false;
  if (name === null) return true;
  // `ext::sh -c …` is a remote, too.
  if (rest.some((word) => word !== null && /^[\w-]+(?:::|:?\0)/.test(word))) return true;
  if (name === 'config') return !isSetting(rest);
  const runs = COMMANDS.get(name);
  if (runs === undefined) return true;
  return runs !== never && optionsOf(rest).some((word) => word === null || runs(word));
}

/** Of `git config`: it reads, or sets what names no program. */
function isSetting(args: Words): boolean {
  const [first, ...rest] = args.filter((word) => word === null || !/^--(?:global|local|system|worktree)$/.test(word));
  if (first === undefined || first === null) return false;
  if (/^(?:-l|--list|--get|--get-all|--get-regexp|get|list)$/.test(first)) return true;
  const key = /^(?:set|unset|--add|--unset|--unset-all|--replace-all)$/.test(first) ? rest[0] : first;
  return typeof key === 'string' && SETTING.test(key);
}
