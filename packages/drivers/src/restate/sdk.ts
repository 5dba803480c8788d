/** Restate's own library, which only those need who use it: loaded when it is configured. */
import type * as Sdk from '@restatedev/restate-sdk';

/** Code `engine_missing`: a package has to be installed; the message says which, and how. */
export class EngineMissing extends Error {
  readonly code = 'engine_missing';
}

export type Libraries = { sdk: typeof Sdk };

/** Throws EngineMissing. */
export async function loadLibraries(): Promise<Libraries> {
  try {
    return { sdk: await import('@restatedev/restate-sdk') };
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new EngineMissing("Restate's library is not installed: npm install @restatedev/restate-sdk@1.17.2");
  }
}
