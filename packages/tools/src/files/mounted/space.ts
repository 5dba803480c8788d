import { isLink } from '@perdure/contract';
import type { Found, Mount, ToolContext } from '@perdure/runtime/ports';
import { ToolFailure } from '../../failure.ts';
import { LIMITS } from '../../limits.ts';
import type { Entry, FileSpace, Kind, Opened } from '../space.ts';
import { misnamed, notFound } from '../space.ts';
import { changeMounted } from './change.ts';
import type { Located, Opener } from './locate.ts';
import { foldersIn, locate, shownAt } from './locate.ts';
import { told } from './told.ts';

/**
 * What a session has mounted, as one call of a tool sees it: each workspace as it stood when the call first looked. No
 * folder of this machine is read or written.
 */
export function mountedSpace({ workspaces }: Pick<ToolContext, 'workspaces'>): FileSpace {
  const { mounts } = workspaces;
  if (mounts.length === 0)
    throw new ToolFailure('not_found', 'No workspace is mounted in this session, so there are no files here.');
  const opened = new Map<Mount, Promise<Found>>();
  const open: Opener = async (mount) => {
    const found = opened.get(mount) ?? workspaces.open(mount);
    opened.set(mount, found);
    return found;
  };
  const at = async (path: string): Promise<Located> => locate(mounts, open, path);
  const reading = { content: async (digest: string) => workspaces.content(digest) };
  const openAt = async (path: string, wanted?: Kind): Promise<Opened> =>
    told(async () => {
      const located = await at(path);
      if (located.mount !== null && located.missing.length > 0) throw notFound(path);
      const kind = located.mount !== null && located.node !== null ? 'file' : 'directory';
      if (wanted !== undefined && kind !== wanted) throw misnamed(path, wanted);
      return openedAt(located, reading);
    });
  return {
    open: openAt,
    openToChange: async (path) => openAt(path, 'file'),
    openFound: openAt,
    reach: async (path) =>
      told(async () => shownAt((await at(path)).at)).catch((error: unknown) => {
        if (error instanceof ToolFailure) return null;
        throw error;
      }),
    shown: shownAt,
    change: async (wishes, asker) => told(async () => changeMounted({ workspaces, at }, wishes, asker)),
  };
}

type Reading = { content: (digest: string) => Promise<Uint8Array> };

function openedAt(located: Located, { content }: Reading): Opened {
  const { at } = located;
  const node = located.mount === null ? null : located.node;
  const isFile = node !== null && !isLink(node);
  return {
    at,
    shown: shownAt(at),
    kind: isFile ? 'file' : 'directory',
    bytes: isFile ? node.bytes : 0,
    async *pieces() {
      if (!isFile) return;
      const bytes = await told(async () => content(node.digest));
      for (let from = 0; from < bytes.length; from += LIMITS.chunkBytes)
        yield bytes.subarray(from, from + LIMITS.chunkBytes);
    },
    entries: async () => entriesOf(located),
    [Symbol.asyncDispose]: async () => {},
  };
}

function entriesOf(located: Located): { entries: Entry[]; cut: boolean } {
  const { at } = located;
  const held: readonly (readonly [string, Entry['kind']])[] =
    located.mount === null
      ? located.names.map((name) => [name, 'directory'] as const)
      : [...(foldersIn(located.found.tree).get(located.path) ?? [])];
  const entries = held.map(([name, kind]) => ({ name, kind, at: `${at === '/' ? '' : at}/${name}` }));
  const sorted = entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { entries: sorted.slice(0, LIMITS.directoryEntries), cut: sorted.length > LIMITS.directoryEntries };
}
