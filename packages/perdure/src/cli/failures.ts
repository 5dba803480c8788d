/** Failures that have a stable code, whichever package they come from: nothing is loaded to tell them. */

import { SettingError } from '../errors.ts';

/** Our codes are lower-case words; those of Node and of libraries are not. */
const OURS = /^[a-z][a-z_]*$/;

/** The message with its code; null for what nobody expected, and for settings: those end as what was not understood. */
export function known(error: unknown): string | null {
  if (
    error instanceof SettingError ||
    !(error instanceof Error) ||
    !('code' in error) ||
    typeof error.code !== 'string'
  )
    return null;
  return OURS.test(error.code) ? `${error.message} (${error.code})` : null;
}
