/**
 * The first process in a sandbox, as this machine knows it. The kernel lets it end only when every other one in its
 * namespace has (pid_namespaces(7)): bubblewrap itself does not wait for those that a command leaves behind.
 */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Timers } from '@perdure/runtime/ports';
import { z } from 'zod';
import { LIMITS } from '../limits.ts';

const told = z.object({ 'child-pid': z.int().positive() });

/** What bubblewrap says of it on its `--info-fd`, which ends before the command begins. Null: nothing that can be read. */
export async function firstIn(info: Readable): Promise<number | null> {
  try {
    let text = '';
    for await (const piece of info) if (text.length < LIMITS.sandboxWordsChars) text += String(piece);
    return told.parse(JSON.parse(text))['child-pid'];
  } catch {
    return null;
  }
}

/** Resolves when it is no more, or is but a name that nobody has asked about. Call it once it is being ended. */
export async function endOfFirst(pid: number, timers: Timers): Promise<void> {
  for (let looks = 0; looks < LIMITS.endLooks && lives(pid); looks += 1)
    await new Promise<void>((resolve) => void timers.set(LIMITS.endLookMs, resolve));
}

/** proc_pid_stat(5): behind the name, the state. */
function lives(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
