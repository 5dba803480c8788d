import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import process from 'node:process';

const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * The beginning of a small text that lies in a folder (`root`, its real path), links and all; null where there is none,
 * or it lies elsewhere, or it is no ordinary file. What was opened is what is judged. Never throws.
 */
export function readSmallFile(root: string, path: string, maxBytes: number): { text: string; cut: boolean } | null {
  let opened: number | null = null;
  try {
    const real = realpathSync.native(path);
    if (!isWithin(root, real)) return null;
    opened = openSync(real, FLAGS);
    const stats = fstatSync(opened);
    if (!stats.isFile() || stats.nlink !== 1) return null;
    // Not only within: what has lost its name since bears a mark.
    if (process.platform === 'linux' && readlinkSync(`/proc/self/fd/${opened}`) !== real) return null;
    const bytes = Buffer.alloc(Math.min(stats.size, maxBytes));
    const read = readSync(opened, bytes, 0, bytes.length, 0);
    if (bytes.includes(0)) return null;
    return { text: new TextDecoder().decode(bytes.subarray(0, read)), cut: stats.size > maxBytes };
  } catch {
    return null;
  } finally {
    if (opened !== null) closeSync(opened);
  }
}

const isWithin = (root: string, path: string): boolean => path === root || path.startsWith(root + sep);
