import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isCommand, isSurely, mayRun, offeredPrefix, prefixOf } from './commands.ts';
import { readScript } from './shell.ts';

/** Whether one rule alone would allow the script. */
const allows = (prefix: string, text: string): boolean => {
  const script = readScript(text);
  const words = prefixOf(prefix) ?? [];
  return script.clear && script.plain && script.commands.every((command) => isSurely(command, words));
};
const denies = (prefix: string, text: string): boolean => mayRun(readScript(text), prefixOf(prefix) ?? []);

/** Ways to run `rm` that somebody might think of. */
const HIDDEN = [
  'rm x',
  'git status; rm x',
  'git status && rm x',
  'git status || rm x',
  'git status | rm x',
  'git status & rm x',
  'git status\nrm x',
  '(rm x)',
  '{ rm x; }',
  'if rm x; then git status; fi',
  'while rm x; do git status; done',
  'for i in $(rm x); do git status; done',
  'case $(rm x) in *) git status;; esac',
  'f() { rm x; }; f',
  'git() { rm x; }; git status',
  'git status $(rm x)',
  'git status `rm x`',
  'git status "$(rm x)"',
  'git status ${y:-$(rm x)}',
  'git status <(rm x)',
  'git status <<EOF\n$(rm x)\nEOF',
  'git status <<< "$(rm x)"',
  'git status > "$(rm x)"',
  'a=$(rm x) git status',
  'a=$(rm x)',
  'a=($(rm x))',
  '[[ -n $(rm x) ]]',
  '(( a[$(rm x)] ))',
  'echo $(( a[$(rm x)] ))',
  'coproc rm x',
  'time rm x',
  '! rm x',
  'select y in a; do rm x; done',
  '\\rm x',
  '"r"m x',
  "r''m x",
  "$'rm' x",
  "$'\\x72m' x",
  'r\\\nm x',
  '/bin/rm x',
  '../../bin/rm x',
  '$(echo rm) x',
  '$x x',
  '${x} x',
  '"$@"',
  '{rm,x}',
  'r? x',
  '~/rm x',
  'eval rm x',
  'eval "rm x"',
  'eval "$x"',
  'exec rm x',
  'command rm x',
  'builtin rm x',
  'env rm x',
  'env A=1 rm x',
  'env -S "rm x"',
  'nohup rm x',
  'nice -n 5 rm x',
  'timeout 5 rm x',
  'setsid rm x',
  'stdbuf -o0 rm x',
  'xargs rm',
  'xargs -I{} rm {}',
  'xargs $x',
  'parallel rm',
  'sudo rm x',
  'sudo -u root rm x',
  'watch rm x',
  'flock x rm x',
  'busybox rm x',
  'find . -exec rm {} +',
  'find . -execdir rm {} \\;',
  'find . $x',
  'sh -c "rm x"',
  "bash -c 'rm x'",
  "bash -lc 'rm x'",
  'bash -c "$x"',
  'bash -c "bash -c \'rm x\'"',
  'bash <<EOF\nrm x\nEOF',
  'echo "rm x" | sh',
  'bash -s < script',
  'source script',
  '. script',
  'trap "rm x" EXIT',
  "alias y='rm x'",
  'python3 -c "import os; os.system(\'rm x\')"',
  'python -',
  'python3 < script',
  "node -e \"require('child_process').exec('rm x')\"",
  'node --eval x',
  'perl -e "unlink x"',
  'ruby -e x',
  'php -r x',
  'awk \'BEGIN { system("rm x") }\'',
  'git -c alias.y="!rm x" y',
  'ssh host rm x',
  'prlimit rm x',
  'setpriv rm x',
  'linux64 rm x',
  'fakeroot rm x',
  'capsh -- -c "rm x"',
  '/lib64/ld-linux-x86-64.so.2 /bin/rm x',
  'sqlite3 :memory: ".shell rm x"',
  'compgen -C "rm x"',
  'hash -p /bin/rm q; q x',
  'echo "unfinished',
  'if then',
  'git status \u0000 rm',
];

describe('a rule that denies a command', () => {
  it('finds it wherever a shell would run it, and where nobody can tell that it is not there', () => {
    for (const text of HIDDEN) assert.ok(denies('rm', text), JSON.stringify(text));
  });

  it('finds its words in their order, whatever options stand between them', () => {
    for (const text of ['git push', 'git -C /x push', 'git --git-dir=y push origin', 'git push --force', 'git $x'])
      assert.ok(denies('git push', text), text);
    for (const text of ['rm -rf x', 'rm -fr x', 'rm -r -f x', 'rm -v -f -r x']) assert.ok(denies('rm -rf', text), text);
    for (const text of ['git pull', 'git log', 'rm x', 'rm -r x'])
      assert.ok(!denies('git push', text) && !denies('rm -rf', text), text);
  });

  it('leaves in peace what is read whole and does not run it', () => {
    const harmless = [
      'git status',
      'echo rm',
      'grep rm x',
      'cat rm',
      'ls -l | sort > out',
      'for f in a b; do echo "$f"; done',
      'npm run rm-all',
      'if [ -f x ]; then cat x; fi',
      'FOO=1 make',
      'python3 tool.py',
      'timeout 5 make',
      'bash -c "ls -l"',
      'eval "ls x"',
      'trap "ls" EXIT',
      "cat <<'EOF'\n$(rm x)\nEOF",
      'echo $((1 + 2))',
    ];
    for (const text of harmless) assert.ok(!denies('rm', text), text);
  });
});

describe('a rule that allows a command', () => {
  it('allows it with whatever stands behind its words, alone and many times', () => {
    const fine = [
      'git status',
      'git status --porcelain',
      'git status "a b"',
      'git status 2>&1',
      'git status 2>/dev/null',
      'git status; git status',
      'git status && git status | git status',
      '(git status)',
      'if git status; then git status -s; fi',
      'git status # rm x',
      '! git status',
      'git status <<EOF\nrm\nEOF',
    ];
    for (const text of fine) assert.ok(allows('git status', text), text);
    // What is known only when it runs may be an option; with git that can run another program, with ls it cannot.
    assert.deepEqual([allows('ls', 'ls $x $(ls)'), allows('git status', 'git status $x')], [true, false]);
  });

  it('allows nothing else, however it is hidden', () => {
    for (const text of HIDDEN) assert.ok(!allows('git status', text), JSON.stringify(text));
    const others = [
      'git',
      'git push',
      'git -C /x status',
      'git statusx',
      'xgit status',
      './git status',
      '/tmp/git status',
      'GIT_PAGER=x git status',
      'PATH=/tmp git status',
      'git status > x',
      'git status >> x',
      'git status &> x',
      'git status >| x',
      'git status < x',
      'git $x',
      'git status > $x',
      'cd /tmp && git status',
      'export PATH=/tmp; git status',
      'function git { x; }; git status',
      '',
      '   ',
      '# git status',
    ];
    for (const text of others) assert.ok(!allows('git status', text) || readScript(text).commands.length === 0, text);
  });

  it('allows nothing behind what may make another program of its name', () => {
    const turned = [
      'for PATH in .; do ls; done',
      'select PATH in .; do ls; done',
      'read PATH <<< .; ls',
      'printf -v PATH .; ls',
      'declare PATH=.; ls',
      'unset PATH; ls',
      'hash -p ./x ls; ls',
    ];
    for (const text of turned)
      for (const name of ['ls', 'read', 'printf', 'declare', 'unset', 'hash']) assert.ok(!allows(name, text), text);
  });

  it('allows no builtin to expand what is quoted', () => {
    const subscripts = ["printf -v 'a[$(rm x)]' 1", "test -v 'a[$(rm x)]'", "[ -v 'a[`rm x`]' ]", "read 'a[$(rm x)]'"];
    for (const text of [...subscripts, "let 'a[$(rm x)]=1'", "declare 'a[$(rm x)]=1'", "declare -i 'a=b[$(rm x)]'"]) {
      for (const name of ['printf', 'test', '[', 'read', 'let', 'declare']) assert.ok(!allows(name, text), text);
      assert.ok(denies('rm', text), text);
    }
    assert.ok(allows('test', 'test -f x') && allows('printf', "printf '%s' x") && allows('[', '[ -d x ]'));
  });

  it('cannot be for what runs anything at all', () => {
    for (const command of [
      'sudo',
      'bash',
      'sh -c',
      'env',
      'xargs',
      'eval',
      'python3 -c',
      'sed',
      'find -exec',
      'git -c',
      'a && b',
      'a > b',
      '$x',
      '',
    ])
      assert.equal(isCommand(command, true), false, command);
    for (const command of ['sudo', 'bash', 'xargs', 'git push', 'rm -rf'])
      assert.equal(isCommand(command, false), true, command);
    for (const command of ['git status', 'npm run build', 'ls', 'make'])
      assert.equal(isCommand(command, true), true, command);
  });
});

it('what a person is offered to allow is the command with its verb, and nothing where that says too little', () => {
  const offered = (text: string): (string | null)[] => readScript(text).commands.map(offeredPrefix);
  assert.deepEqual(offered('git status -s; npm run build --x; ls -la; cat a.txt; git stash pop'), [
    'git status',
    'npm run build',
    'ls',
    'cat',
    'git stash pop',
  ]);
  assert.deepEqual(offered('sudo ls; FOO=1 make; git log > x; $x'), [null, null, null, null]);
});

it('a script is read in bounded time, however it is made', () => {
  for (const text of [
    '('.repeat(50_000),
    '$('.repeat(50_000),
    'a;'.repeat(30_000),
    '"'.repeat(60_001),
    '`'.repeat(50_001),
    '{'.repeat(60_000),
    'x'.repeat(200_000),
  ])
    assert.ok(!allows('git status', text));
});
