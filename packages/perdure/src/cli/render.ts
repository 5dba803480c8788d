/** A stream as people read it: answers on standard output, what happens in between on standard error. */
import type { Delta, Entry, TurnBody } from '@perdure/contract';
import { becauseOf, noBodies, passedOn, readMessage, readResult, readTurn, routeOf, textOf } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import { oneLine, print, printJson, styled, tell, visible } from './output.ts';

export interface Renderer {
  entry(entry: Entry): void;
  delta(delta: Delta): void;
  /** Ends a line that was begun. */
  rest(): void;
}

/** Says only why a run did not complete. */
export const silent: Renderer = {
  entry: (entry) => {
    if (entry.kind === 'run.ended' && entry.data.status !== 'completed') tell(`perdure: ${endOf(entry.data)}\n`);
  },
  delta: () => undefined,
  rest: () => undefined,
};

/** Events as they are, one a line; a delta has its kind like an entry. */
export const jsonLines: Renderer = {
  entry: printJson,
  delta: (delta) => printJson({ kind: 'delta', ...delta }),
  rest: () => undefined,
};

/** Where text goes. */
export type Paper = { print(text: string): void; tell(text: string): void };

type Said = { attempt: number; text: string };

/** Streams answers as they are made. `messages`: which of those that people sent are shown as well, by submission. */
export class TextRenderer implements Renderer {
  readonly #messages: (submission: string) => boolean;
  readonly #paper: Paper;
  readonly #said = new Map<string, Said>();
  readonly #turns = new Map<string, TurnBody>();
  /** Of the last pin; how many of it were passed over in the run that goes on. */
  #route: readonly string[] = [];
  #passed = 0;
  #atLineStart = true;

  constructor({ messages, paper = { print, tell } }: { messages: (submission: string) => boolean; paper?: Paper }) {
    this.#messages = messages;
    this.#paper = paper;
  }

  delta({ effect, attempt, part, offset, text }: Delta): void {
    if (part !== 'text') return;
    const before = this.#said.get(effect);
    if (before !== undefined && before.attempt > attempt) return;
    const said = before?.attempt === attempt ? before : { attempt, text: '' };
    if (before !== undefined && said !== before) this.rest();
    this.#said.set(effect, said);
    // What would leave a gap waits for the entry.
    if (offset > said.text.length) return;
    const fresh = text.slice(said.text.length - offset);
    said.text += fresh;
    this.#out(fresh);
  }

  entry(entry: Entry): void {
    switch (entry.kind) {
      case 'run.queued':
      case 'run.steered':
        if (this.#messages(entry.data.submission))
          this.#line(`> ${textOf(readMessage(entry.data.message, noBodies)?.parts ?? [])}`);
        return;
      case 'run.started':
        if (entry.data.pin !== undefined) this.#route = routeOf(entry.data.pin);
        this.#passed = 0;
        return;
      case 'turn.requested':
        return this.#requested(entry.data);
      case 'turn.settled':
        if (entry.data.outcome === 'done') this.#turn(entry.effect ?? '', readTurn(entry.data.body, noBodies));
        return;
      case 'turn.attempted':
        return this.#note(
          entry.data.resume === undefined
            ? `the model call is tried again (${entry.data.reason})`
            : `the model's answer is asked for again (${entry.data.reason})`,
        );
      case 'call.requested':
        return this.#called(entry.effect ?? '', entry.data.name, entry.data.index);
      case 'call.attempted':
        if (entry.data.n > 1) this.#note(`tried again (${entry.data.reason})`);
        return;
      case 'call.settled': {
        const { outcome, code, result } = entry.data;
        const content = readResult(result, noBodies)?.content;
        const shown = content === undefined ? '' : `: ${plain(content)}`;
        return this.#note(`${outcome}${code === undefined ? '' : ` (${code})`}${shown}`, '  ');
      }
      case 'wait.opened':
        return this.#note(`waits for ${entry.data.kind} (${entry.data.wait})`, '  ');
      case 'compaction.settled':
        return this.#compacted(entry.data);
      case 'context.restored':
        return this.#note(
          `${entry.data.model} cannot read what stands for the conversation so far, and reads all of it`,
        );
      case 'run.ended':
        this.rest();
        if (entry.data.status !== 'completed') this.#note(endOf(entry.data));
        return;
      default:
    }
  }

  rest(): void {
    if (!this.#atLineStart) this.#out('\n');
  }

  #requested({ model, passed = [], repair }: Extract<Entry, { kind: 'turn.requested' }>['data']): void {
    if (repair === true) this.#note('the answer does not fit its schema and is asked for again');
    if (model === undefined || passed.length === this.#passed) return;
    this.#passed = passed.length;
    this.#note(
      `goes on with ${model}${this.#route.length === 0 ? '' : ` ${becauseOf(passedOn(this.#route, passed))}`}`,
    );
  }

  #compacted(end: Extract<Entry, { kind: 'compaction.settled' }>['data']): void {
    if (end.outcome === 'done') this.#note('the conversation so far is summarised: its model reads on from there');
    if (end.outcome !== 'failed') return;
    const next = end.again === true ? 'somebody else tries it' : 'goes on as it is';
    this.#note(`the conversation is not summarised (${end.code}), and ${next}`);
  }

  /** The entry has the last word: what was not streamed is written now. */
  #turn(effect: string, body: TurnBody | undefined): void {
    const said = this.#said.get(effect)?.text ?? '';
    this.#said.delete(effect);
    if (body !== undefined) {
      this.#turns.set(effect, body);
      if (body.text.startsWith(said)) this.#out(body.text.slice(said.length));
      else this.#line(body.text);
    } else if (said === '') this.#note('what it said is too long for the stream: perdure sessions show has it');
    this.rest();
  }

  #called(effect: string, name: string, index: number): void {
    const turn = effect.replace(/c\d+$/, '');
    const asked = this.#turns.get(turn)?.calls[index]?.arguments ?? '';
    this.#note(`${name} ${oneLine(asked, LIMITS.shownChars)}`);
  }

  #line(text: string): void {
    this.rest();
    this.#out(`${text}\n`);
  }

  #out(given: string): void {
    const text = visible(given);
    if (text === '') return;
    this.#paper.print(text);
    this.#atLineStart = text.endsWith('\n');
  }

  #note(text: string, indent = ''): void {
    this.rest();
    this.#paper.tell(`${styled('dim', `${indent}· ${visible(text)}`)}\n`);
  }
}

function endOf(end: { status: string; reason?: string; detail?: string }): string {
  const reason = end.reason === undefined ? '' : `: ${end.reason}`;
  return `the run ended ${end.status}${reason}${end.detail === undefined ? '' : ` (${end.detail})`}`;
}

export function plain(content: unknown): string {
  return oneLine(typeof content === 'string' ? content : JSON.stringify(content), LIMITS.shownChars);
}
