/**
 * What is known of a folder that was pushed or pulled: with which workspace, and how both were when they were last the
 * same. It is kept in the user's own configuration folder, where nothing that is pulled can forge it.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tree } from '@perdure/contract';
import { decodeTree, encodeTree, TreeError } from '@perdure/contract';
import { z } from 'zod';
import { configFolder } from '../cli/remembered.ts';
import type { Environment } from '../settings.ts';

/** `place`: the server's address or the data folder; `folder`: absolute, without links. */
export type Where = { env: Environment; place: string; folder: string };
export type Recorded = { workspace: string; tree: Tree };

const schema = z.object({ place: z.string(), folder: z.string(), workspace: z.string(), tree: z.string() });

function fileOf({ env, place, folder }: Where): string {
  const name = createHash('sha256')
    .update(JSON.stringify([place, folder]))
    .digest('hex');
  return join(configFolder(env), 'workspaces', `${name}.json`);
}

/** Null: nothing that can be read. */
export function readRecord(where: Where): Recorded | null {
  try {
    const { workspace, tree } = schema.parse(JSON.parse(readFileSync(fileOf(where), 'utf8')));
    return { workspace, tree: decodeTree(tree) };
  } catch (error) {
    if (error instanceof TreeError || error instanceof z.ZodError || error instanceof SyntaxError) return null;
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}

export function keepRecord(where: Where, { workspace, tree }: Recorded): void {
  const file = fileOf(where);
  const { place, folder } = where;
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.partial`, JSON.stringify({ place, folder, workspace, tree: encodeTree(tree) }), {
    mode: 0o600,
  });
  renameSync(`${file}.partial`, file);
}
