export const LIMITS = {
  /** Writes that wait for a commit; what comes beyond is refused as `overloaded`. */
  pendingWrites: 100_000,
  /** Writes that share one transaction. */
  groupWrites: 1_024,
  /** After a group of more than this many, writes are gathered over turns of the event loop: so many at most. */
  busyGroup: 4,
  gatherTurns: 8,
  /** The heads journal is flushed at most this long after the commits it records. */
  journalSyncMs: 100,
  /** Pages (4 KiB) in the write-ahead log from which it is folded into the database, and the heads journal starts anew. */
  walPages: 2_000,
  /** The same on a disk that was full, as long as it has less free than this many bytes. */
  tightWalPages: 64,
  tightBytes: 64 * 1024 * 1024,
  /** The heads journal starts anew from this size, too, so that many short lives of a process do not pile it up. */
  journalBytes: 1024 * 1024,
  /** The length of the write-ahead log is looked at after this many groups. */
  tidyGroups: 16,
  /** Room kept on the disk for what is urgent: stopping a run takes some tens of KiB. */
  headroomBytes: 1024 * 1024,
  /** Page cache of the committing connection and of the reading one, in KiB. */
  writeCacheKiB: 16 * 1024,
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
  /** Connections to Postgres that one process keeps, and how many at most it may be told to. */
  connections: 8,
  connectionsMax: 100,
  /** A connection to Postgres that nobody needed for so long is closed. */
  idleConnectionMs: 30_000,
  /** How long connecting to Postgres may take. */
  connectMs: 5_000,
  /** How long Postgres may take for a statement, and how much longer its answer is waited for. */
  statementMs: 30_000,
  answerGraceMs: 5_000,
  /** Groups of appends that are under way to Postgres at once, and what one may hold. */
  appendLanes: 2,
  groupAppends: 256,
  groupBytes: 8 * 1024 * 1024,
  /** What is asked for one by one and gathered: statements under way at once, what one may ask for, and how many may wait. */
  gatherLanes: 2,
  gathered: 256,
  pendingReads: 100_000,
  /** How often an append is tried again that was undone because another one was in its way. */
  appendTries: 8,
  /**
   * A connection for an append is tried for so long, and the answer to one that was sent and not answered is looked for so
   * long, or only so long while the store is closed; the pauses between the tries double, from the first to the last.
   */
  reconnectMs: 3_000,
  recoverMs: 15_000,
  closingMs: 1_000,
  recoverFirstMs: 20,
  recoverLastMs: 1_000,
  /** Without LISTEN what others committed is looked for so often; with it, in case that a word was lost. */
  pollMs: 250,
  listeningPollMs: 1_000,
  /** Whether LISTEN works is tried so often. */
  echoMs: 5_000,
  /** Changes of others that are read at once, and own heads that are remembered so as not to be told twice. */
  heardChanges: 500,
  knownHeads: 10_000,
  /** Others are told of commits at most so often. */
  notifyMs: 5,
  /** Changes that are numbered for the feed in one transaction. */
  numberedChanges: 10_000,
  /** Frames that are read at once where a whole log is checked or read. */
  readFrames: 500,
  /** What an opening staged and never used, because it died, is dropped after so long. */
  stagedMs: 24 * 60 * 60 * 1_000,
} as const;
