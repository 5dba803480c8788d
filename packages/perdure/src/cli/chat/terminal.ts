/**
 * A line of input below a stream of output, on one terminal. While a line is being typed the output is held back, so that
 * nothing is written into it; a message of several lines is typed with a backslash at the end of each but the last, or
 * pasted as it is.
 */
import type { Interface } from 'node:readline';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { LIMITS } from '../../limits.ts';

export type Typing = {
  /** A message, or a command. */
  line(text: string): void;
  /** Ctrl-C while nothing is typed. */
  interrupt(): void;
  /** Ctrl-D, or the terminal is gone. */
  left(): void;
};
export type Input = Readable & { isTTY?: boolean; setRawMode?(mode: boolean): unknown };
export type Output = NodeJS.WritableStream & { isTTY?: boolean };

const CONTINUED = '… ';
/** Stands before what is typed while something else goes on. */
const MEANWHILE = '+ ';
/** Tells the terminal to mark what is pasted (xterm's bracketed paste). */
const PASTE_MARKED = '\x1b[?2004h';
const PASTE_UNMARKED = '\x1b[?2004l';
const ERASE_LINE = '\r\x1b[J';

export class Terminal {
  readonly #input: Input;
  readonly #output: Output;
  readonly #typing: Typing;
  readonly #lines: Interface;
  #prompt: string | null = null;
  #remembers = true;
  /** The prompt stands on the screen, and behind it what is typed. */
  #isShown = false;
  #atLineStart = true;
  #held = '';
  /** Lines of a message that is not complete. */
  #parts: string[] = [];
  #isPasting = false;
  #isAway = false;
  #isClosed = false;

  /** `history`: newest first; `typed` is given what it became. */
  constructor(
    { input, output }: { input: Input; output: Output },
    history: string[],
    typing: Typing & { typed(history: string[]): void },
  ) {
    this.#input = input;
    this.#output = output;
    this.#typing = typing;
    const bounds = { historySize: LIMITS.historyLines, removeHistoryDuplicates: true };
    this.#lines = createInterface({ input, output, terminal: true, prompt: '', history, ...bounds });
    this.#lines.on('line', (text) => this.#took(text));
    this.#lines.on('SIGINT', () => this.#interrupted());
    this.#lines.on('close', () => typing.left());
    this.#lines.on('history', (lines: string[]) => {
      if (!this.#remembers) lines.shift();
      typing.typed(lines);
    });
    input.prependListener('keypress', this.#before);
    input.on('keypress', this.#after);
    if (output.isTTY === true) output.write(PASTE_MARKED);
  }

  /** Text goes where the last ended; behind a prompt it stands above it. */
  write(text: string): void {
    if (text === '' || this.#isClosed) return;
    if (this.#isBusy || this.#isAway) {
      this.#held += text;
      if (this.#held.length > LIMITS.heldChars && !this.#isAway) this.#interleave();
      return;
    }
    this.#hide();
    this.#put(text);
    if (this.#prompt !== null && this.#atLineStart) this.#show(this.#prompt);
  }

  /** What is asked for now; null: nothing, though a line may be typed all the same. `remember`: in the history. */
  prompt(text: string | null, { remember = true } = {}): void {
    if (text !== null && text === this.#prompt && this.#isShown) return;
    this.#prompt = text;
    this.#remembers = remember;
    if (this.#isBusy || this.#isAway || this.#isClosed) return;
    this.#hide();
    if (text === null) return;
    if (!this.#atLineStart) this.#put('\n');
    this.#show(text);
  }

  /** Leaves the terminal to another program meanwhile. */
  async lend<T>(work: () => Promise<T>): Promise<T> {
    this.#hide();
    this.#isAway = true;
    this.#lines.pause();
    this.#input.setRawMode?.(false);
    try {
      return await work();
    } finally {
      this.#input.setRawMode?.(true);
      this.#lines.resume();
      this.#isAway = false;
      this.#flush();
    }
  }

  /** Gives the terminal back as it was. Idempotent; what comes later is not shown. */
  close(): void {
    if (this.#isClosed) return;
    this.#hide();
    this.#isClosed = true;
    if (!this.#atLineStart) this.#put('\n');
    this.#put(this.#held);
    if (!this.#atLineStart) this.#put('\n');
    this.#input.off('keypress', this.#before);
    this.#input.off('keypress', this.#after);
    if (this.#output.isTTY === true) this.#output.write(PASTE_UNMARKED);
    this.#lines.close();
  }

  /** A line is being typed. */
  get #isBusy(): boolean {
    return this.#lines.line !== '' || this.#parts.length > 0 || this.#isPasting;
  }

  readonly #before = (_text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    if (this.#isAway) return;
    if (key.name === 'paste-start') this.#isPasting = true;
    if (key.name === 'paste-end') this.#isPasting = false;
    const isCommand = key.ctrl === true && (key.name === 'c' || key.name === 'd');
    if (this.#isShown || isCommand) return;
    if (!this.#atLineStart) this.#put('\n');
    this.#show(this.#parts.length > 0 ? CONTINUED : (this.#prompt ?? MEANWHILE));
  };

  readonly #after = (): void => {
    if (this.#isBusy || this.#isAway) return;
    if (this.#prompt === null) this.#hide();
    this.#flush();
  };

  #took(text: string): void {
    this.#isShown = false;
    this.#atLineStart = true;
    const isContinued = this.#isPasting || text.endsWith('\\');
    this.#parts.push(isContinued && !this.#isPasting ? text.slice(0, -1) : text);
    if (isContinued) return this.#show(CONTINUED);
    const whole = this.#parts.join('\n');
    this.#parts = [];
    // Whoever takes it says what is asked for next.
    this.#prompt = null;
    this.#typing.line(whole);
  }

  #interrupted(): void {
    if (!this.#isBusy) return this.#typing.interrupt();
    this.#parts = [];
    this.#isPasting = false;
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#put('^C\n');
    this.#isShown = false;
    this.prompt(this.#prompt, { remember: this.#remembers });
    this.#flush();
  }

  /** More waits than is kept: it is written above the line that is typed. */
  #interleave(): void {
    this.#output.write(ERASE_LINE);
    this.#put(this.#held.endsWith('\n') ? this.#held : `${this.#held}\n`);
    this.#held = '';
    this.#lines.prompt(true);
    this.#atLineStart = false;
  }

  #flush(): void {
    const held = this.#held;
    this.#held = '';
    this.write(held);
  }

  #show(prompt: string): void {
    this.#lines.setPrompt(prompt);
    this.#lines.prompt(true);
    this.#isShown = true;
    this.#atLineStart = false;
  }

  #hide(): void {
    if (!this.#isShown) return;
    this.#output.write(ERASE_LINE);
    this.#isShown = false;
    this.#atLineStart = true;
  }

  #put(text: string): void {
    this.#output.write(text);
    this.#atLineStart = text.endsWith('\n');
  }
}
