/** The storage's own trouble, as it concerns whoever waits for an input: nothing is wrong with the session. */

/** The store could not take or give something. `storage_full`: try again when there is space; reads go on. */
export class StorageUnavailable extends Error {
  readonly code: 'storage_full' | 'unavailable' | 'fenced';
  constructor(code: StorageUnavailable['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What a store's method threw, where that is trouble of the storage; null: something else. Switches on codes alone. */
export function storageTrouble(error: unknown): StorageUnavailable | null {
  if (error instanceof StorageUnavailable) return error;
  if (!(error instanceof Error) || !('code' in error)) return null;
  switch (error.code) {
    case 'full':
      return new StorageUnavailable(
        'storage_full',
        'the storage is full: nothing was written; free space and try again',
        {
          cause: error,
        },
      );
    case 'unavailable':
    case 'overloaded':
      return new StorageUnavailable('unavailable', error.message, { cause: error });
    default:
      return null;
  }
}
