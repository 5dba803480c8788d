/** Every bound of the command and the library's own face, by name. */
export const LIMITS = {
  /** A secret as it is typed or piped in, with its line end. */
  typedBytes: 64 * 1024,
  portMax: 65_535,
  /** The shortest and the longest time for which a process that is not heard of is taken for alive. */
  leaseMinMs: 500,
  leaseMaxMs: 10 * 60_000,
  /** Gateways and workers that keep their own things in one data folder. */
  sharedFolders: 64,
  /** `instructions.md` of an agent: every request carries it. */
  instructionsBytes: 256 * 1024,
  /** How long a server that a file names has to say that it lives. */
  livenessMs: 2_000,
  /** Interrupts closer together than this are one: a terminal and a parent process may both send it. */
  interruptMs: 500,
  /** Requests under way get so long when a server stops; unsafe calls have the runtime's own, longer bound. */
  requestGraceMs: 4_000,
  /** Connections in a row that bring nothing before a stream counts as lost: half a minute. */
  streamAttempts: 8,
  /** Of a tool's arguments or result so much is shown in one line, in UTF-16 units. */
  shownChars: 160,
  /** The largest `--timeout`, in seconds: a week. */
  timeoutMaxS: 7 * 24 * 60 * 60,
  /** How often a server looks whether its storage still accepts, and how often in what time it is opened anew. */
  storageLookMs: 500,
  reopens: 3,
  reopenWithinMs: 60_000,
  /** At a start unfinished sessions are looked at for so long; `perdure preflight` looks at all. */
  preflightMs: 30_000,
  /** All data is read again so long after the start, and then so often: a minute, a day. */
  scrubFirstMs: 60_000,
  scrubEveryMs: 24 * 60 * 60_000,
  /** How often `dev` looks at the files of a project, and how many it looks at. */
  watchMs: 200,
  watchedFiles: 2_000,
  /** How long loading a project may take, and how much of what it says is shown where it ends the process, in UTF-16 units. */
  checkMs: 30_000,
  saidChars: 4_000,
  /** Unsafe calls get so long when `dev` restarts; then its server is ended, at the latest after that. */
  devDrainMs: 5_000,
  devKillMs: 15_000,
  /** Data that another process has for a moment is asked for so often, with this pause. */
  devTries: 20,
  devRetryMs: 500,
  /** Data that another process has is asked for so often by a command, with this pause: five seconds. */
  ownerTries: 21,
  ownerRetryMs: 250,
  eventsMax: 1_000_000_000,
  /** Of one `perdure simulate`. */
  seedsMax: 10_000_000,
  /** The shell: lines that are remembered, and how long one may be. */
  historyLines: 1_000,
  historyChars: 10_000,
  /** Places (servers, data folders) whose last session is remembered. */
  chatPlaces: 100,
  /** Output that is held back while a line is typed, in UTF-16 units; more is written above the line. */
  heldChars: 64 * 1024,
  /** Lines of a call's arguments that are shown to whoever is to approve it. */
  argumentLines: 40,
  /** Sessions and models that a list of the shell shows. */
  listedRows: 20,
  /** Connections in a row that fail before the shell says that the server is away. */
  awayAttempts: 3,
  /** A message that the server did not take for being away is offered again after so long, doubled each time. */
  resendMs: 250,
  /** How often a change of the configuration is tried against changes of others. */
  configureAttempts: 3,
  /** A database whose clock is further from this machine's is worth a word: deadlines go by one, leases by the other. */
  clockSkewMs: 1_000,
  /** Contents that are sent at once, and how often a push is tried against changes of others. */
  blobsAtOnce: 4,
  pushTries: 4,
  /** Paths that a refusal names. */
  toldPaths: 20,
} as const;
