import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore, Digest } from '@perdure/runtime/ports';
import { blobDigest } from '../chain.ts';
import { StoreError } from '../errors.ts';
import { failureOf, messageOf } from './failure.ts';

const FOLDER = 'blobs';
const UNFINISHED = 'unfinished';
const PLAIN_NAME = /^[a-z0-9_-]{1,64}$/;
const FILE_NAME = /^[0-9a-f]{64}$/;

/** What blobs of one tenant are stored with. `stop` is called when a flush failed: the disk can no longer be trusted. */
export type BlobScope = {
  directory: string;
  tenant: string;
  epoch: number;
  now(): number;
  checkOpen(): void;
  /** Closing waits for this. */
  track<T>(work: Promise<T>): Promise<T>;
  /** Makes the tenant known before it has its first blob. */
  admit(): Promise<void>;
  stop(detail: string): void;
};

/** Removes what puts left behind that never finished. Nobody else may have the data open. */
export async function clearUnfinished(directory: string): Promise<void> {
  await rm(join(directory, FOLDER, UNFINISHED), { recursive: true, force: true });
}

/**
 * Blobs as files by their digest: `blobs/TENANT/ab/abcd…` in hex, because some file systems know no case. A file appears
 * under its name complete and flushed; one whose bytes do not match its name counts as missing, and a put heals it.
 */
export function sqliteBlobs(scope: BlobScope): BlobStore {
  const root = join(scope.directory, FOLDER, folderOf(scope.tenant));
  const unfinished = join(scope.directory, FOLDER, UNFINISHED);
  const pathOf = (name: string): string => join(root, name.slice(0, 2), name);
  let count = 0;

  const store = async (name: string, bytes: Buffer): Promise<void> => {
    const path = pathOf(name);
    const folder = join(root, name.slice(0, 2));
    const parents = [folder, root, join(scope.directory, FOLDER), scope.directory];
    const created = await mkdir(folder, { recursive: true });
    if (!(await renew(path, bytes, scope.now()))) {
      await mkdir(unfinished, { recursive: true });
      const draft = join(unfinished, `${folderOf(scope.tenant)}-${name}-${scope.epoch}-${count++}`);
      await writeFlushed(draft, bytes, scope.now());
      await rename(draft, path);
    }
    for (const parent of created === undefined ? [folder] : parents) await flushFolder(parent);
  };
  const put = async (bytes: Buffer): Promise<Digest> => {
    await scope.admit();
    const digest = blobDigest(bytes);
    try {
      await store(nameOf(digest) ?? '', bytes);
    } catch (error) {
      if (failureOf(error) === 'full') throw new StoreError('full', 'no space is left for a blob', { cause: error });
      if (error instanceof Error && 'syscall' in error && error.syscall === 'fsync') scope.stop(messageOf(error));
      throw new StoreError('unavailable', `a blob could not be stored: ${messageOf(error)}`, { cause: error });
    }
    return digest;
  };
  return {
    async put(bytes) {
      scope.checkOpen();
      const copy = Buffer.from(bytes);
      return scope.track(put(copy));
    },
    async get(digest) {
      scope.checkOpen();
      const name = nameOf(digest);
      const bytes = name === null ? null : await absentAsNull(readFile(pathOf(name)));
      return bytes !== null && blobDigest(bytes) === digest ? bytes : null;
    },
    async has(digest) {
      scope.checkOpen();
      const name = nameOf(digest);
      return name !== null && (await absentAsNull(stat(pathOf(name)))) !== null;
    },
    async list({ after, limit }) {
      scope.checkOpen();
      const from = after === null ? '' : (nameOf(after) ?? '');
      const found: { digest: Digest; bytes: number; renewedAt: number }[] = [];
      for (const folder of ((await absentAsNull(readdir(root))) ?? []).toSorted()) {
        if (folder < from.slice(0, 2)) continue;
        for (const name of ((await absentAsNull(readdir(join(root, folder)))) ?? []).toSorted()) {
          if (found.length >= limit) return found;
          if (name <= from || !FILE_NAME.test(name)) continue;
          const info = await absentAsNull(stat(pathOf(name)));
          if (info !== null) found.push({ digest: digestOf(name), bytes: info.size, renewedAt: info.mtimeMs });
        }
      }
      return found;
    },
    async delete(digest) {
      scope.checkOpen();
      const name = nameOf(digest);
      if (name !== null) await absentAsNull(unlink(pathOf(name)));
    },
  };
}

/** A tenant's folder: its name where that is a safe one, else a hash that no safe name looks like. */
function folderOf(tenant: string): string {
  return PLAIN_NAME.test(tenant) ? tenant : `~${createHash('sha256').update(tenant).digest('hex')}`;
}

/** The file's name; null for what is no digest, and so names no file. */
function nameOf(digest: Digest): string | null {
  const name = Buffer.from(digest, 'base64url').toString('hex');
  return FILE_NAME.test(name) && digestOf(name) === digest ? name : null;
}

function digestOf(name: string): Digest {
  return Buffer.from(name, 'hex').toString('base64url');
}

/** Gives a stored file a new age and flushes it, which the put that wrote it may not have lived to do. */
async function renew(path: string, bytes: Buffer, now: number): Promise<boolean> {
  const file = await absentAsNull(open(path, 'r+'));
  if (file === null) return false;
  try {
    if (!(await file.readFile()).equals(bytes)) return false;
    await flush(file, now);
    return true;
  } finally {
    await file.close();
  }
}

async function writeFlushed(path: string, bytes: Buffer, now: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(bytes);
    await flush(file, now);
  } finally {
    await file.close();
  }
}

async function flush(file: FileHandle, now: number): Promise<void> {
  await file.utimes(now / 1_000, now / 1_000);
  await file.sync();
}

async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function absentAsNull<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
