/** Every bound of the drivers, by name. */
export const LIMITS = {
  /** A request to Restate, and how long whoever sent a message waits for Restate to be told of it. */
  requestMs: 5_000,
  /** Connections to it at once. */
  connections: 64,
  noticeMs: 1_000,
  /** Restate is told of a session so often before that is left to the sweeper; the pause is doubled from first to last. */
  noticeTries: 6,
  noticeBackoffMs: 100,
  noticeBackoffMaxMs: 5_000,
  /** A session that another process drives is asked for again after so long. */
  elsewhereMs: 500,
  /** A timer that comes before its time by the clock of the process is set again for at least so long. */
  wakeMinMs: 100,
  /** A call that has ended is known by its key for so long. */
  keyMs: 1_000,
  /** Of a session with something to do nothing was heard for so long: it is driven unasked. So many are watched at once. */
  overdueMs: 1_000,
  overdueSessions: 20_000,
  /** One tenure of a session as Restate waits for it: a day; then it asks again, and joins the one under way. */
  tenureMs: 24 * 60 * 60_000,
  /** What was aborted for it has so long to end. */
  abortMs: 60_000,
  /** Restate calls a process so often that fails or is away, with pauses from the first to the last, and gives it up to the sweeper. */
  driveTries: 200,
  driveBackoffMs: 50,
  driveBackoffMaxMs: 1_000,
  /** A process that Restate calls has so long to answer a ping, before another one takes its place. */
  speaksMs: 1_000,
  /** The deployment is registered again after so long where Restate could not be reached. */
  registerAgainMs: 2_000,
  /** Connections of Restate get so long when the process ends. */
  closeMs: 1_000,
  /** A server of our own: how long it may take to answer, how often it is looked at, how long it gets to stop. */
  serverStartMs: 60_000,
  serverLookMs: 50,
  serverStopMs: 10_000,
  serverTries: 3,
  /** Of its log so much is told where it does not start, in UTF-16 units. */
  toldChars: 2_000,
} as const;
