/** A proxy with its socket in a folder of its own, which only those who run the command may enter. */
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Owner } from '../identity.ts';
import type { HostRule } from '../../network/hosts.ts';
import { startProxy } from './proxy.ts';

export type Exit = { readonly socket: string; close(): void };

export async function openExit(rules: readonly HostRule[], identity: Owner | null): Promise<Exit> {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-exit-'));
  const socket = join(folder, 'proxy');
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const proxy = await startProxy({ rules, path: socket });
    chmodSync(socket, 0o600);
    if (identity !== null) for (const path of [folder, socket]) chownSync(path, identity.uid, identity.gid);
    return {
      socket,
      close() {
        proxy.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
