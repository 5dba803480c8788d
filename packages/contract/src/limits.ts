/** Every bound of the wire, by name. Bytes, counts and milliseconds are in the names. */
export const LIMITS = {
  /** One request's body of JSON. */
  bodyBytes: 1024 * 1024,
  /** Nesting of objects and arrays in a request. */
  jsonDepth: 64,
  /** What a list answers when it is not told, and at most. */
  listDefault: 100,
  listMax: 1_000,
  /** One text of a message or an answer, in UTF-16 units; the bytes of the request bound it first. */
  textChars: 1024 * 1024,
  /** Content of one context slot: every request carries it. */
  slotChars: 64 * 1024,
  noteChars: 10_000,
  reasonChars: 1_000,
  parts: 64,
  /** Names of agents, tools, models and files. */
  nameChars: 200,
  /** Models of one route. */
  routeModels: 8,
  mediaTypeChars: 200,
  /** Submission ids and session keys, chosen by the client. */
  submissionChars: 200,
  /** A query of a search. */
  searchChars: 1_000,
  digestChars: 128,
  tokenChars: 200,
  cursorChars: 1_000,
  rules: 1_000,
  /** The longest time a grant holds: ten years. */
  grantMaxMs: 10 * 365 * 24 * 60 * 60_000,
  /** Failures of a tool, and repeats of a call, that a policy may count. */
  habits: 64,
  /** Sessions that one test of policies looks at. */
  testedSessions: 50,
  /** One pattern of a rule, and patterns of one condition. */
  patternChars: 1_000,
  patterns: 100,
  /** A secret in UTF-16 units: a shorter one could not be told from ordinary words. Hosts, tools or commands of one. */
  secretMinChars: 8,
  secretMaxChars: 32 * 1024,
  secretBindings: 100,
  /** Higher goes first; 0 where it is not said. */
  priorityMax: 1_000,
  /** Long poll of events. */
  waitMaxMs: 60_000,
  /** How long a one-shot run with `wait` keeps its request open. */
  runWaitDefaultMs: 120_000,
  runWaitMaxMs: 600_000,
  turns: 10_000,
  calls: 100_000,
  /** A year. */
  deadlineMaxMs: 365 * 24 * 60 * 60_000,
  approvalTtlMaxMs: 365 * 24 * 60 * 60_000,
  outputTokens: 10_000_000,
  /** Steps of each side, and rows, that a diff shows; of a text so much (UTF-16 units). */
  diffRows: 500,
  diffTextChars: 10_000,
  /** A run's text in its view; a longer one is cut there and read in full as a message. */
  runTextBytes: 1024 * 1024,
  /** One blob, sent or fetched. */
  blobBytes: 32 * 1024 * 1024,
  /** Files and links of one workspace, the bytes of all its files, and what a path of one may be. */
  treeEntries: 20_000,
  treeBytes: 2 * 1024 * 1024 * 1024,
  treePathChars: 1_024,
  treeNameBytes: 255,
  treeDepth: 64,
  /** A workspace's name, and where one is mounted. */
  workspaceChars: 64,
  mountPathChars: 200,
  /** Workspaces of one session. */
  mounts: 16,
  /** Digests that are asked for at a time. */
  askedBlobs: 1_000,
  /** An exported session that is sent to be imported: 4 GiB. */
  importBytes: 4 * 1024 * 1024 * 1024,
  /** Characters of one event of a stream that the client takes; a larger one breaks the connection off. */
  clientEventChars: 8 * 1024 * 1024,
  /** Events of one subscription that wait for a slow reader of a WebSocket; beyond it, it subscribes again. */
  clientQueueEvents: 10_000,
  /** The client's pause before it connects again: doubled from the first to the last. */
  reconnectFirstMs: 250,
  reconnectMaxMs: 15_000,
  /** Connections in a row that bring nothing before the client gives a stream up, when it is not told otherwise. */
  reconnectAttempts: 20,
  /** The server is heard at least every 15 s: a stream silent for this long is broken. */
  streamIdleMs: 45_000,
} as const;
