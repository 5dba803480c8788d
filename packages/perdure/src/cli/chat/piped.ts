/** The shell without a terminal: lines are read, answers are written plainly, and what does not complete ends it. */
import { createInterface } from 'node:readline';
import type { SessionView } from '@perdure/contract';
import type { ExitCode } from '../exit.ts';
import { EXIT, UsageError } from '../exit.ts';
import { known } from '../failures.ts';
import { follow } from '../follow.ts';
import { print, tell } from '../output.ts';
import { TextRenderer } from '../render.ts';
import type { Conversation, RunId } from './conversation.ts';
import { newSubmission } from './conversation.ts';
import type { Input } from './terminal.ts';
import type { Shell } from './slash.ts';
import { slashOf } from './slash.ts';

export class Pipe implements Shell {
  readonly conversation: Conversation;
  readonly place: string;
  listed: string[] = [];
  /** How the last message ended. */
  #exit: ExitCode = EXIT.ok;
  #isLeaving = false;
  readonly #stopped: Promise<NodeJS.Signals>;

  constructor(given: { conversation: Conversation; place: string; stopped: Promise<NodeJS.Signals> }) {
    this.conversation = given.conversation;
    this.place = given.place;
    this.#stopped = given.stopped;
  }

  /** The codes of `run`: that of the first message that did not complete, else 0. A signal between two ends it, too. */
  async read(input: Input): Promise<ExitCode> {
    const lines = createInterface({ input, crlfDelay: Infinity });
    let isStopped = false;
    void this.#stopped.then(() => {
      isStopped = true;
      lines.close();
    });
    let parts: string[] = [];
    for await (const line of lines) {
      parts.push(line.endsWith('\\') ? line.slice(0, -1) : line);
      if (line.endsWith('\\')) continue;
      const text = parts.join('\n');
      parts = [];
      await this.#take(text);
      if (this.#exit !== EXIT.ok || this.#isLeaving) return this.#exit;
    }
    if (isStopped) return EXIT.interrupted;
    if (parts.length > 0) await this.#take(parts.join('\n'));
    return this.#exit;
  }

  async #take(text: string): Promise<void> {
    try {
      const found = slashOf(text);
      if (found !== null) await found.slash.do(this, found.rest);
      else if (text.trim() !== '') await this.say(text.startsWith('//') ? text.slice(1) : text, 'queue');
    } catch (error) {
      const words = error instanceof UsageError ? error.message : known(error);
      if (words === null) throw error;
      tell(`perdure: ${words}\n`);
      this.#exit = error instanceof UsageError ? EXIT.usage : EXIT.notAccepted;
    }
  }

  async say(text: string, mode: 'queue' | 'steer'): Promise<void> {
    const { client } = this.conversation;
    const { session, run, seq } = await this.conversation.say(text, newSubmission(), mode);
    this.#exit = await follow({
      client,
      session,
      run,
      after: seq - 1,
      bounds: { timeoutMs: null, maxEvents: Infinity },
      renderer: new TextRenderer({ messages: () => false }),
      ask: null,
      stopped: this.#stopped,
    });
  }

  tell = print;

  run(): { id: RunId; isActive: boolean } | null {
    const { lastRun } = this.conversation;
    return lastRun === null ? null : { id: lastRun, isActive: false };
  }

  async entered(view: SessionView | null): Promise<void> {
    if (view !== null) tell(`session ${view.id}\n`);
  }

  leave(): void {
    this.#isLeaving = true;
  }
}
