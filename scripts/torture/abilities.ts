// What this machine lets the torture do.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Node under strace, stopped at flushes alone: everything else goes at its own speed. */
export const tracing = (injection: string): string[] =>
  `strace --follow-forks --quiet=all --seccomp-bpf --output=/dev/null --trace=fsync,fdatasync --inject=fsync,fdatasync:${injection}`.split(
    ' ',
  );

export function canTrace(): boolean {
  const [program = '', ...rest] = tracing('delay_enter=1');
  return spawnSync(program, [...rest, 'true']).status === 0;
}

export function canMount(): boolean {
  if (process.platform !== 'linux') return false;
  const folder = mkdtempSync(join(tmpdir(), 'perdure-mount-'));
  try {
    return mountSized(folder, '1m') && unmount(folder);
  } finally {
    rmdirSync(folder);
  }
}

/** A file system in memory of this size; where it is mounted already it changes its size. */
export function mountSized(folder: string, size: string, isThere = false): boolean {
  const options = isThere ? `remount,size=${size}` : `size=${size}`;
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
}

export const unmount = (folder: string): boolean => spawnSync('umount', ['-l', folder]).status === 0;
