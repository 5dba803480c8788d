/**
 * A session on its way in. A sealed one arrives: it goes on here under its name, and nowhere else. Any other becomes a
 * fork: a session of its own. Nothing is written before the whole file has been checked, and nobody sees any of it
 * before all of it is there.
 */
import { ApiError } from '@perdure/contract';
import type { Actor, Command, Mount } from '@perdure/engine';
import { refused } from '../guard.ts';
import { LIMITS } from '../limits.ts';
import { sha256 } from '../log/digest.ts';
import type { Base } from '../log/prefix.ts';
import { PrefixFold } from '../log/prefix.ts';
import { shuttingDown } from '../drive/driver.ts';
import type { Parts } from '../parts.ts';
import type { StoredFrame } from '../ports.ts';
import type { Checked } from './check.ts';
import { checkExport } from './check.ts';
import type { Open } from './read.ts';
import { readItems } from './read.ts';
import { forkMounts } from '../workspaces/forked.ts';
import { TreeMissing } from '../workspaces/workspaces.ts';

/**
 * Throws BadExport, and ApiError `invalid_state` for a sealed session that is here already, or of another tenant. Returns
 * the session and the seq of its first entry here.
 */
export async function importSession(parts: Parts, by: Actor, open: Open): Promise<{ session: string; seq: number }> {
  const checked = await checkExport(open);
  const { header } = checked;
  const title = cleanTitle(parts, checked);
  await checkSecrets(parts, open);
  if (header.sealed) await checkPlace(parts, checked);
  const { tenant } = parts;
  const session = header.sealed ? header.session : parts.newSession();
  const payload = sha256(`${header.session}\n${header.head.hash}`);
  const command: Command = header.sealed ? { kind: 'arrive' } : { kind: 'fork', id: session, tenant, payload };
  const stage = parts.newId();
  try {
    await stageFrames(parts, open, stage);
    if (parts.stopping.aborted) throw shuttingDown();
    const mounts = await mountsHere(parts, checked, session);
    if (command.kind === 'fork' && mounts.length > 0) command.config = { mounts };
    const birth = { origin: { stage }, base: async () => baseOf(open, title) };
    const input = { id: parts.newId(), by, bodies: [], command, birth };
    const result = await parts.step(session, input);
    if (!result.ok) throw refused(result.rejection);
    if (header.sealed) void wake(parts, session);
    return { session, seq: result.receipt.seq };
  } finally {
    await letGo(parts, stage);
  }
}

/** The title of what is shown in lists. Throws ApiError `invalid_request` for names that hold a secret: they cannot be blanked. */
function cleanTitle(parts: Parts, { header, key }: Checked): string {
  const bodies = parts.newBodies();
  const names = [header.agent, header.tenant, key];
  if (bodies.clean(names) !== names)
    throw new ApiError('invalid_request', 'the file names its agent, tenant or key by what looks like a secret');
  return bodies.clean(header.title);
}

/**
 * Throws ApiError `invalid_request` for a file that holds what is a secret here: nothing can be taken out of what is hashed
 * (P13). What only looks like one passes: a digest may.
 */
async function checkSecrets({ redactor }: Parts, open: Open): Promise<void> {
  const refuse = (name: string | null, where: string): void => {
    if (name === null) return;
    const message = `the file holds the secret ${name} in ${where}: it was not known where the session comes from`;
    throw new ApiError('invalid_request', `${message}; set it there, or another one here`);
  };
  for await (const item of readItems(open)) {
    if (item.type === 'blob') refuse(redactor.known(Buffer.from(item.bytes).toString()), 'a large content');
    if (item.type !== 'frame') continue;
    const { bytes, first, bodies } = item.frame;
    refuse(redactor.known(Buffer.from(bytes).toString()), `the entries from ${first} on`);
    for (const { text } of bodies) refuse(redactor.known(text), `the content of the entries from ${first} on`);
  }
}

async function checkPlace({ store, tenant }: Parts, { header }: Checked): Promise<void> {
  const { session } = header;
  if (header.tenant !== tenant)
    throw new ApiError('invalid_state', `session ${session} moves within tenant ${header.tenant}, not to ${tenant}`);
  if ((await store.log.get(session)) !== null)
    throw new ApiError('invalid_state', `session ${session} is here already: a session arrives once`);
}

/** Blobs are there before anything that names them. */
async function stageFrames({ store }: Parts, open: Open, stage: string): Promise<void> {
  let batch: StoredFrame[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    await store.log.stage(stage, batch);
    batch = [];
    bytes = 0;
  };
  for await (const item of readItems(open)) {
    if (item.type === 'blob') await store.blobs.put(item.bytes);
    if (item.type !== 'frame') continue;
    batch.push(item.frame);
    bytes += item.frame.bytes.length + item.frame.bodies.reduce((sum, { text }) => sum + text.length, 0);
    if (bytes >= LIMITS.stageBytes) await flush();
  }
  await flush();
}

async function baseOf(open: Open, title: string): Promise<Base> {
  const fold = new PrefixFold();
  for await (const item of readItems(open)) if (item.type === 'frame') fold.add(item.frame);
  const { state, rows, head } = fold;
  return { state, rows, head, title };
}

/** A storage that takes nothing now forgets it when it is opened anew. */
async function letGo({ store, logger }: Parts, stage: string): Promise<void> {
  try {
    await store.log.stage(stage, null);
  } catch (error) {
    logger.warn({ stage, error: String(error) }, 'frames that were staged could not be let go');
  }
}

/**
 * What it has mounted is here as well: as its own where it becomes a fork, under its name where it goes on, unless there is
 * one by that name. What was lost where it comes from is not made up.
 */
async function mountsHere(parts: Parts, { header, mounts }: Checked, session: string): Promise<Mount[]> {
  try {
    if (!header.sealed) return await forkMounts(parts, session, mounts);
    for (const { workspace, tree } of mounts)
      await parts.workspaces.move(workspace, {
        from: null,
        to: tree,
        key: session,
        origin: `came with ${session}`,
        foreign: true,
      });
    return [];
  } catch (error) {
    if (!(error instanceof TreeMissing)) throw error;
    parts.logger.warn({ session, error: error.message }, 'what an imported session has mounted is lost');
    return [];
  }
}

/** What goes on by itself here is looked at by who drives; if not now, by the sweeper. */
async function wake({ driver, logger }: Parts, session: string): Promise<void> {
  const by: Actor = { kind: 'system', id: 'host' };
  try {
    await driver.submit(session, { id: 'arrived', by, bodies: [], command: { kind: 'settle', effect: 'wake' } });
  } catch (error) {
    logger.warn({ session, error: String(error) }, 'a session that has arrived waits for the sweeper');
  }
}
