/** The sandbox that was chosen. It never shows the folder that holds the sessions. */
import { existsSync, realpathSync } from 'node:fs';
import { system } from '@perdure/runtime';
import type { Sandbox } from '@perdure/runtime/ports';
import { createBare, createBubblewrap } from '@perdure/tools';

/** `data`: null where sessions are in memory. */
export function sandboxOf(chosen: 'bubblewrap' | 'none' | Sandbox | undefined, data: string | null): Sandbox {
  if (typeof chosen === 'object') return chosen;
  const apart = data === null ? [] : [existsSync(data) ? realpathSync(data) : data];
  const options = { timers: system.timers, apart };
  return chosen === 'none' ? createBare(options) : createBubblewrap(options);
}
