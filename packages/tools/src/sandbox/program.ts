/** Which bubblewrap is installed, and whether it is one that these rules can be kept with. */
import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';
import { SandboxError } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';

const PLACES = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap'];
const NEEDED = [
  '--bind-fd',
  '--ro-bind-fd',
  '--file',
  '--perms',
  '--size',
  '--seccomp',
  '--args',
  '--info-fd',
  '--dev-bind',
  '--cap-add',
];
const INSTALL = 'install it (Debian and Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap)';

export type Program = { path: string; version: string };

/** Looks when it is first asked, and once; what was not suitable is looked at again. Throws `sandbox_unavailable`. */
export function suitable(given?: string): () => Promise<Program> {
  let found: Program | null = null;
  return async () => (found ??= await look(given));
}

async function look(given: string | undefined): Promise<Program> {
  if (process.platform !== 'linux')
    throw unavailable(`bubblewrap needs Linux, and this is ${process.platform}: run Perdure in a Linux machine`);
  const path = (given === undefined ? PLACES : [given]).find((each) => existsSync(each));
  if (path === undefined) throw unavailable(`bubblewrap is not installed: ${INSTALL}`);
  if (!existsSync('/bin/bash')) throw unavailable('bash is not installed, and commands begin with it: install it');
  if ((statSync(path).mode & 0o4000) !== 0)
    throw unavailable(`${path} is setuid root, which would put root behind every mistake in it: chmod u-s ${path}`);
  const [version, help] = await Promise.all([said(path, '--version'), said(path, '--help')]);
  const missing = NEEDED.filter((option) => !help.includes(`${option} `));
  if (missing.length > 0)
    throw unavailable(
      `${version} in ${path} lacks ${missing.join(', ')}, without which a folder cannot be mounted safely: ${INSTALL}, with the fixes of your distribution`,
    );
  return { path, version: version.replace(/^bubblewrap /, '') };
}

async function said(path: string, option: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(path, [option], { env: {}, timeout: LIMITS.sandboxStartMs });
    return stdout.trim();
  } catch {
    throw unavailable(`${path} does not answer to ${option}: ${INSTALL}`);
  }
}

/** Bubblewrap's words where the system does not let it make namespaces. */
const NO_NAMESPACES =
  /creat\w+ new namespace|uid map|gid map|No permissions to|Failed to make \/ slave|loopback: Failed|pivot_root/i;

/** What kept a command from beginning, by the words of whoever could not. */
export function cannotBegin(words: string): SandboxError {
  const said = words.trim().replaceAll(/\s*\n\s*/g, '; ');
  if (said.startsWith('bwrap: ') && NO_NAMESPACES.test(said))
    return unavailable(
      `${said}. This system lets no ordinary user make namespaces: allow it (sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0), and in a container allow unshare and mount too`,
    );
  return new SandboxError('not_started', said === '' ? 'the sandbox ended before the command began' : said);
}

const unavailable = (message: string): SandboxError => new SandboxError('sandbox_unavailable', message);
