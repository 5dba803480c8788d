/**
 * Names by which a process knows what is its own, and what one left behind that is no more: its namespace of processes, its
 * number there, and when it began (proc_pid_stat(5), the 22nd word), which no two processes have together.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import process from 'node:process';

/** Without hyphens after the prefix but for those between the three. */
export function ownMark(prefix: string): string {
  return [prefix, namespace(), process.pid, begunAt(process.pid) ?? ''].join('-');
}

/** Of names that begin with a mark and go on with `-` and no further hyphen, those whose process is no more. */
export function leftBehind(prefix: string, names: readonly string[]): string[] {
  const own = new RegExp(`^${prefix}-${namespace()}-(\\d+)-(\\d+)-[^-]+$`);
  return names.filter((name) => {
    const [, pid, begun] = own.exec(name) ?? [];
    return pid !== undefined && begunAt(Number(pid)) !== begun;
  });
}

/** Empty where the system does not tell: then nobody's are known. */
function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
  } catch {
    return '';
  }
}

/** Null: there is no such process. */
function begunAt(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
