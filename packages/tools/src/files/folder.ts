import { join } from 'node:path';
import { ToolFailure } from '../failure.ts';
import { openMended } from './leftover.ts';
import { changeFiles } from './replace.ts';
import type { OpenedReal, Root } from './root.ts';
import { changed, failureOf, locate, openNamed, openReal, showPath } from './root.ts';
import type { FileSpace, Kind } from './space.ts';

/** A folder of this machine. */
export function folderSpace(root: Root): FileSpace {
  return {
    open: async (path, wanted) => openNamed(root, path, wanted),
    openToChange: async (path) => openMended(root, path),
    openFound: async (at, kind) => openAt(root, at, kind),
    reach: async (path) => reach(root, path),
    shown: (at) => showPath(root, at),
    change: async (wishes, asker) => changeFiles(root, wishes, asker),
  };
}

/** Where a listing found it, and not where a link leads that was put on the way meanwhile. */
async function openAt(root: Root, at: string, kind: Kind): Promise<OpenedReal> {
  const opened = await openReal(root, at, kind);
  if (opened.at === at) return opened;
  await opened[Symbol.asyncDispose]();
  throw changed(showPath(root, at));
}

async function reach(root: Root, path: string): Promise<string | null> {
  try {
    const { at, missing } = await locate(root, path);
    return showPath(root, join(at, ...missing));
  } catch (error) {
    // What is refused is refused to the call as well.
    if (failureOf(error, path) instanceof ToolFailure) return null;
    throw error;
  }
}
