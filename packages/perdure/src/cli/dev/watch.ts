/** Files that a project is made of, looked at again and again: it works on every file system and for every editor. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../../limits.ts';
import { time } from '../time.ts';

/** What stands in each file, by its path: a digest. */
export type Seen = ReadonlyMap<string, string>;

export type Watch = {
  /** As the files are now. */
  look(): Seen;
  /** Resolves once a file is otherwise than it was seen, and all have been quiet for a moment. */
  changed(since: Seen): { happened: Promise<void>; stop(): void };
};

/** `files`: what is watched, asked for at each look; those that are not there count as empty. */
export function createWatch(files: () => readonly string[]): Watch {
  const known = new Map<string, { stat: string; digest: string }>();
  const digestOf = (path: string): string => {
    const stats = statSync(path, { throwIfNoEntry: false, bigint: true });
    if (stats === undefined || !stats.isFile()) return '';
    const stat = `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
    const before = known.get(path);
    if (before?.stat === stat) return before.digest;
    const digest = contentDigest(path);
    known.set(path, { stat, digest });
    return digest;
  };
  const look = (): Seen => new Map(files().map((path) => [path, digestOf(path)]));
  return {
    look,
    changed(since) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let last = since;
      let timer = time.timers.set(LIMITS.watchMs, again);
      function again(): void {
        const now = look();
        // Quiet: the same at two looks, one behind the other.
        if (differing(since, now).length > 0 && differing(last, now).length === 0) return resolve();
        last = now;
        timer = time.timers.set(LIMITS.watchMs, again);
      }
      return { happened: promise, stop: () => timer.cancel() };
    },
  };
}

/** With files that were not looked at before as they are now. */
export function extended(before: Seen, now: Seen): Seen {
  return new Map([...now, ...before]);
}

/** Paths of files that are otherwise; one that is in neither, or in one alone and empty, is not. */
export function differing(before: Seen, after: Seen): string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => (before.get(path) ?? '') !== (after.get(path) ?? '')).toSorted();
}

function contentDigest(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('base64url');
  } catch {
    // It went away between the two looks.
    return '';
  }
}

/**
 * Files below a folder, up to `watchedFiles`; what a server is not made of is left out. None where it is not there.
 * `more`: there are files that were not looked for any more.
 */
export function filesBelow(folder: string): { files: string[]; more: boolean } {
  const found: string[] = [];
  const ahead = [folder];
  for (let at = ahead.pop(); at !== undefined && found.length <= LIMITS.watchedFiles; at = ahead.pop()) {
    for (const entry of entriesOf(at)) {
      if (LEFT_OUT.test(entry.name)) continue;
      const path = join(at, entry.name);
      if (entry.isDirectory()) ahead.push(path);
      else found.push(path);
    }
  }
  return { files: found.slice(0, LIMITS.watchedFiles), more: found.length > LIMITS.watchedFiles };
}

const LEFT_OUT = /^(\..*|node_modules|evals)$|\.(test|spec)\.\w+$|~$/;

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
