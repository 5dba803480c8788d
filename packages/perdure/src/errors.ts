/** Errors of the library and the command that are not the runtime's, the store's or the contract's. Switch on `code`. */

/** Another process has the data open. `server` is where it answers, if it is a `perdure up`. */
export class DataInUseError extends Error {
  override readonly name = 'DataInUseError';
  readonly code = 'data_in_use';
  readonly server: { url: string; pid: number } | null;
  constructor(data: string, server: { url: string; pid: number } | null) {
    const where =
      server === null
        ? 'another process has it open, such as a perdure run without a server: let it end or stop it, or use another data folder'
        : `a server with it runs at ${server.url} (process ${server.pid}): use that server, stop it, or use another data folder`;
    super(`the data in ${data} is in use: ${where}`);
    this.server = server;
  }
}

/** What only processes can do that share a store was asked of one that owns its data. */
export class StoreNotSharedError extends Error {
  override readonly name = 'StoreNotSharedError';
  readonly code = 'store_not_shared';
  constructor(store: string) {
    super(`one process owns the data (${store}), perdure up: to share it among several, use --store postgres://...`);
  }
}

/** A flag or a variable holds what it cannot mean; `source` names it. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
  readonly code = 'invalid_setting';
  readonly source: string;
  constructor(source: string, problem: string) {
    super(`${source}: ${problem}`);
    this.source = source;
  }
}
