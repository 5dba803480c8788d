/**
 * The names of files that are written beside their places, and what is left of them. A new file has for a moment both
 * names (W3). An attempt that dies in that moment and never runs again leaves the second one behind, and the file would be
 * taken for one from elsewhere for ever (R4). Who may change files takes such a name away when he meets it: it is a name
 * of the very file that is in its place, so nobody loses anything by it, not even an attempt that still goes on.
 */
import { lstat, rm } from 'node:fs/promises';
import { ToolFailure } from '../failure.ts';
import { inFolder, openPlace } from './place.ts';
import type { Place } from './place.ts';
import { openNamed, openReal } from './root.ts';
import type { OpenedReal, Root } from './root.ts';

/** Of one attempt at one of the files of a change. */
export const temporaryName = (key: string, attempt: number, index: number): string =>
  `.perdure-${key.slice(0, 26)}-${attempt}-${index}.tmp`;
const TEMPORARY = /^\.perdure-[a-z2-7]{1,26}-\d{1,9}-\d{1,9}\.tmp$/;

/** As `openNamed` opens a file. */
export async function openMended(root: Root, path: string): Promise<OpenedReal> {
  const open = async (): Promise<OpenedReal> => openNamed(root, path, 'file');
  return open().catch(async (error: unknown) => {
    if (!isHardLinked(error)) throw error;
    const mend = async (): Promise<boolean> => {
      await using place = await openPlace(root, path);
      return await takeAway(root, place);
    };
    // Where that may not be done, the file is refused as any other.
    if (!(await mend().catch(() => false))) throw error;
    return open();
  });
}

/** As `openReal` opens the file of a place. */
export async function openInPlace(root: Root, place: Place): Promise<OpenedReal> {
  const open = async (): Promise<OpenedReal> => openReal(root, place.at, 'file');
  return open().catch(async (error: unknown) => {
    if (!isHardLinked(error) || !(await takeAway(root, place).catch(() => false))) throw error;
    return open();
  });
}

const isHardLinked = (error: unknown): boolean => error instanceof ToolFailure && error.code === 'hard_linked';

/** Whether a name was taken away. Whether it was the only other one is for whoever opens the file anew to see. */
async function takeAway(root: Root, place: Place): Promise<boolean> {
  const idOf = async (name: string): Promise<string> => {
    const { dev, ino } = await lstat(inFolder(root, place, name), { bigint: true });
    return `${dev}:${ino}`;
  };
  const id = await idOf(place.name);
  const { entries } = await place.folder.entries();
  let taken = false;
  for (const { name } of entries) {
    if (!TEMPORARY.test(name) || (await idOf(name).catch(() => null)) !== id) continue;
    await rm(inFolder(root, place, name), { force: true });
    taken = true;
  }
  return taken;
}
