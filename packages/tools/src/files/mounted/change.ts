/**
 * Changing files of workspaces, by the rules of `replace.ts`. Of one workspace all changes are one: whoever reads sees
 * none or all of them, and a call that runs again finds that it did them (W2). What others change at the same moment is
 * seen (W5): the change is planned anew on what is there then. Several workspaces change one after another.
 */
import { faultOfPath, isLink, isKeptApart } from '@perdure/contract';
import type { Found, Mount, Placed, SessionWorkspaces } from '@perdure/runtime/ports';
import { ToolFailure } from '../../failure.ts';
import { LIMITS } from '../../limits.ts';
import { digestOf } from '../content.ts';
import type { Asker, Change, Changes, Wish } from '../space.ts';
import { misnamed, quote } from '../space.ts';
import type { Now } from '../wish.ts';
import { changeOf, contentAfter } from '../wish.ts';
import type { Located } from './locate.ts';
import { shownAt } from './locate.ts';
import { told } from './told.ts';

type Reach = { workspaces: SessionWorkspaces; at: (path: string) => Promise<Located> };
type Place = { wish: Wish; mount: Mount; path: string; shown: string };

/** Throws ToolFailure where nothing was changed. */
export async function changeMounted(reach: Reach, wishes: readonly Wish[], asker: Asker): Promise<Changes> {
  const places: Place[] = [];
  for (const wish of wishes) {
    const place = await placeOf(reach, wish);
    asker.admit?.(place.shown);
    places.push(place);
  }
  const twice = places.find((place, index) => places.findIndex(({ shown }) => shown === place.shown) !== index);
  if (twice !== undefined)
    throw new ToolFailure('invalid_arguments', `${quote(twice.shown)} is named twice: change it once.`);
  const groups = [...Map.groupBy(places, ({ mount }) => mount)];
  // All is checked before the first one changes.
  for (const [mount, group] of groups)
    await planAll(reach.workspaces, await foundFor(reach, mount, asker), group, asker);
  const done: Change[] = [];
  for (const [mount, group] of groups) {
    try {
      done.push(...(await changeOne(reach, mount, group, asker)));
    } catch (error) {
      const untouched = !done.some(({ did }) => did !== 'kept');
      if (untouched || !(error instanceof ToolFailure)) throw error;
      return { done, failed: { path: group[0]?.shown ?? '', failure: error }, unflushed: false };
    }
  }
  return { done, failed: null, unflushed: false };
}

async function placeOf({ at }: Reach, wish: Wish): Promise<Place> {
  const located = await at(wish.path);
  const shown = shownAt(located.at);
  if (located.mount === null) throw misnamed(wish.path, 'file');
  const { mount, path, node, missing } = located;
  if (isKeptApart(path))
    throw new ToolFailure('protected', `${quote(shown)} belongs to version control: these tools do not write there.`);
  const fault = path === '' ? null : faultOfPath(path);
  if (fault !== null) throw new ToolFailure('invalid_path', `${quote(shown)} ${fault}: no workspace has such a path.`);
  if (missing.length > LIMITS.madeFolders + 1)
    throw new ToolFailure('invalid_path', `${quote(shown)} needs more than ${LIMITS.madeFolders} new folders.`);
  if (node === null && missing.length === 0) throw misnamed(wish.path, 'file');
  if (!mount.write)
    throw new ToolFailure('not_writable', `What is mounted at ${mount.path} can be read here, and not changed.`);
  return { wish, mount, path, shown };
}

/** What to change: an earlier attempt of the same call is repeated in thought on what it found. */
async function foundFor({ workspaces }: Reach, mount: Mount, { attempt }: Asker): Promise<Found & { isDone: boolean }> {
  const earlier = attempt > 1 ? await workspaces.earlier(mount) : null;
  if (earlier !== null) return { ...earlier.before, isDone: true };
  return { ...(await workspaces.open(mount)), isDone: false };
}

async function changeOne(reach: Reach, mount: Mount, group: readonly Place[], asker: Asker): Promise<Change[]> {
  for (let tries = 0; tries < LIMITS.workspaceTries; tries += 1) {
    asker.signal.throwIfAborted();
    const found = await foundFor(reach, mount, asker);
    const plans = await planAll(reach.workspaces, found, group, asker);
    const changes = plans.map(({ change }) => change);
    const work = plans.filter(({ change }) => change.did !== 'kept');
    if (found.isDone || work.length === 0) return changes;
    const placed = new Map(work.map(({ path, placed: content }) => [path, content]));
    asker.signal.throwIfAborted();
    if (await told(async () => reach.workspaces.change(mount, found, placed))) return changes;
  }
  throw new ToolFailure('changed', `What is mounted at ${mount.path} changes all the time: try again.`);
}

type Plan = { path: string; change: Change; placed: Placed | null };

async function planAll(
  workspaces: SessionWorkspaces,
  { tree }: Found,
  group: readonly Place[],
  { signal }: Asker,
): Promise<Plan[]> {
  const plans: Plan[] = [];
  let held = 0;
  for (const { wish, path, shown } of group) {
    signal.throwIfAborted();
    const node = tree.get(path);
    if (node !== undefined && isLink(node))
      throw new ToolFailure('changed', `${quote(shown)} was replaced by a link: try again.`);
    const now = node === undefined ? null : await nowOf(workspaces, node.digest);
    const content = contentAfter(wish, shown, now);
    held += (now?.bytes.length ?? 0) + (content?.length ?? 0);
    if (held > LIMITS.changedBytes)
      throw new ToolFailure('too_large', `These files are larger than ${LIMITS.changedBytes} bytes: change fewer.`);
    const executable = node?.executable === true;
    plans.push({
      path,
      change: changeOf(shown, now, content),
      placed: content === null ? null : { content, executable },
    });
  }
  return plans;
}

async function nowOf(workspaces: SessionWorkspaces, digest: string): Promise<Now> {
  const content = await workspaces.content(digest);
  if (content.length > LIMITS.fileBytes)
    throw new ToolFailure(
      'too_large',
      `A file is larger than ${LIMITS.fileBytes} bytes: these tools do not change it.`,
    );
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  return { bytes, digest: digestOf(bytes) };
}
