/** Restate's own libraries, which only those need who use it: loaded when it is configured. */
import type * as Sdk from '@restatedev/restate-sdk';
import type * as Clients from '@restatedev/restate-sdk-clients';

/** Code `engine_missing`: a package has to be installed; the message says which, and how. */
export class EngineMissing extends Error {
  readonly code = 'engine_missing';
}

export type Libraries = { sdk: typeof Sdk; clients: typeof Clients };

/** Throws EngineMissing. */
export async function loadLibraries(): Promise<Libraries> {
  try {
    const [sdk, clients] = await Promise.all([
      import('@restatedev/restate-sdk'),
      import('@restatedev/restate-sdk-clients'),
    ]);
    return { sdk, clients };
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new EngineMissing(
      "Restate's libraries are not installed: npm install @restatedev/restate-sdk@1.17.2 @restatedev/restate-sdk-clients@1.17.2",
    );
  }
}
