import { openMended } from './leftover.ts';
import { changeFiles } from './replace.ts';
import type { Root } from './root.ts';
import { openNamed, openReal, showPath } from './root.ts';
import type { FileSpace } from './space.ts';

/** A folder of this machine. */
export function folderSpace(root: Root): FileSpace {
  return {
    open: async (path, wanted) => openNamed(root, path, wanted),
    openToChange: async (path) => openMended(root, path),
    openFound: async (at, kind) => openReal(root, at, kind),
    shown: (at) => showPath(root, at),
    change: async (wishes, asker) => changeFiles(root, wishes, asker),
  };
}
