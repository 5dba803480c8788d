/** Every bound the engine keeps, by name. Bytes, counts and milliseconds are in the names. */
export const LIMITS = {
  /** The last calls that are remembered to see one that repeats itself, and tools whose failures are counted. */
  recentCalls: 64,
  toolStreaks: 64,
  /** One append: the exact UTF-8 bytes of its entries. */
  frameBytes: 256 * 1024,
  /** Runs that wait in one session: few enough that one frame can end them all. */
  queuedRuns: 500,
  /** Steered messages that wait for the next turn of one run. */
  pendingSteers: 100,
  /** Calls of one turn that may run; what is beyond is answered with an error. */
  callsPerTurn: 128,
  /** Calls one turn may ask for: a frame must hold them. An answer that asks for more is refused whole. */
  callsPerAnswer: 256,
  /** Attempts at one model call or one retryable tool call. */
  attempts: 5,
  /** The name by which a provider can be asked for an answer again; a longer one is not kept. */
  responseChars: 256,
  /** Turns of one run that may repair an answer which does not fit its schema. */
  repairs: 1,
  /** Retries of outcomes a run may use in all its turns and calls. */
  retriesPerRun: 20,
  backoffBaseMs: 500,
  backoffMaxMs: 60_000,
  /** A Retry-After longer than this ends the attempt instead of parking the run for hours unasked. */
  retryAfterMaxMs: 15 * 60_000,
  /** The least output worth paying for: a turn that a budget shrinks below this is not requested. */
  minOutputTokens: 256,
  /** The same for a closing turn: what a run's last tokens are kept for. */
  minClosingTokens: 64,
  /** What the instructions of a compaction add to a request, in bytes; the most and the least a summary may have. */
  compactionPromptBytes: 4_096,
  summaryTokens: 4_096,
  minSummaryTokens: 256,
  /** Of its model's window, so much may be filled before the context is compacted by itself. */
  windowShare: 0.8,
  /** It is compacted again only when about so many tokens have come since. */
  compactionMinTokens: 1_000,
  /** A token has about so many bytes: decides when to compact, never what to reserve. */
  bytesPerToken: 3,
  /** The end of a context stays as it is when the rest becomes a summary: at most so many bytes, and this share of it. */
  tailBytes: 32 * 1024,
  tailShare: 0.125,
  /** What a compaction that nobody asked for would take away, at the least, as a share of the context. */
  compactionGainShare: 0.25,
  /** The least of a conversation that a summary is made of, in bytes. */
  minCompactionBytes: 1_024,
  /** Items that are kept because only one model can read what stands for them: with more, a summary is written instead. */
  heldItems: 5_000,
  /** Wire overhead of one context item in a token bound (role markers, separators), in bytes. */
  itemOverheadBytes: 16,
  /** Images and files of a session, and their bytes: every request carries all of them, in base64. */
  sessionMedia: 100,
  sessionMediaBytes: 20 * 1024 * 1024,
  /** Tools that one search finds, and that a session has found. */
  toolsFound: 10,
  foundTools: 5_000,
  /** Keyed context slots of a session. */
  slots: 64,
  /** Steps of one transition to its fixpoint; more means a loop in the machine. */
  advanceRounds: 4_000,
} as const;

/** What a run gets when its agent says nothing: no money and no token cap. */
export const DEFAULT_LIMITS = { turns: 50, calls: 200, deadlineMs: 24 * 60 * 60_000 } as const;
