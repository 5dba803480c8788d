/** Every bound of this package, by name. */
export const LIMITS = {
  /** One question put to a moderation, within what a hook may take; connections to it. */
  moderationMs: 8_000,
  moderationConnections: 8,
  /** All bytes of one response, whatever is in it. */
  responseBytes: 16 * 1024 * 1024,
  /** What one server-sent event may hold before its end has come, in UTF-16 units. */
  eventChars: 4 * 1024 * 1024,
  /** What is read of the body of an HTTP error. */
  errorBytes: 64 * 1024,
  /** Text of a failure's `detail`. */
  detailChars: 1_000,
  /** Tool calls in one answer; the engine bounds what it dispatches, this bounds what is collected. */
  callsPerAnswer: 1_024,
  connectTimeoutMs: 10_000,
  /** From the request's last byte to the answer's first: a reasoning model may think for long before it says anything. */
  headersTimeoutMs: 10 * 60_000,
  /** Between two pieces of an answer: an answer that stalls for longer is given up. */
  idleTimeoutMs: 2 * 60_000,
  /** Kept open between calls; shorter than what load balancers usually allow an idle connection. */
  keepAliveMs: 30_000,
  keepAliveMaxMs: 5 * 60_000,
  /** Open connections to one endpoint; further calls wait for a free one. */
  connectionsPerEndpoint: 256,
  /** Cancelling a background response: the call that asked for it waits for this long. */
  cancelTimeoutMs: 3_000,
  /** What a summary may have that Anthropic writes in place of a conversation. */
  compactionOutputTokens: 16_384,
  /** What OpenAI takes as the id of a call, and as the name of a function. */
  openAiCallIdChars: 64,
  openAiNameChars: 64,
  /** Structured outputs, "limitations": nested objects and properties of a strict schema. */
  strictDepth: 10,
  strictProperties: 5_000,
  /** Output of a model that the catalog does not know. */
  unknownMaxOutputTokens: 4_096,
  /** What the demo model takes and gives. */
  demoWindowTokens: 128_000,
  demoMaxOutputTokens: 4_096,
  /** What it is told of an image or a file: its name, type and size. */
  demoMediaTokens: 256,
  demoSlowMs: 10 * 60_000,
  demoWords: 100_000,
} as const;
