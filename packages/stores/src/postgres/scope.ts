import type { CommittedChange, Timers } from '@perdure/runtime/ports';
import type { Appender } from './appender.ts';
import type { Row, Value } from './statement.ts';

/** What the parts of an open store share, for one tenant. */
export type Scope = {
  tenant: string;
  /** The number of this opening: what it staged is its own. */
  opening: number;
  timers: Timers;
  appender: Appender;
  /** Rejects with a `StoreError`; `unavailable` once the store is closed. A statement of reading may be run twice. */
  read: (text: string, values?: readonly Value[]) => Promise<Row[]>;
  /** The same for what writes; the tenant is known from then on. */
  write: (text: string, values?: readonly Value[]) => Promise<Row[]>;
  /** Throws `unavailable` once the store is closed. */
  checkOpen: () => void;
  /** Closing waits for this. */
  track<T>(work: Promise<T>): Promise<T>;
  watchers: Set<(change: CommittedChange) => void>;
  /** Somebody watches: from now on it is heard what others commit. */
  listen: () => void;
};
