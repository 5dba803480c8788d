/** Tries each wall of a sandbox from inside, and looks from outside whether it held. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Sandbox, SandboxOptions, SandboxWall } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { NOBODY } from './identity.ts';
import { LIMITS } from '../limits.ts';

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
const KNOWN_ENV = new Set(['PATH', 'HOME', 'LANG', 'TERM', 'PWD', 'OLDPWD', 'SHLVL', '_']);

/** Each line begins with what it tells. `$1` a port and `$2` a folder of the host that nothing may reach. */
const SCRIPT = `if (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo "network reached"; fi
if (echo x > "$2/x") 2>/dev/null; then echo "files wrote"; fi
if (: < /etc/shadow) 2>/dev/null; then echo "files read"; fi
if (: < /dev/tty) 2>/dev/null; then echo "terminal reached"; fi
for name in ${NAMESPACES.join(' ')}; do echo "namespace $name $(readlink "/proc/self/ns/$name")"; done
while read -r key value; do
  case "$key" in CapEff:|CapPrm:|CapBnd:|NoNewPrivs:|Seccomp:) echo "status $key $value" ;; esac
done < /proc/self/status
echo x > /probe/x
for kind in u d f t n; do echo "limit $kind $(ulimit -"$kind")"; done
while IFS='=' read -r -d '' name _; do echo "env $name"; done < /proc/self/environ`;

/** `user`: who wrote the file, to this machine. */
type Seen = { lines: readonly string[]; connected: boolean; written: boolean; user: number };

export async function probeWalls(run: Sandbox['run']): Promise<SandboxWall[]> {
  const seen = await look(run);
  const has = (line: string): boolean => seen.lines.includes(line);
  const values = (key: string): string[][] =>
    seen.lines.flatMap((line) => (line.startsWith(`${key} `) ? [line.slice(key.length + 1).split(' ')] : []));
  const shared = NAMESPACES.filter((name) => values('namespace').some((it) => it[0] === name && it[1] === here(name)));
  const told = values('namespace').length === NAMESPACES.length;
  const foreign = values('env').flatMap(([name = '']) => (KNOWN_ENV.has(name) ? [] : [name]));
  const status = Object.fromEntries(values('status').map(([key = '', value = '']) => [key, value]));
  const powerless = ['CapEff:', 'CapPrm:', 'CapBnd:'].every((key) => /^0+$/.test(status[key] ?? ''));
  const limits = Object.fromEntries(values('limit').map(([kind = '', value = '']) => [kind, value]));
  const bounded = ['u', 'd', 'f', 't', 'n'].every((kind) => /^\d+$/.test(limits[kind] ?? ''));
  return [
    wall('network', !seen.connected && !has('network reached'), 'a service of this machine is not reached'),
    wall('files', !seen.written && !has('files wrote') && !has('files read'), 'nothing outside is read or written'),
    wall('processes', told && !shared.includes('pid') && !shared.includes('user'), 'other processes are not seen'),
    wall(
      'namespaces',
      told && shared.length === 0,
      shared.length === 0 ? NAMESPACES.join(', ') : `shared: ${shared.join(', ')}`,
    ),
    wall('environment', foreign.length === 0, foreign.length === 0 ? 'none of this process' : foreign.join(', ')),
    wall(
      'privileges',
      powerless && status['NoNewPrivs:'] === '1' && seen.user !== 0,
      `user ${seen.user}, no capability`,
    ),
    wall('system calls', status['Seccomp:'] === '2', 'filtered'),
    wall('terminal', !has('terminal reached'), 'none'),
    wall('limits', bounded, 'of each process: memory, processor time, size and number of files'),
  ];
}

const wall = (name: string, holds: boolean, detail: string): SandboxWall => ({ wall: name, holds, detail });
const here = (namespace: string): string => readlinkSync(`/proc/${process.pid}/ns/${namespace}`);

async function look(run: Sandbox['run']): Promise<Seen> {
  let connected = false;
  const server = createServer((socket) => {
    connected = true;
    socket.destroy();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const { base, shown } = makeShown();
  const hidden = join(base, 'hidden');
  mkdirSync(hidden);
  chmodSync(hidden, 0o777);
  try {
    const text = await said(run, shown, ['/bin/bash', '-c', SCRIPT, 'probe', String(port), hidden]);
    const user = statSync(join(shown, 'x')).uid;
    return { lines: text.split('\n'), connected, written: readdirSync(hidden).length > 0, user };
  } finally {
    server.close();
    rmSync(base, { recursive: true, force: true });
  }
}

/** A folder that commands may write, in one that everybody goes through. */
function makeShown(): { base: string; shown: string } {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'perdure-probe-')));
  const shown = join(base, 'shown');
  chmodSync(base, 0o755);
  mkdirSync(shown);
  chmodSync(shown, 0o777);
  if (process.getuid?.() === 0) chownSync(shown, NOBODY.uid, NOBODY.gid);
  return { base, shown };
}

/** What a command said that ended well. */
async function said(
  run: Sandbox['run'],
  shown: string,
  command: readonly [string, ...string[]],
  more: Pick<SandboxOptions, 'denies'> = {},
): Promise<string> {
  const probed = await run(command, {
    folders: [{ path: shown, at: '/probe', write: true }],
    cwd: '/tmp',
    env: {},
    hosts: [],
    input: false,
    limits: LIMITS.sandboxProbe,
    ...more,
  });
  const [text, words] = await Promise.all([all(probed.stdout), all(probed.stderr)]);
  const end = await probed.ended;
  if (end.type !== 'exited' || end.code !== 0)
    throw new SandboxError('not_started', `the sandbox could not be probed: ${words.trim() || end.type}`);
  return text;
}

/** What rules deny is covered. Where that cannot be, a command that would need it does not begin: nothing is open. */
export async function deniedWall(run: Sandbox['run']): Promise<SandboxWall> {
  const { base, shown } = makeShown();
  const denied = join(shown, 'denied');
  mkdirSync(denied);
  writeFileSync(join(denied, 'x'), 'read');
  const script = 'cat /probe/denied/x; mv /probe/denied /probe/moved; cat /probe/moved/x; exit 0';
  try {
    const text = await said(run, shown, ['/bin/bash', '-c', script], { denies: ({ below }) => below === 'denied' });
    return wall('denied paths', text === '', 'what rules deny is covered before a command begins');
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return wall('denied paths', true, `no command begins where rules deny what is there: ${error.message}`);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function all(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const piece of pieces) kept.push(piece);
  return Buffer.concat(kept).toString();
}
