/** One conversation with an agent: the session that it is in, or is about to open with its first message. */
import { randomUUID } from 'node:crypto';
import type { Client, ConfigPatch, RunView, SessionView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import { CommandError, EXIT } from '../exit.ts';
import { time } from '../time.ts';

export type Sent = { session: string; run: string; seq: number };
export type RunId = `r${number}`;
export const SESSION_ID = /^ses_[0-9A-Za-z]{26}$/;

export class Conversation {
  readonly client: Client;
  /** Null: the next message opens one. */
  session: string | null = null;
  /** Null: the one that is defined first. */
  agent: string | null;
  /** The run of the last message that was accepted here. */
  lastRun: RunId | null = null;
  /** What a session that is not open yet is opened with. */
  #config: ConfigPatch = {};
  /** A key to open or find the session by. */
  #key: string | null = null;

  constructor(client: Client, agent: string | null) {
    this.client = client;
    this.agent = agent;
  }

  /** The next message opens a session. */
  renew(agent: string | null = this.agent): void {
    this.session = null;
    this.lastRun = null;
    this.agent = agent;
    this.#config = {};
    this.#key = null;
  }

  /** Goes on in a session that is there, by its id or its key; another key opens one. Throws CommandError. */
  async enter(name: string): Promise<SessionView | null> {
    const view = SESSION_ID.test(name)
      ? await this.client.call('sessions.get', { session: name })
      : await this.find(name);
    if (view === null && name.startsWith('ses_'))
      throw new CommandError(
        EXIT.usage,
        `'${name}' is no id of a session: ses_ and 26 characters, as /sessions shows it`,
      );
    if (view === null) {
      this.renew();
      this.#key = name;
      return null;
    }
    if (view.status === 'closed') throw new CommandError(EXIT.notAccepted, `session ${view.id} is closed`);
    this.renew(view.agent);
    this.session = view.id;
    return view;
  }

  /** The session with a key; null: there is none. */
  async find(key: string): Promise<SessionView | null> {
    let cursor: string | undefined;
    do {
      const more = cursor === undefined ? {} : { cursor };
      const page = await this.client.call('sessions.list', { limit: 1_000, ...more });
      const found = page.sessions.find((view) => view.key === key);
      if (found !== undefined) return found;
      cursor = page.next;
    } while (cursor !== undefined);
    return null;
  }

  /**
   * Sends a message under a submission of its own, again and again while the server is away: it arrives once. Rejects
   * with ApiError when it is not accepted.
   */
  async say(text: string, submission: string, mode: 'queue' | 'steer' = 'queue'): Promise<Sent> {
    const sent = await persistently(async () => this.#offer(text, submission, mode));
    this.session = sent.session;
    this.lastRun = sent.run as RunId;
    return sent;
  }

  async #offer(input: string, submission: string, mode: 'queue' | 'steer'): Promise<Sent> {
    if (this.session !== null) {
      const { run, seq } = await this.client.call('runs.start', { session: this.session, input, submission, mode });
      return { session: this.session, run: run.id, seq };
    }
    const opening = {
      ...(this.agent === null ? {} : { agent: this.agent }),
      ...(this.#key === null ? {} : { key: this.#key }),
      ...(Object.keys(this.#config).length === 0 ? {} : { config: this.#config }),
    };
    const { session, run, seq } = await this.client.call('sessions.create', { ...opening, input, submission });
    this.agent = session.agent;
    return { session: session.id, run: run?.id ?? 'r1', seq };
  }

  view = async (): Promise<SessionView | null> =>
    this.session === null ? null : this.client.call('sessions.get', { session: this.session });

  /** The configuration that counts from the next run on; a change of somebody else in between is kept. */
  async configure(patch: ConfigPatch): Promise<void> {
    if (this.session === null) {
      this.#config = { ...this.#config, ...patch };
      return;
    }
    for (let attempt = 1; ; attempt += 1) {
      const { config } = await this.client.call('sessions.get', { session: this.session });
      try {
        await this.client.call('sessions.configure', { session: this.session, ifRevision: config.revision, ...patch });
        return;
      } catch (error) {
        const isStale = error instanceof ApiError && error.code === 'revision_conflict';
        if (!isStale || attempt === LIMITS.configureAttempts) throw error;
      }
    }
  }

  /** The model of the next run, and those that stand in for it. */
  async model(): Promise<string> {
    const own = (await this.view())?.config.model ?? this.#config.model;
    const { agents } = await this.client.call('agents.list', { limit: 1_000 });
    const route = own ?? agents.find(({ name }) => this.agent === null || name === this.agent)?.model ?? 'unknown';
    return [route].flat().join(', else ');
  }

  /** Cancels a run; one that has ended meanwhile is no failure. */
  async cancel(run: string): Promise<RunView | null> {
    try {
      return await this.client.call('runs.cancel', { session: this.session ?? '', run: run as RunId });
    } catch (error) {
      if (error instanceof ApiError && error.code === 'invalid_state') return null;
      throw error;
    }
  }
}

export const newSubmission = (): string => `cli_${randomUUID()}`;

/** While the server is away, waits and tries again: what is tried must be safe to repeat. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isAway = error instanceof ApiError && error.code === 'unavailable';
      if (!isAway || attempt === LIMITS.streamAttempts) throw error;
      await new Promise<void>((resolve) => time.timers.set(LIMITS.resendMs * 2 ** (attempt - 1), resolve));
    }
  }
}
