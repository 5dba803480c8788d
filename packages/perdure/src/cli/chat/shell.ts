/**
 * The shell at a terminal. Two things come in at any time, lines and events; each is taken whole before the next, and
 * after each the prompt says what may be typed now.
 */
import type { SessionEvent, SessionView, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Environment } from '../../settings.ts';
import { known } from '../failures.ts';
import { UsageError } from '../exit.ts';
import { visible } from '../output.ts';
import { TextRenderer } from '../render.ts';
import type { Conversation, RunId } from './conversation.ts';
import { newSubmission } from './conversation.ts';
import type { Move } from './dialogue.ts';
import { Dialogue, isPassive } from './dialogue.ts';
import { edited, editorOf } from './editor.ts';
import { followSession } from './follower.ts';
import type { Shell } from './slash.ts';
import { slashOf } from './slash.ts';
import { Standing } from './standing.ts';
import type { Terminal, Typing } from './terminal.ts';

export type ChatOptions = {
  conversation: Conversation;
  place: string;
  env: Environment;
  /** Makes the terminal that lines come from. */
  open: (typing: Typing) => Terminal;
  /** The session that the shell is in now. */
  entered: (session: string) => void;
};

const PROMPT = '> ';

export class Chat implements Shell {
  readonly conversation: Conversation;
  readonly place: string;
  listed: string[] = [];
  /** Resolves when the person leaves; rejects with what nobody foresaw. */
  readonly left: Promise<void>;
  readonly #env: Environment;
  readonly #entered: (session: string) => void;
  readonly #terminal: Terminal;
  #renderer: TextRenderer;
  #standing = new Standing(0);
  #following: AbortController | null = null;
  #dialogue: Dialogue | null = null;
  /** Waits that were answered or explained here. */
  readonly #done = new Set<string>();
  /** Messages that were typed here: they are on the screen already. */
  readonly #own = new Set<string>();
  /** Lines that were entered and are not dealt with. */
  #untaken = 0;
  #wasInterrupted = false;
  #work: Promise<void> = Promise.resolve();
  #leave: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor({ conversation, place, env, open, entered }: ChatOptions) {
    this.conversation = conversation;
    this.place = place;
    this.#env = env;
    this.#entered = entered;
    this.left = new Promise((resolve, reject) => {
      this.#leave = resolve;
      this.#fail = reject;
    });
    this.#terminal = open({
      line: (text) => {
        this.#untaken += 1;
        void this.#take(async () => this.#line(text).finally(() => (this.#untaken -= 1)));
      },
      interrupt: () => this.interrupt(),
      left: () => this.leave(),
    });
    this.#renderer = this.#newRenderer();
  }

  tell = (text: string): void => {
    this.#renderer.rest();
    this.#terminal.write(text);
  };

  run(): { id: RunId; isActive: boolean } | null {
    const { active, last } = this.#standing;
    const id = active ?? last ?? this.conversation.lastRun;
    return id === null ? null : { id, isActive: id === active };
  }

  leave(): void {
    this.#following?.abort();
    this.#leave();
  }

  /** Gives the terminal back. Whether a run is left behind. */
  close(): { isBusy: boolean } {
    this.#renderer.rest();
    this.#terminal.close();
    return { isBusy: this.#standing.isBusy };
  }

  /** Ctrl-C, or the signal: cancels what runs; a second one leaves. */
  interrupt(): void {
    if (this.#wasInterrupted) return this.leave();
    this.#wasInterrupted = true;
    const { active, isBusy } = this.#standing;
    const run = active ?? (isBusy ? this.conversation.lastRun : null);
    if (run === null) return this.tell('Ctrl-C again leaves, as Ctrl-D does\n');
    this.tell('cancelling; Ctrl-C again leaves\n');
    // Not in line behind what is being done: that may be what is to be stopped.
    void this.conversation.cancel(run).catch((error: unknown) => this.#report(error));
  }

  async say(text: string, mode: 'queue' | 'steer'): Promise<void> {
    const { conversation } = this;
    const submission = newSubmission();
    this.#own.add(submission);
    const before = conversation.session;
    const wasBusy = this.#standing.isBusy;
    const sent = await conversation.say(text, submission, mode);
    if (before === null) this.#follow(sent.session, 0);
    this.#standing.accepted(sent.seq);
    if (wasBusy && mode === 'queue') this.tell(`queued as ${sent.run}\n`);
  }

  /** Begins; `view`: the session that is gone on with. */
  async start(view: SessionView | null): Promise<void> {
    await this.#take(async () => this.entered(view));
  }

  async entered(view: SessionView | null): Promise<void> {
    this.#following?.abort();
    this.#dialogue = null;
    this.#done.clear();
    this.#standing = new Standing(0);
    if (view === null) {
      this.tell(
        `the next message opens a session with ${this.conversation.agent ?? 'the first agent that is defined'}\n`,
      );
      return;
    }
    const title = view.title === '' ? '' : `: ${visible(view.title)}`;
    this.tell(`session ${view.id} with ${view.agent}${title}\n`);
    this.#follow(view.id, await this.#lastRunFrom(view));
  }

  /** Shows what came last in a session, or all that is unfinished. */
  async #lastRunFrom({ id: session, head, activeRun }: SessionView): Promise<number> {
    const { client } = this.conversation;
    const after = Math.max(0, head - 100);
    const { events } = await client.call('events.list', { session, after, limit: 100 });
    const run = activeRun ?? events.findLast((entry) => entry.run !== undefined)?.run;
    if (run === undefined) return head;
    return (await client.call('runs.get', { session, run: run as RunId })).seq - 1;
  }

  #follow(session: string, after: number): void {
    const abort = new AbortController();
    this.#following = abort;
    this.#renderer = this.#newRenderer();
    this.#standing = new Standing(after);
    this.#entered(session);
    const watcher = {
      event: async (event: SessionEvent) => this.#take(async () => this.#event(event, abort.signal)),
      away: (isAway: boolean) =>
        this.tell(isAway ? 'the server is away: waiting for it\n' : 'the server is there again\n'),
    };
    const given = { after, signal: abort.signal, watcher };
    void followSession(this.conversation.client, session, given).catch((error: unknown) => this.#report(error));
  }

  #newRenderer(): TextRenderer {
    const write = (text: string): void => this.#terminal.write(text);
    return new TextRenderer({
      messages: (submission) => !this.#own.delete(submission),
      paper: { print: write, tell: write },
    });
  }

  /** One thing after the other. */
  async #take(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work).catch((error: unknown) => this.#report(error));
    this.#work = done.then(() => this.#ask());
    return this.#work;
  }

  /** What was refused or went wrong is told; what nobody foresaw ends the shell. */
  #report(error: unknown): void {
    const text = error instanceof UsageError ? error.message : known(error);
    const isForeseen = error instanceof UsageError || text !== null || (error instanceof Error && 'exit' in error);
    if (!isForeseen) return this.#fail(error);
    this.tell(`${visible(text ?? (error as Error).message)}\n`);
  }

  async #line(text: string): Promise<void> {
    this.#wasInterrupted = false;
    const found = slashOf(text);
    if (found !== null) return found.slash.do(this, found.rest);
    if (this.#dialogue !== null) return this.#answer(this.#dialogue, text);
    if (text.trim() === '') return;
    await this.say(text.startsWith('//') ? text.slice(1) : text, 'queue');
  }

  async #event(event: SessionEvent, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#standing.take(event);
    if (event.type === 'delta') this.#renderer.delta(event.delta);
    if (event.type === 'entry') this.#renderer.entry(event.entry);
    if (event.type === 'resync') this.tell(`entries up to ${event.after} are passed by: ${event.reason}\n`);
    if (event.type === 'entry' && event.entry.kind === 'wait.resolved') this.#resolved(event.entry.data);
    if (event.type !== 'end') return;
    this.tell('the session is closed\n');
    this.conversation.renew();
    await this.entered(null);
  }

  #resolved({ wait, how }: { wait: string; how: string }): void {
    if (this.#dialogue?.wait.id !== wait) return;
    this.#dialogue = null;
    this.tell(how === 'answered' ? 'it was answered elsewhere\n' : `it is ${how}\n`);
  }

  /** Puts the next wait to the person, and says what may be typed. */
  async #ask(): Promise<void> {
    if (this.#standing.isLive && this.#dialogue === null)
      await this.#next().catch((error: unknown) => this.#report(error));
    if (this.#untaken > 0) return this.#terminal.prompt(null);
    if (this.#dialogue !== null) return this.#terminal.prompt(this.#dialogue.prompt, { remember: false });
    const isReady = this.conversation.session === null || this.#standing.isLive;
    this.#terminal.prompt(isReady && !this.#standing.isBusy ? PROMPT : null);
  }

  async #next(): Promise<void> {
    const open = this.#standing.waits.filter(({ id }) => !this.#done.has(this.#nameOf(id)));
    if (open.length === 0) return;
    const { client, session } = this.conversation;
    const { waits } = await client.call('waits.list', { session: session ?? '', limit: 1_000 });
    for (const { id } of open) {
      const view = waits.find((wait) => wait.id === id);
      // It is over already: the stream will say so.
      if (view === undefined) continue;
      const dialogue = new Dialogue(view);
      this.tell(dialogue.text());
      if (isPassive(view)) this.#done.add(this.#nameOf(id));
      else {
        this.#dialogue = dialogue;
        return;
      }
    }
  }

  #nameOf(wait: string): string {
    return `${this.conversation.session ?? ''}.${wait}`;
  }

  async #answer(dialogue: Dialogue, text: string): Promise<void> {
    const move = dialogue.take(text);
    const done = move.do === 'edit' ? await this.#edit(dialogue, move.text) : move;
    if (done.do === 'show') return this.tell(done.text);
    if (done.do === 'edit') return;
    await this.#resolve(dialogue.wait, done.answer);
  }

  async #edit(dialogue: Dialogue, text: string): Promise<Move> {
    const editor = editorOf(this.#env);
    if (editor === null) throw new UsageError('EDITOR names no editor: give the arguments here, as edit {…}');
    return dialogue.edit(await this.#terminal.lend(async () => edited(editor, text)));
  }

  async #resolve(wait: WaitView, answer: Extract<Move, { do: 'answer' }>['answer']): Promise<void> {
    const { client, session } = this.conversation;
    try {
      const { seq } = await client.call('waits.resolve', {
        session: session ?? '',
        wait: wait.id as `w${number}`,
        answer,
      });
      this.#standing.accepted(seq);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'wait_resolved')) throw error;
      this.tell('it was answered elsewhere\n');
    }
    this.#done.add(this.#nameOf(wait.id));
    this.#dialogue = null;
  }
}
