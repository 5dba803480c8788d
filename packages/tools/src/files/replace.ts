/**
 * Changing files so that whoever reads one sees it before or after, never between.
 *
 * W1 Nothing is changed that was not read: the caller names the digest it read, and a file that has another one now is
 *    refused. What is there without a digest is never replaced, and what is created replaces nothing.
 * W2 A change names a state before and, through it, exactly one state after. Found in the state after, it is done: so the
 *    same call may run again after any crash, and changes nothing twice.
 * W3 All is checked and written beside its place, flushed, before the first name changes; then the names change one by
 *    one, each at once. What stops that in the middle is told file by file.
 * W4 Everything happens through the folder's descriptor, which was verified (R1): a swapped name leads nowhere else.
 * W5 Of changes in this process to one file the next begins when the one before has ended. Of other processes, a write
 *    between the last look (identity, size and times of the file) and the change of the name is not seen.
 */
import { constants } from 'node:fs';
import { link, lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { digestOf, readWhole } from './content.ts';
import { openInPlace, temporaryName } from './leftover.ts';
import { alone } from './locks.ts';
import { checkFolder, inFolder, makeFolders, openPlace } from './place.ts';
import type { Place } from './place.ts';
import { changed, failureOf } from './root.ts';
import type { Root } from './root.ts';
import type { Asker, Change, Changes, Wish } from './space.ts';
import { quote } from './space.ts';
import { changeOf, contentAfter } from './wish.ts';

/** Throws ToolFailure where nothing was changed. */
export async function changeFiles(root: Root, wishes: readonly Wish[], asker: Asker): Promise<Changes> {
  await using stack = new AsyncDisposableStack();
  const places: Place[] = [];
  for (const { path } of wishes)
    places.push(stack.use(await openPlace(root, path).catch((error: unknown) => refuse(error, path))));
  for (const { shown } of places) asker.admit?.(shown);
  const twice = places.find((place, index) => places.findIndex(({ at }) => at === place.at) !== index);
  if (twice !== undefined)
    throw new ToolFailure('invalid_arguments', `${quote(twice.shown)} is named twice: change it once.`);
  const all = places.map(({ at }) => at);
  return await alone(all, asker.signal, async () => {
    const plans: Plan[] = [];
    let held = 0;
    for (const [index, wish] of wishes.entries()) {
      const place = places[index];
      if (place === undefined) continue;
      const plan = await planOf(root, place, wish, { ...asker, index }).catch((error: unknown) =>
        refuse(error, wish.path),
      );
      plans.push(plan);
      held += (plan.seen?.bytes.length ?? 0) + (plan.after?.length ?? 0);
      if (held > LIMITS.changedBytes)
        throw new ToolFailure('too_large', `These files are larger than ${LIMITS.changedBytes} bytes: change fewer.`);
    }
    return carryOut(root, plans, asker.signal);
  });
}

type Seen = { bytes: Buffer; digest: string; mode: number; uid: number; gid: number; mark: string };
type Plan = { path: string; place: Place; seen: Seen | null; after: Buffer | null; change: Change; temp: string };

async function planOf(root: Root, place: Place, wish: Wish, asker: Asker & { index: number }): Promise<Plan> {
  const { signal, attempt } = asker;
  const tempOf = (n: number): string => temporaryName(asker.key, n, asker.index);
  // What an attempt that was lost left behind; without its file an attempt that still goes on can change nothing.
  for (let earlier = 1; earlier < attempt && place.toMake.length === 0; earlier += 1)
    await rm(inFolder(root, place, tempOf(earlier)), { force: true });
  const seen = place.toMake.length > 0 ? null : await readPlace(root, place, signal);
  const after = contentAfter(wish, place.shown, seen);
  const change = changeOf(place.shown, seen, after);
  return { path: wish.path, place, seen, after, change, temp: tempOf(attempt) };
}

async function readPlace(root: Root, place: Place, signal: AbortSignal): Promise<Seen | null> {
  let file;
  try {
    file = await openInPlace(root, place);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  await using opened = file;
  if (opened.at !== place.at) throw changed(place.shown);
  const mark = await markOf(opened.handle);
  const { mode, uid, gid } = await opened.handle.stat();
  const bytes = await readWhole(opened, signal);
  return { bytes, digest: digestOf(bytes), mode: mode & 0o777, uid, gid, mark };
}

/** Which file it is, and when it was last touched. */
async function markOf(file: FileHandle | string): Promise<string> {
  const stats = typeof file === 'string' ? await lstat(file, { bigint: true }) : await file.stat({ bigint: true });
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
}

async function carryOut(root: Root, plans: readonly Plan[], signal: AbortSignal): Promise<Changes> {
  const work = plans.filter(({ change }) => change.did !== 'kept');
  const done = plans.filter(({ change }) => change.did === 'kept').map(({ change }) => change);
  let unflushed = false;
  try {
    for (const plan of work) await stage(root, plan, signal).catch((error: unknown) => refuse(error, plan.path));
    signal.throwIfAborted();
    for (const plan of work) {
      try {
        await putInPlace(root, plan);
      } catch (error) {
        const failure = writeFailureOf(error, plan.path);
        const untouched = !done.some(({ did }) => did !== 'kept');
        if (untouched || !(failure instanceof ToolFailure)) throw failure;
        return { done, failed: { path: plan.change.path, failure }, unflushed };
      }
      done.push(plan.change);
      unflushed = !(await isFlushed(plan.place)) || unflushed;
    }
    return { done, failed: null, unflushed };
  } finally {
    for (const { place, temp } of work)
      if (place.toMake.length === 0) await rm(inFolder(root, place, temp), { force: true }).catch(() => undefined);
  }
}

/** Writes the content beside its place and flushes it (W3). */
async function stage(root: Root, { place, seen, after, temp }: Plan, signal: AbortSignal): Promise<void> {
  await makeFolders(root, place);
  if (seen !== null) await checkWritable(inFolder(root, place, place.name));
  if (after === null) return;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
  const handle = await open(inFolder(root, place, temp), flags, 0o666);
  try {
    await handle.writeFile(after, { signal });
    if (seen !== null) {
      const made = await handle.stat();
      // Kept where this process may; the right to write the file was checked above.
      if (made.uid !== seen.uid || made.gid !== seen.gid) await handle.chown(seen.uid, seen.gid).catch(() => undefined);
      await handle.chmod(seen.mode);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A file that may not be written is not replaced either, though its folder would allow that. */
async function checkWritable(path: string): Promise<void> {
  const flags = constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  await (await open(path, flags)).close();
}

/** The one moment of the change (W1, W4). */
async function putInPlace(root: Root, { place, seen, after, temp }: Plan): Promise<void> {
  const target = inFolder(root, place, place.name);
  await checkFolder(root, place);
  if (seen === null) return create(inFolder(root, place, temp), target, place);
  const mark = await markOf(target).catch(() => null);
  if (mark !== seen.mark)
    throw new ToolFailure('stale', `${quote(place.shown)} changed at this moment: read it again.`);
  await (after === null ? rm(target) : rename(inFolder(root, place, temp), target));
}

/** A link fails where a name is taken; a renaming would replace it. Some file systems have no links. */
async function create(temp: string, target: string, { shown }: Place): Promise<void> {
  const taken = new ToolFailure('not_read', `${quote(shown)} was made at this moment: read it first.`);
  try {
    await link(temp, target);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken;
    if (!LINKLESS.has(codeOf(error))) throw error;
    if ((await markOf(target).catch(() => null)) !== null) throw taken;
    await rename(temp, target);
  }
}

const LINKLESS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']);

/** Flushes the names of a folder. It happened, so that it is not confirmed is no failure. */
async function isFlushed({ folder }: Place): Promise<boolean> {
  try {
    await folder.handle.sync();
    return true;
  } catch (error) {
    return codeOf(error) === 'EINVAL' || codeOf(error) === 'ENOTSUP';
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

function refuse(error: unknown, path: string): never {
  throw writeFailureOf(error, path);
}

/** The system's errors in the model's words, as `failureOf` says those of reading. */
function writeFailureOf(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (['EACCES', 'EPERM', 'EROFS', 'ETXTBSY'].includes(code))
    return new ToolFailure('not_writable', `This process may not write ${quote(path)}.`);
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code))
    return new ToolFailure('no_space', `There is no room for ${quote(path)}: nothing of it was changed.`);
  const said = failureOf(error, path);
  if (said === error || KNOWN.has(code)) return said;
  return new ToolFailure('not_writable', `Writing ${quote(path)} failed (${code}): try again or go on without it.`);
}

/** What reading and writing say alike. */
const KNOWN: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ENXIO']);
