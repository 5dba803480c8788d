/** Every bound of the gateway, by name; those of the wire itself stand in the contract's limits. */
export const LIMITS = {
  /** What one stream may hold for a reader that does not read; beyond it the reader is cut. */
  streamBufferBytes: 1024 * 1024,
  /** One piece handed to the socket: many small events go out as one write. */
  streamChunkBytes: 64 * 1024,
  heartbeatMs: 15_000,
  /** Heartbeats at which a reader may have taken nothing of what waits for it; then it is cut. */
  stalledHeartbeats: 4,
  /** What a client is told to wait before it connects again. */
  retryMs: 1_000,
  /** Streams that are open at once. */
  streams: 10_000,
  /** JSON-RPC: WebSockets at once, and on each of them subscriptions, and calls that are under way. */
  rpcConnections: 1_000,
  rpcSubscriptions: 100,
  rpcInFlight: 64,
  /** Messages of one batch. */
  rpcBatch: 64,
  /** So much of a name that is not known is said back. */
  rpcNameChars: 100,
  /** Processes that share data: connections that one takes, sessions that one of them listens to, and so many in a message. */
  nodeConnections: 1_000,
  nodeSessions: 100_000,
  nodeBatch: 500,
  nodeMessageBytes: 64 * 1024,
  /** What may wait for another process; beyond it what is said is left out, and said again whole later. */
  nodeBufferBytes: 8 * 1024 * 1024,
  /** Between two pings: a connection on which nothing came in between is broken off. */
  nodeHeartbeatMs: 5_000,
  nodeHandshakeMs: 5_000,
  /** The pause before a connection is made again: doubled from the first to the last. */
  nodeRetryMs: 100,
  nodeRetryMaxMs: 5_000,
  /** Requests at once that come with a credential of their own in place of the server's token: callbacks. */
  openRequests: 64,
  /** How many of them may name nothing that is here, within that time, before the next is told to come later. */
  openMisses: 60,
  openMissesMs: 60_000,
  headerBytes: 16 * 1024,
  /** The whole of a request's headers, and of the request, must have arrived by then. */
  headersTimeoutMs: 20_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  requestIdChars: 100,
  /** Problems named in one refusal. */
  issues: 10,
  /** How long a drain waits for what is under way, when it is not told. */
  drainMs: 5_000,
} as const;
