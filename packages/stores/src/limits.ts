export const LIMITS = {
  /** Writes that wait for a commit; what comes beyond is refused as `overloaded`. */
  pendingWrites: 100_000,
  /** Writes that share one transaction. */
  groupWrites: 1_024,
  /** The heads journal is flushed at most this long after the commits it records. */
  journalSyncMs: 100,
  /** Pages (8 KiB) in the write-ahead log from which it is folded into the database, and the heads journal starts anew. */
  walPages: 2_000,
  /** The heads journal starts anew from this size, too, so that many short lives of a process do not pile it up. */
  journalBytes: 1024 * 1024,
  /** The length of the write-ahead log is looked at after this many groups. */
  tidyGroups: 16,
  /** Room kept on the disk for what is urgent: stopping a run takes some tens of KiB. */
  headroomBytes: 1024 * 1024,
  /** Page cache of the committing connection and of the reading one, in KiB. */
  writeCacheKiB: 64 * 1024,
  readCacheKiB: 16 * 1024,
  /** How long a connection waits for a lock that another one of this process holds for a moment. */
  busyMs: 1_000,
  /** Sessions whose head the committer remembers; others are looked up. */
  knownSessions: 20_000,
  /** Questions to the text index that wait. */
  pendingAsks: 1_000,
  /** Of a longer word so much is compared, in UTF-16 units. */
  wordChars: 64,
  /** Of a text that was found so much is shown, in UTF-16 units. */
  snippetChars: 400,
  /** Documents that one search reads. */
  searchedDocs: 10_000,
} as const;
