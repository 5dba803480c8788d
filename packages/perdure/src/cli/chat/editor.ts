/** The person's own editor, for what is too long to type. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../settings.ts';
import { UsageError } from '../exit.ts';

export function editorOf(env: Environment): string | null {
  const named = [env['VISUAL'], env['EDITOR']].find((name) => name !== undefined && name.trim() !== '');
  return named ?? null;
}

/**
 * Opens the editor on a file that only its owner may read, and gives what it holds when the editor ends. Throws
 * UsageError when that cannot be started or ends with a failure.
 */
export async function edited(editor: string, text: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-edit-'));
  const file = join(folder, 'arguments.json');
  try {
    writeFileSync(file, text, { mode: 0o600 });
    // As git does: the variable may hold arguments of its own.
    const child = spawn(`${editor} "${file}"`, { shell: true, stdio: 'inherit' });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (code !== 0) throw new UsageError(`${editor} ended with ${code ?? 'a signal'}: the arguments are as they were`);
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
