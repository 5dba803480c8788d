/**
 * What a sandbox is made of, as arguments of bubblewrap.
 *
 * L1 Its root, `/tmp`, `/dev` and `/etc` are its own, empty, in memory; the root and `/dev` cannot be written.
 * L2 Of the machine it has programs and libraries, and from `/etc` what these cannot do without and everybody may read
 *    (`etc.ts`).
 * L3 Mount points are made in what is its own, and folders come last (M2).
 */
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import type { SandboxOptions } from '@perdure/runtime/ports';
import type { Part } from './etc.ts';
import { NOBODY } from './identity.ts';

/** Where bubblewrap finds, by number, what it is handed. */
export type Handed = {
  passwd: number;
  group: number;
  hosts: number;
  seccomp: number;
  folders: readonly { fd: number; at: string; write: boolean }[];
  etc: readonly Part[];
};
/** Files of this machine that are put into `/run/perdure`. */
export type Given = { node: string | null; proxy: string | null };

export const NODE_AT = '/run/perdure/node';
export const PROXY_AT = '/run/perdure/proxy';
const SYSTEM_LINKS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];
export const USUAL_ENV = {
  PATH: `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/perdure`,
  HOME: '/tmp',
  LANG: 'C.UTF-8',
  TERM: 'dumb',
};

export const PASSWD = `sandbox:x:${NOBODY.uid}:${NOBODY.gid}:sandbox:/tmp:/bin/bash\n`;
export const GROUP = `sandbox:x:${NOBODY.gid}:\n`;
export const HOSTS = '127.0.0.1 localhost sandbox\n::1 localhost sandbox\n';

export function argumentsOf(options: SandboxOptions, handed: Handed, given: Given): string[] {
  const size = ['--size', String(options.limits.scratchBytes)];
  const env = Object.entries({ ...USUAL_ENV, ...proxyEnv(given), ...options.env });
  return [
    ['--unshare-all', '--unshare-user', '--new-session', '--die-with-parent', '--cap-drop', 'ALL', '--clearenv'],
    ['--uid', String(NOBODY.uid), '--gid', String(NOBODY.gid), '--hostname', 'sandbox'],
    ['--seccomp', String(handed.seccomp)],
    ['--ro-bind', '/usr', '/usr'],
    SYSTEM_LINKS.flatMap(systemFolder),
    ['--dir', '/etc', ...handed.etc.flatMap(etcPart)],
    copied(handed.passwd, '/etc/passwd'),
    copied(handed.group, '/etc/group'),
    copied(handed.hosts, '/etc/hosts'),
    ['--proc', '/proc', '--dev', '/dev', ...size, '--tmpfs', '/dev/shm', '--remount-ro', '/dev'],
    [...size, '--tmpfs', '/tmp'],
    given.node === null ? [] : ['--ro-bind', given.node, NODE_AT],
    given.proxy === null ? [] : ['--ro-bind', given.proxy, PROXY_AT],
    handed.folders.flatMap(({ fd, at, write }) => [write ? '--bind-fd' : '--ro-bind-fd', String(fd), at]),
    ['--remount-ro', '/', '--chdir', options.cwd],
    env.flatMap(([name, value]) => ['--setenv', name, value]),
  ].flat();
}

const copied = (fd: number, at: string): string[] => ['--perms', '0444', '--file', String(fd), at];

/** Folders are made before what is in them. */
function etcPart(part: Part): string[] {
  switch (part.kind) {
    case 'file':
      return copied(part.fd, part.at);
    case 'link':
      return ['--symlink', part.target, part.at];
    case 'folder':
      return ['--dir', part.at];
    case 'mount':
      return ['--ro-bind-try', part.at, part.at];
  }
}

/** As this machine has it: a link into `/usr`, or a folder. */
function systemFolder(name: string): string[] {
  if (!existsSync(`/${name}`)) return [];
  return lstatSync(`/${name}`).isSymbolicLink()
    ? ['--symlink', readlinkSync(`/${name}`), `/${name}`]
    : ['--ro-bind', `/${name}`, `/${name}`];
}

export const PROXY_PORT = 3_128;
const PROXY_URL = `http://127.0.0.1:${PROXY_PORT}`;

/** Both spellings are in use; what is inside is reached without it. */
function proxyEnv({ proxy }: Given): { [name: string]: string } {
  if (proxy === null) return {};
  const names = [
    'http_proxy',
    'https_proxy',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'npm_config_proxy',
    'npm_config_https_proxy',
  ];
  const local = 'localhost,127.0.0.1,::1';
  return { ...Object.fromEntries(names.map((name) => [name, PROXY_URL])), no_proxy: local, NO_PROXY: local };
}
