/** Skills that stand as folders beside an agent: found by themselves, or where its options say. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '@perdure/runtime';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { skills, ToolOptionsError } from '@perdure/tools';

/** The tool `skill` over those of the folders that hold skills; none where none does. Throws ConfigError. */
export function skillsIn(folders: readonly string[]): ToolDefinition[] {
  const held = folders.filter(holdsSkills);
  if (held.length === 0) return [];
  try {
    return [skills({ folders: held })];
  } catch (error) {
    if (error instanceof ToolOptionsError) throw new ConfigError('invalid_config', 'skills', error.message);
    throw error;
  }
}

function holdsSkills(folder: string): boolean {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  return readdirSync(folder).some((name) => !/^[._]/.test(name) && existsSync(join(folder, name, 'SKILL.md')));
}
