/** Every bound of the command and the library's own face, by name. */
export const LIMITS = {
  portMax: 65_535,
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
  /** All data is read again so long after the start, and then so often: a minute, a day. */
  scrubFirstMs: 60_000,
  scrubEveryMs: 24 * 60 * 60_000,
  eventsMax: 1_000_000_000,
  /** Of one `perdure simulate`. */
  seedsMax: 10_000_000,
} as const;
