/** A connection to another process that shares the data: made again when it breaks, for as long as it is wanted. */
import type { Link, Reach } from '@perdure/runtime';
import type { Logger, Timer, Timers } from '@perdure/runtime/ports';
import { WebSocket } from 'ws';
import { LIMITS } from '../limits.ts';
import { beat } from './beat.ts';
import type { Wanted } from './messages.ts';
import { NODE_PATH, readTold } from './messages.ts';

type Options = { token: string; timers: Timers; logger: Logger };

/** How other processes are reached; `token` as their listeners ask for it. */
export function reachNodes(options: Options): Reach {
  return (address, heard) => new NodeLink(address, heard, options);
}

class NodeLink implements Link {
  readonly #url: string;
  readonly #heard: Parameters<Reach>[1];
  readonly #options: Options;
  readonly #wanted = new Set<string>();
  /** What changed since the last message: many sessions of one moment share one. */
  readonly #untold = new Map<string, 'want' | 'drop'>();
  #socket: WebSocket | null = null;
  #later: Timer | null = null;
  #failures = 0;
  #isClosed = false;

  constructor(address: string, heard: Parameters<Reach>[1], options: Options) {
    this.#url = `${address.replace(/^http/, 'ws')}${NODE_PATH}`;
    this.#heard = heard;
    this.#options = options;
    this.#connect();
  }

  want(session: string): void {
    this.#wanted.add(session);
    this.#say(session, 'want');
  }

  drop(session: string): void {
    this.#wanted.delete(session);
    this.#say(session, 'drop');
  }

  close(): void {
    this.#isClosed = true;
    this.#later?.cancel();
    this.#socket?.terminate();
  }

  #say(session: string, what: 'want' | 'drop'): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#untold.size === 0) queueMicrotask(() => this.#flush());
    this.#untold.set(session, what);
  }

  #flush(): void {
    const said = [...this.#untold];
    this.#untold.clear();
    const of = (wanted: 'want' | 'drop'): string[] =>
      said.flatMap(([session, what]) => (what === wanted ? [session] : []));
    this.#send('drop', of('drop'));
    this.#send('want', of('want'));
  }

  #send(what: keyof Wanted, sessions: readonly string[]): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < sessions.length; at += LIMITS.nodeBatch)
      this.#socket.send(JSON.stringify({ [what]: sessions.slice(at, at + LIMITS.nodeBatch) } satisfies Wanted));
  }

  #connect(): void {
    const { token, timers, logger } = this.#options;
    const socket = new WebSocket(this.#url, {
      headers: { authorization: `Bearer ${token}` },
      handshakeTimeout: LIMITS.nodeHandshakeMs,
      maxPayload: LIMITS.nodeBufferBytes,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    const heart = beat(socket, timers);
    socket.on('open', () => {
      this.#failures = 0;
      this.#send('want', [...this.#wanted]);
    });
    socket.on('message', (data: Buffer, isBinary) => {
      const told = isBinary ? null : readTold(data.toString('utf8'));
      if (told !== null && this.#wanted.has(told.session)) this.#heard.hear(told);
    });
    socket.on('error', (error) =>
      logger.debug({ url: this.#url, error: error.message }, 'another process is not heard'),
    );
    socket.on('close', () => {
      heart.cancel();
      if (this.#isClosed || this.#socket !== socket) return;
      this.#again();
      this.#heard.broke();
    });
  }

  #again(): void {
    const afterMs = Math.min(LIMITS.nodeRetryMs * 2 ** this.#failures, LIMITS.nodeRetryMaxMs);
    this.#failures += 1;
    this.#later = this.#options.timers.set(afterMs, () => this.#connect());
  }
}
