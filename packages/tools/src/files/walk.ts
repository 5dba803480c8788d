import { LIMITS } from '../limits.ts';
import type { FileSpace, Opened } from './space.ts';

/** Folders that a search leaves out unless it starts in them. */
export const LEFT_OUT: ReadonlySet<string> = new Set(['.git', 'node_modules']);

/** What a walk met; filled while it goes. */
export type WalkTally = {
  entries: number;
  /** Folders left out by name. */
  leftOut: number;
  links: number;
  unreadable: number;
  /** True when there was more than the limits on entries or depth let the walk see. */
  cut: boolean;
};

export const emptyTally = (): WalkTally => ({ entries: 0, leftOut: 0, links: 0, unreadable: 0, cut: false });

/** `below`: its path from where the walk started, with `/`. */
export type WalkedFile = { at: string; below: string };

/**
 * The regular files below a folder: those of a folder by name, then its folders by name, always in the same order. Links
 * are not followed. What cannot be opened, or is replaced meanwhile, is counted and passed over.
 */
export async function* walkFiles(
  space: FileSpace,
  start: Opened,
  tally: WalkTally,
  signal: AbortSignal,
): AsyncGenerator<WalkedFile> {
  const ahead: { at: string; below: string; depth: number }[] = [{ at: start.at, below: '', depth: 0 }];
  for (let folder = ahead.pop(); folder !== undefined; folder = ahead.pop()) {
    signal.throwIfAborted();
    const listed = await listFolder(space, folder.at);
    if (listed === null) {
      tally.unreadable += 1;
      continue;
    }
    tally.cut ||= listed.cut;
    const folders: typeof ahead = [];
    for (const { name, kind, at } of listed.entries) {
      if (tally.entries === LIMITS.walkedEntries) {
        tally.cut = true;
        return;
      }
      tally.entries += 1;
      const found = { at, below: folder.below + name };
      if (kind === 'file') yield found;
      else if (kind === 'link') tally.links += 1;
      else if (kind === 'directory' && LEFT_OUT.has(name)) tally.leftOut += 1;
      else if (kind === 'directory' && folder.depth < LIMITS.walkedDepth)
        folders.push({ at: found.at, below: `${found.below}/`, depth: folder.depth + 1 });
      else if (kind === 'directory') tally.cut = true;
    }
    ahead.push(...folders.reverse());
  }
}

async function listFolder(space: FileSpace, at: string): Promise<Awaited<ReturnType<Opened['entries']>> | null> {
  try {
    await using folder = await space.openFound(at, 'directory');
    return await folder.entries();
  } catch {
    return null;
  }
}

/** What a search did not see. What it leaves out by rule is told only where that may be why it found nothing. */
export function notesOnWalk(tally: WalkTally, foundNothing: boolean): string[] {
  const notes: string[] = [];
  if (tally.cut)
    notes.push(
      `[not all was searched: there are more than ${LIMITS.walkedEntries} entries or too deep folders; narrow path]`,
    );
  if (tally.unreadable > 0) notes.push(`[${tally.unreadable} folders could not be read]`);
  if (foundNothing && tally.leftOut > 0)
    notes.push('[folders named .git and node_modules were left out; set path to one to search it]');
  if (foundNothing && tally.links > 0) notes.push(`[${tally.links} links were not followed]`);
  return notes;
}
