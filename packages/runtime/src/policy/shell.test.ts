import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
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
  // A shell that is given a file of commands.
  'sh s.sh',
  'bash s.sh',
  'bash -x s.sh',
  'bash -- s.sh',
  'bash --rcfile s.sh -i',
  'bash --init-file s.sh -ic ls',
  'sh < s.sh',
  'sh ./s.sh x',
  'env sh s.sh',
  'timeout 5 bash s.sh',
  'find . -name "*.sh" -exec sh {} \\;',
  'xargs sh',
  '. ./s.sh',
  'fish s.fish',
  // What another program gives to a shell, or runs as it is.
  "env sh -c 'r\\m x'",
  'find . -exec sh -c \'r""m x\' \\;',
  "xargs -I{} sh -c '{}'",
  "find . -exec sh -c 'ls {}' \\;",
  'find /bin -name "r?" -exec {} x \\;',
  'echo rm | xargs -I% % x',
  'echo rm x | xargs env',
  'xargs -a list ls',
  "nice -n 5 sh -c 'r\\m x'",
  "watch 'r\\m x'",
  "script -c 'r\\m x'",
  "flock x -c 'r\\m x'",
  "parallel ::: 'r\\m x'",
  "ssh host 'r\\m x'",
  'busybox sh s.sh',
  'busybox env rm x',
  'env -S "r\\m x"',
  'sudo -s',
  'exec -a ls rm x',
  'command -p rm x',
  'stdbuf -oL rm x',
  'strace -o x rm x',
  'npx -c "rm x"',
  'npx rm x',
  'npm exec -- rm x',
  'npm exec -c "rm x"',
  'npm x rm x',
  'npm --prefix x exec -- rm x',
  'npm explore x -- rm x',
  'pnpm dlx rm x',
  'yarn exec rm x',
  'bunx rm x',
  'uv run rm x',
  'bundle exec rm x',
  'docker run -v /:/x image',
  // Variables that make programs run others.
  "PS4='$(rm x)'; set -x; ls",
  "export PS4='$(r\\m x)'; set -x; ls",
  'PS4=$y; set -x; ls',
  'PS4=$(cat x); set -x; ls',
  "printf -v PS4 '%s' '$(rm x)'; set -x",
  'read PS4 < x; set -x; ls',
  'for PS4 in "$x"; do set -x; done',
  ': ${PS4:=$(cat x)}; set -x',
  "declare -n p=PS4; p='$(rm x)'; set -x",
  'export "$n=y"',
  'export "P$n=y"',
  'export "PAGER=$x"; git log',
  'env "PAGER=$x" git log',
  'read "P$x"',
  'printf "$x" PS4 y',
  '[ "$x" "$y" ]',
  '[ -v "$y" ]',
  '[ $x ]',
  'sort src/$x',
  'sort "$x"',
  'sort -"$x"',
  'sort "src/$@"',
  'sort "src/${a[@]}"',
  'sed "s/a/$x/" y',
  'awk "{ print $x }" y',
  'sh -c "ls $x"',
  'git clone "ext:$x"',
  'git clone "e$x"',
  'find . -exec "x$y" \\;',
  'trap "ls $x" EXIT',
  'eval "ls $x"',
  'timeout 5 "l$x"',
  'xargs -I "x$y" z ls',
  'python3 "src/$x"',
  'BASH_ENV=s.sh bash -c ls',
  'ENV=s.sh sh -c ls',
  "PROMPT_COMMAND='rm x'",
  'PROMPT_COMMAND+=x',
  'LD_PRELOAD=./x.so ls',
  'export LD_PRELOAD=./x.so',
  'env LD_PRELOAD=./x.so ls',
  'sudo LD_PRELOAD=./x.so ls',
  "GIT_SSH_COMMAND='rm x' git fetch",
  "GIT_EXTERNAL_DIFF='sh s.sh' git diff",
  "env GIT_PAGER='rm x' git log",
  'EDITOR="rm x" git commit',
  "PAGER='r\\m x' man ls",
  'export VISUAL="$x"',
  'GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=alias.y GIT_CONFIG_VALUE_0="!rm x" git y',
  "LESSOPEN='|rm x' ls",
  "NODE_OPTIONS='--import data:text/javascript,0' node x.js",
  "PERL5OPT='-Mx' perl x.pl",
  "JAVA_TOOL_OPTIONS='-XX:OnError=x' java -jar x.jar",
  "MAKEFLAGS='--eval=x:' make",
  "RSYNC_RSH='rm x' rsync a b",
  "CC='rm x' make",
  // Configuration and names that make `git` run others.
  'git -c alias.p=push p',
  "git -c core.pager='rm x' log",
  'git config alias.p push',
  "git config --global core.editor 'rm x'",
  'git config -f user.x alias.p push',
  'git config -e',
  'git p',
  'git difftool -x rm',
  'git rebase -x "rm x" y',
  'git rebase --exe "rm x" y',
  'git submodule foreach rm x',
  'git bisect run rm x',
  'git grep -O"rm x" y',
  'git clone -u rm x',
  'git clone --template=x y',
  "git clone 'ext::rm x' y",
  'git fetch --upload-p=rm x',
  'git --exec-path=. status',
  'git filter-branch --tree-filter "rm x"',
  'git for-each-repo --config=x status',
  // Options and files of programs that are harmless without them.
  "ed <<<'!rm x'",
  "ed -s x <<<'!rm x'",
  'vim -c "!rm x" x',
  'ex -s x',
  'emacs --batch --eval x',
  'less x',
  'man -P "rm x" ls',
  'tar cf x --checkpoint=1 --checkpoint-action=exec=rm y',
  'tar cf x --checkpoint=1 --checkpoint-act=exec=rm y',
  'tar -cIrm -f x y',
  'tar cIf rm x y',
  'tar xf x --to-command=rm',
  'zip x y -T -TT "rm x"',
  "zip x y -T --unzip-command='rm x'",
  'rsync -e "sh s.sh" a b:',
  'rsync -ae rm a b:',
  'rsync --rsh=rm a b:',
  "ssh -o ProxyCommand='rm x' y",
  'scp -S rm a b:',
  'sort --compress-prog=rm x',
  "split --filter='rm x' y",
  'rg --pre rm x',
  'fd -x rm',
  'wget --use-askpass=rm x',
  'wget -e use_askpass=rm x',
  'curl -K x',
  'gcc -wrapper rm x.c',
  'x86_64-linux-gnu-gcc-12 -B. x.c',
  'clang -fplugin=x.so x.c',
  'make -f-',
  'make -f - <x',
  'make -f /dev/stdin',
  'make --eval=x',
  'make SHELL=rm',
  "make X='$(shell rm x)'",
  'go test -exec rm ./...',
  'go build -toolexec rm',
  'cmake -P x',
  'cmake -E env rm x',
  'dpkg-architecture -c rm x',
  'apt-get -o Dpkg::Pre-Invoke::=rm x',
  'pdflatex --shell-escape x',
  'mapfile -C rm -c1 x',
  'enable -f x.so y',
  "sed '1e rm x' y",
  "sed 's/.*/rm x/e' y",
  "echo 'r,m x' | sed 's/,//e'",
  'sed -f x y',
  'sed --expression=1e y',
  'sed -n "$x" y',
  "sed -e 's/a/b/' -e 'e rm' y",
  "sed --exp='1e rm' y",
  'awk "$x" y',
  'awk -f x y',
  'awk \'{ print | "r" "m x" }\' y',
  'awk \'{ "r" "m x" | getline }\' y',
  'awk \'BEGIN { f = "sys" "tem"; @f("r" "m") }\'',
  "gawk -l filefuncs 'BEGIN { }'",
  'python3 -m timeit x',
  'python3 /dev/stdin',
  'node /dev/fd/3',
  "node --import 'data:text/javascript,0' x.js",
  'perl -Mx y.pl',
  'php -d auto_prepend_file=x y.php',
  'psql -c "\\! rm x"',
  "mysql -e 'system rm x'",
  'redis-cli x',
  'gdb -ex "shell rm x"',
  'tmux new -d "rm x"',
  'socat - EXEC:"rm x"',
  'nc -e rm x 1',
  'at now < s.sh',
  'systemd-run rm x',
  'm4 x',
  // Arithmetic that runs what stands in a text.
  "x='a[$(rm x)]'; echo $((x))",
  "[[ 'a[$(rm x)]' -eq 0 ]]",
  "x=$(printf 'a[%s(rm x)]' '$'); echo $((x))",
  "printf -v x 'a[%s(rm x)]' '$'; ((x))",
  'read x < y; echo $((x + 1))',
  'while read -r a b; do ((n += b)); done < y',
  'mapfile -t a < y; [[ ${a[0]} -gt 0 ]] && x=$a && ((x))',
  'x=$(cat y); [[ $x -eq 0 ]]',
  '[[ $(cat y) -eq 0 ]]',
  'x=$(cat y); echo ${z:x}',
  'x=$(cat y); echo ${a[x]}',
  'x=$(cat y); a[x]=1',
  'for x in $(cat y); do echo $((x)); done',
  'for x in "$@"; do ((x)); done',
  'f() { echo $(($1)); }; f "$(cat y)"',
  'echo $(($(cat y)))',
  ': ${x:=$(cat y)}; echo $((x))',
  'echo $(($(wc y)))',
  'read < y; echo $((REPLY))',
  'read x < y; let x+=1',
  'declare -i n; n=$(cat y)',
  'declare -i n=$(cat y)',
  'local -ri n="$x"',
];

/** Honest work, none of which runs `rm`. */
const HARMLESS = [
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
  'npm test',
  'npm test -- --grep x',
  'npm install && npm run build',
  'npx tsc --noEmit',
  'npx -y vitest run',
  'npm exec -- eslint .',
  'node x.js',
  'node --test x.test.js',
  'python3 -m pytest -q',
  './x --y',
  './s.sh',
  'make -j4 all',
  'make -j$(nproc)',
  'CC=clang CFLAGS=-O2 make',
  'cargo build --release',
  'go test ./...',
  'gcc -O2 -o x *.c',
  'ls | grep x',
  'for f in *.ts; do wc -l $f; done',
  'while read -r l; do n=$((n + 1)); done < x; echo $n',
  'git status',
  'git -C sub diff --stat | cat',
  'git add -A && git commit -m "a message"',
  'git add "$f"',
  'git -c user.name=x -c user.email=y commit -m z',
  'git config user.email x@example.com',
  'git config --get remote.origin.url',
  'git switch -c branch; git clean -xn; git cherry-pick -x y',
  'git push origin main',
  'git log --oneline -n 5',
  'GIT_PAGER=cat git log',
  'GIT_EDITOR=true git rebase --continue',
  'PAGER= git diff',
  'NODE_ENV=test CI=1 npm test',
  'NODE_OPTIONS=--max-old-space-size=4096 npm run build',
  'PYTHONPATH=src pytest',
  'export PATH="$PATH:node_modules/.bin"; tsc',
  "sed -n '1,20p' x",
  "sed -i 's/foo/bar/g' x y",
  "sed -i.bak -E 's|a/b|c|; /x/d' y",
  "sed -e 's/a/b/' -e '$d' y",
  "sed '/^#/!s/a\\/b/c/2g' y",
  "sed ':a;N;$!ba;s/\\n/ /g' x",
  "awk '{ print $1 }' x",
  "awk -F: '$3 > 10 || NR == 1 { n += $2 } END { print n }' x",
  'find . -name "*.ts" -exec wc -l {} +',
  "find . -name '*.ts' | xargs grep -n node",
  'find src -type f -exec sed -i "s/a/b/" {} \\;',
  'xargs -0 -n 1 wc -l < x',
  'env FOO=1 node x.js',
  'nohup npm start & wait $!',
  'nice -n 10 make',
  'time npm test',
  'command -v git',
  'tar czf x.tgz src',
  'tar -xzf x.tgz -C out',
  'sort -u x | uniq -c | head -n 3',
  'rsync -a src/ out/',
  'curl -sS https://example.com',
  'zip -r x.zip src',
  'set -euo pipefail; ls',
  'bash --version',
  'bash -ec "npm test"',
  'printf "%s\\n" x',
  'read -r a b < x',
  'trap - EXIT',
  'test -f x && cat x',
  'echo "$x" | tee y',
  'n=$(wc -l < x); echo $((n * 2))',
  'n=$(ls | wc -l); if [ "$n" -gt 3 ]; then ls; fi',
  'for i in $(seq 1 5); do echo $((i * i)); done; for ((i = 0; i < 3; i++)); do ls; done',
  'for i in {1..3} 7; do echo "${a[i]}"; done',
  'f() { local n=0; n=$((n + 1)); echo $n $(($# + $?)); }; f x',
  'declare -i n=0; n+=1; let n++',
  't=$(date +%s); make; echo $(($(date +%s) - t))',
  'x=$(cat y); echo "$x"; [[ $x == z ]] && [[ -n $x ]]',
  '[ "$a" = "$b" ] && [ -n "$c" ] || test "$d" -gt 3',
  'printf "Total: $n\\n"; printf "$n"',
  'for f in *.txt; do sed -n 1p "src/$f"; done',
  'sort src/*.txt | tar czf "out/$n.tgz" src/*',
  'tar czf x.tgz --exclude="$y" src',
  'git log "origin/$b" --not v1',
  'curl -sS "https://example.com/$path"',
  'find "src/$d" -name x',
  'export "FOO=$x"; env "FOO=$x" make',
  'cp -r a b && mv b c',
];

/** Ways to put a script into another, which is read as well. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const WRAPS: readonly ((text: string) => string)[] = [
  (text) => `sh -c ${quoted(text)}`,
  (text) => `timeout 5 bash -c ${quoted(text)}`,
  (text) => `eval ${quoted(text)}`,
  (text) => `find . -exec sh -c ${quoted(text)} \\;`,
  (text) => `(\n${text}\n)`,
  (text) => `if true; then\n${text}\nfi`,
  (text) => `f() {\n${text}\n}; f`,
  (text) => `echo "$(\n${text}\n)"`,
  (text) => `git status\n${text}`,
  (text) => `env -i EDITOR=${quoted(text)} make`,
  (text) => `xargs -n 1 sh -c ${quoted(text)}`,
];

describe('a rule that denies a command', () => {
  it('finds it wherever a shell would run it, and where nobody can tell that it is not there', () => {
    for (const text of HIDDEN) assert.ok(denies('rm', text), JSON.stringify(text));
  });

  it('finds its words in their order, whatever options stand between them', () => {
    for (const text of ['git push', 'git -C /x push', 'git --git-dir=y push origin', 'git push --force', 'git $x'])
      assert.ok(denies('git push', text), text);
    for (const text of ['rm -rf x', 'rm -fr x', 'rm -r -f x', 'rm -v -f -r x']) assert.ok(denies('rm -rf', text), text);
    for (const text of ['/usr/lib/git-core/git-push origin', 'git-push', 'timeout 5 git push', 'xargs git'])
      assert.ok(denies('git push', text), text);
    for (const text of ['git pull', 'git log', 'rm x', 'rm -r x', 'timeout 5 git status', 'npx git-cz', 'git-lfs push'])
      assert.ok(!denies('git push', text) && !denies('rm -rf', text), text);
  });

  it('leaves in peace what is read whole and does not run it', () => {
    for (const text of HARMLESS) assert.ok(!denies('rm', text), text);
  });
});

describe('a rule that denies, around whatever stands in a script', () => {
  const nested = (texts: readonly string[], most: number): fc.Arbitrary<string> =>
    fc
      .tuple(fc.constantFrom(...texts), fc.array(fc.constantFrom(...WRAPS), { maxLength: most }))
      .map(([text, wraps]) => wraps.reduce((inner, wrap) => wrap(inner), text));

  it('denies what it denies also in the middle of another script', () => {
    fc.assert(fc.property(nested(HIDDEN, 4), (text) => denies('rm', text)));
  });

  it('leaves in peace what it leaves in peace also there', () => {
    // What `find` puts in the place of `{}` is the name of a file, which may be code in a script.
    const texts = HARMLESS.filter((text) => !text.includes('{}'));
    fc.assert(fc.property(nested(texts, 3), (text) => !denies('rm', text)));
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
    // What sets a variable is never allowed, so a rule that allows it would count for nothing.
    for (const command of ['read', 'export', 'unset', 'printf -v x'])
      assert.equal(isCommand(command, true), false, command);
    for (const command of ['bash -c', 'sh -c', 'python3 -c', 'find -exec', 'git -c', 'sudo rm | x'])
      assert.equal(isCommand(command, false), false, command);
    for (const command of ['sudo', 'sudo rm', 'bash', 'read', 'xargs', 'git push', 'rm -rf'])
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
  assert.deepEqual(offered('sudo ls; FOO=1 make; git log > x; $x'), [null, null, null, null, null]);
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
