/** Every bound the runtime keeps, by name. */
export const LIMITS = {
  /** A larger body goes to the blob store before the append that refers to it. */
  inlineBodyBytes: 64 * 1024,
  /** Sessions kept folded in memory; the least recently used is let go when idle. */
  hotSessions: 1_000,
  /** An idle session leaves memory after this time. */
  hotIdleMs: 60_000,
  /** How exact the order is in which sessions leave memory where there are too many. */
  hotOrderMs: 250,
  /** A head that the store confirmed within this time is believed when an effect leaves. */
  confirmedMs: 500,
  /** Bodies of a hot session that are kept beside its state. */
  hotBodies: 64,
  /** Entries between two snapshots. */
  snapshotEntries: 1_000,
  /** The same when a session leaves memory: below it a log is folded faster than its snapshot is read. */
  snapshotAtEvictionEntries: 64,
  /** Frames read from the store at a time. */
  readFrames: 512,
  /** The same for one page of entries. */
  pageFrames: 64,
  /** An append that meets another writer folds again so many times. */
  appendTries: 16,
  /** An account that refuses one input so many times counts as empty for it. */
  refusals: 4,
  /** Accounts of budgets that are known to be open. */
  knownAccounts: 10_000,
  /** How often the room in accounts is looked at while runs wait for it; one that it was no use to is passed over so often. */
  budgetLookMs: 1_000,
  budgetRounds: 64,
  /** The same for documents that another process may have changed, and for runs that another one has parked. */
  budgetsReadMs: 5_000,
  budgetSweepMs: 60_000,
  /** Effects under way at once in one process; the rest wait, fairly by session. */
  effects: 512,
  /** Inputs that wait in one session's mailbox. */
  mailbox: 1_000,
  /** Sessions whose next due time one process keeps in memory; those beyond are left to the sweeper. */
  wakes: 100_000,
  /** How often the sweeper looks for work whose notification was lost. */
  sweepMs: 30_000,
  sweepPage: 500,
  /** A session whose own step throws so often within the time is parked as quarantined. */
  faultsToQuarantine: 3,
  faultsWithinMs: 60_000,
  /** A session whose fold has killed its process so often while it was tried alone is parked. */
  deathsToQuarantine: 3,
  /** Transitions after a load in which a death of the process counts. */
  watchedTransitions: 8,
  /** A node's lease, where processes share a store, and how often a node looks which others there are. */
  leaseMs: 10_000,
  nodesMs: 500,
  /** A session that was at rest for so long, or a second longer, is let go, for whoever works on it next. */
  idleHoldMs: 10_000,
  /** The same where another engine leads, and another process has come: within so long it is found free. */
  companyMs: 1_000,
  /** Sessions that are taken over at a time, and when the store is asked again that could not be. */
  takenAtOnce: 32,
  holdAgainMs: 1_000,
  /** Whoever comes first for a session that became free has so long to take it, before anybody does. */
  leftMs: 250,
  /** How often calls are looked for that another process parked because it has not their tool. */
  homecomingMs: 300_000,
  /** Of so many sessions it is remembered who else has them. */
  knownFences: 10_000,
  /** The pause before the driver says something again: doubled from the first to the last. */
  faultBackoffMs: 100,
  faultBackoffMaxMs: 5_000,
  /** Rules and grants of one scope; documents that are kept in memory; the name of a rule. */
  policyRules: 1_000,
  policyGrants: 500,
  policyDocuments: 10_000,
  ruleIdChars: 10,
  /** A tool's breaker of a session stays open so long where nobody says otherwise. */
  toolBreakerMs: 10 * 60_000,
  /** What an entry says of the rules that decided. */
  ruleChars: 400,
  /** Patterns of rules that are kept compiled; texts of one call's arguments that rules look at. */
  compiledPatterns: 5_000,
  ruledTexts: 10_000,
  /** What a tool may tell of where its paths lead: places of one call, the length of one, and the time for that. */
  reachedPaths: 200,
  reachedChars: 4_096,
  reachMs: 10_000,
  /** A script of bash beyond these is not understood: characters, commands, scripts within scripts. */
  shellChars: 64 * 1024,
  shellCommands: 1_000,
  shellDepth: 8,
  /** Models of one route. */
  routeModels: 8,
  /** A model that fails so often in a row within the time is passed over for a while, by runs that have another one. */
  breakerFailures: 5,
  breakerWithinMs: 60_000,
  breakerOpenMs: 30_000,
  /** How long the others wait for what comes of the one request that tries it again. */
  breakerTryMs: 60_000,
  breakerModels: 1_000,
  /** Jobs that run at once, of one session and in the process; of what one says the newest is kept, in UTF-16 units. */
  sessionJobs: 8,
  jobs: 64,
  jobOutputChars: 1024 * 1024,
  /** A line of a job that has not ended is kept back so long, for secrets are looked for in whole lines. */
  jobLineChars: 64 * 1024,
  /** So long after its beginning a job of another process, of which nobody here hears, has ended. */
  jobExpectedMs: 48 * 60 * 60_000,
  /** Ended jobs that a session's context names. */
  toldJobs: 16,
  /** Moves that the head of a workspace remembers, and decoded trees that are kept in memory. */
  keptMoves: 64,
  keptTrees: 16,
  /** An undoing that finds a workspace changed at the same moment looks again so often; it names so many paths that stand in its way. */
  undoTries: 8,
  /** Of a forked workspace's name, what it has of the one it comes from, and of its session. */
  forkedNameChars: 40,
  forkedSuffixChars: 10,
  toldConflicts: 20,
  /** One model call, from request to outcome. */
  generateMs: 15 * 60_000,
  toolMs: 60_000,
  /** A hook that takes longer blocks. */
  hookMs: 10_000,
  /** Of what a hook says of an outcome, so much is recorded. */
  reasonChars: 200,
  /** A guard reads a text in pieces of so many characters, with so many of the piece before, and of a run so many. */
  guardChars: 64 * 1024,
  orderChars: 1_000,
  entropyChars: 512,
  moderatedChars: 20_000,
  /** Guards of one agent. */
  guards: 16,
  /** What does not obey its abort within this time is given up, with an honest outcome. */
  abortGraceMs: 5_000,
  /** An unsafe call gets so long when the process drains. */
  drainMs: 30_000,
  /** Everything else does: a process with nothing unsafe under way exits within five seconds. */
  drainIdleMs: 3_000,
  /** What one name of a secret stood for before and stands for now: so many values of it are kept out of sight. */
  secretValues: 8,
  /** Keys that seal secrets, the ones before the first included. */
  secretKeys: 8,
  /** Arguments of one call and the text of one result, as the model sees it. */
  argumentBytes: 256 * 1024,
  resultBytes: 1024 * 1024,
  /** A result longer than this is cut for the model, with a word on where the rest is. */
  resultPreviewChars: 50_000,
  /** A live subscriber that is further behind re-reads from the log. */
  streamQueueItems: 2_000,
  streamQueueBytes: 1024 * 1024,
  /** Text of one effect that a late joiner of the stream gets whole. */
  liveTextChars: 2 * 1024 * 1024,
  subscribersPerSession: 1_000,
  /** The pause before it is asked again who holds a session that somebody listens to: doubled from the first to the last. */
  relayLookMs: 50,
  relayLookMaxMs: 2_000,
  /** A message about what is wrong, as the model or a person reads it; so many errors of a value are told. */
  messageChars: 2_000,
  misfits: 10,
  /** A search for deferred tools: its words, how many it finds where nobody says, and what it tells of them, in UTF-16 units. */
  toolQueryChars: 500,
  toolsUsuallyFound: 5,
  toolsFoundChars: 40_000,
  /** Of one text behind an agent's instructions so much is read, in UTF-16 units; and so many texts. */
  sourceChars: 64 * 1024,
  sources: 16,
  /** Pins that are kept by configuration, and manifests of earlier processes. */
  pins: 10_000,
  manifests: 1_000,
  /** The longest time a tool may park its call for: ten years. */
  waitMaxMs: 10 * 365 * 24 * 60 * 60_000,
  /** Depth of JSON that is canonicalised. */
  jsonDepth: 64,
  /** How long a callback is kept that comes before its wait is open. */
  earlyCallbackMs: 10_000,
  /** When to come back, as errors that pass say it. */
  retryMs: 1_000,
  /** Verifications that were asked for and are under way at once. */
  verifies: 2,
  /** Damage that one answer tells. */
  toldDamage: 1_000,
  /** One line of an exported file holds so much of a blob; a line, and a blob, at most so much. */
  exportPartBytes: 512 * 1024,
  importLineBytes: 64 * 1024 * 1024,
  importBlobBytes: 256 * 1024 * 1024,
  /** Frames of an import that are handed to the store at a time. */
  stageBytes: 4 * 1024 * 1024,
  waitTimeoutMs: 120_000,
  /** One image or file of a message, and the texts together that come with it as blobs. */
  imageBytes: 5 * 1024 * 1024,
  fileBytes: 16 * 1024 * 1024,
  messageTextBytes: 1024 * 1024,
  /** A context with more bytes of images and files than this is rendered anew for each turn, and not kept in memory. */
  keptMediaBytes: 256 * 1024,
  /** What a message or a result keeps at least, in bytes, where a conversation is shortened to be summarised. */
  compactionPieceBytes: 2 * 1024,
  /** How long a search waits for the text index before it answers with what is there. */
  searchWaitMs: 5_000,
  searchTerms: 32,
  /** Sessions whose texts are taken in at a time. */
  textSessions: 64,
  /** Of one message or answer so much is searched, in UTF-16 units. */
  saidChars: 256 * 1024,
  titleChars: 80,
  runTextBytes: 1024 * 1024,
} as const;
