/** What a command is given. */
import type { Environment, Origins, Settings } from '../settings.ts';
import type { ExitCode } from './exit.ts';

/** `true` for a flag that stands alone; a list for one that may be given more than once. */
export type FlagValue = string | true | readonly string[];
export type Context = {
  args: readonly string[];
  /** Flags of the command's own. */
  flags: { readonly [name: string]: FlagValue | undefined };
  /** Settings that were given as flags, as they were written. */
  given: { readonly [name: string]: string | undefined };
  settings: Settings;
  origins: Origins;
  /** The variables of the process as it started, those of `.env`, and both as one. */
  own: Environment;
  dotenv: Environment;
  env: Environment;
  cwd: string;
};

export type Run = (context: Context) => Promise<ExitCode>;

export const isJson = ({ flags }: Context): boolean => flags['json'] === true;
