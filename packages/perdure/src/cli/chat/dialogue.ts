/** Puts one wait to the person at the terminal, and reads what is said to it. */
import type { AnswerInput, WaitView } from '@perdure/contract';
import { raiseCommand, taintedText } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import type { AnswerMore } from '../answers.ts';
import { answerOf, described } from '../answers.ts';
import { UsageError } from '../exit.ts';
import { dateTime, oneLine, visible } from '../output.ts';

/** What follows from a line: an answer to send, arguments to edit elsewhere first, or something to show. */
export type Move = { do: 'answer'; answer: AnswerInput } | { do: 'edit'; text: string } | { do: 'show'; text: string };

/** Waits that nobody at a terminal answers: they are explained, and pass by themselves or from outside. */
export const isPassive = ({ kind }: Pick<WaitView, 'kind'>): boolean =>
  kind === 'timer' || kind === 'callback' || kind === 'child';

const PROMPTS: { readonly [K in WaitView['kind']]?: string } = {
  approval: 'approve, deny or edit? ',
  question: 'answer: ',
  outcome: 'done, failed or retry? ',
  budget: 'tokens=N, usd=N or deny? ',
  tool: 'back or gone? ',
};

const HINTS: { readonly [K in WaitView['kind']]?: string } = {
  approval: 'approve or deny, with a note behind it if you like; edit, or edit {…}, changes the arguments first',
  outcome: 'done or failed, with what the model is told behind it; or retry',
  budget: 'tokens=N or usd=N is the new cap as a whole; deny lets the run end',
  tool: 'back when the tool is defined again, gone to go on without it',
};

export class Dialogue {
  readonly wait: WaitView;
  /** What an approver has made of the arguments. */
  #edited: { [name: string]: unknown } | null = null;

  constructor(wait: WaitView) {
    this.wait = wait;
  }

  get prompt(): string {
    const { kind, offer, shortage } = this.wait;
    if (kind === 'approval' && offer !== undefined) return 'approve, deny, always or edit? ';
    return raiseCommand(shortage?.account ?? '') === null ? (PROMPTS[kind] ?? '') : 'deny? ';
  }

  /** What waits, with everything that is needed to decide. */
  text(): string {
    const { wait } = this;
    const until = wait.expiresAt === undefined ? '' : `  until ${dateTime(wait.expiresAt)} UTC\n`;
    return `${title(wait)}${until}${tainted(wait)}${hint(wait)}`;
  }

  /** Throws UsageError when the line is no answer to this. */
  take(line: string): Move {
    const { kind } = this.wait;
    if (kind === 'question') {
      const said = line.startsWith('//') ? line.slice(1) : line;
      if (said.trim() === '') throw new UsageError('type an answer');
      return { do: 'answer', answer: answerOf(this.wait, said) };
    }
    const [, word = '', rest = ''] = /^\s*(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
    if (kind === 'approval') return this.#approval(word, rest.trim());
    const content = rest.trim();
    const more = kind === 'outcome' && content !== '' ? { content } : {};
    return { do: 'answer', answer: answerOf(this.wait, kind === 'outcome' ? word : line, more) };
  }

  /** Takes the arguments that are to be approved instead. Throws UsageError for what is no object. */
  edit(text: string): Move {
    const answer = answerOf(this.wait, 'approve', { arguments: text });
    this.#edited = 'arguments' in answer ? (answer.arguments ?? null) : null;
    return { do: 'show', text: `edited, to be approved:\n${pretty(this.#edited)}` };
  }

  /** `always agent 7d because of …`: a scope, a time and a note, each of which may be left out. */
  #always(said: string): Move {
    if (this.#edited !== null) throw new UsageError('always approves what was asked for, not what you edited');
    const more: AnswerMore = {};
    let rest = said;
    const take = (form: RegExp): string | undefined => {
      const found = form.exec(rest)?.[1];
      if (found !== undefined) rest = rest.slice(found.length).trimStart();
      return found;
    };
    const scope = take(/^(session|agent|tenant)(?:\s|$)/);
    const lasting = take(/^(\d+[smhd])(?:\s|$)/);
    if (scope !== undefined) more.scope = scope;
    if (lasting !== undefined) more.for = lasting;
    if (rest !== '') more.note = rest;
    return { do: 'answer', answer: answerOf(this.wait, 'always', more) };
  }

  #approval(word: string, rest: string): Move {
    if (word === 'edit' || word === 'e') {
      if (rest !== '') return this.edit(rest);
      return { do: 'edit', text: `${JSON.stringify(this.#edited ?? this.wait.call?.arguments ?? {}, null, 2)}\n` };
    }
    if (word === 'always' || word === 'a') return this.#always(rest);
    const note = rest === '' ? {} : { note: rest };
    const answer = answerOf(this.wait, word, note);
    const isApproved = 'decision' in answer && answer.decision === 'approve';
    if (!isApproved || this.#edited === null) return { do: 'answer', answer };
    return { do: 'answer', answer: answerOf(this.wait, word, { ...note, arguments: JSON.stringify(this.#edited) }) };
  }
}

function title(wait: WaitView): string {
  const { call, question, choices = [] } = wait;
  if (wait.kind === 'approval' && call !== undefined) {
    const rule = call.rule === undefined ? '' : ` (${visible(call.rule)})`;
    return `approve ${visible(call.name)}, ${call.class}${rule}\n${pretty(call.arguments)}`;
  }
  if (wait.kind === 'question')
    return `${visible(question ?? '')}\n${choices.map((choice, index) => `  ${index + 1} ${visible(choice)}\n`).join('')}`;
  return `${visible(described(wait))}\n`;
}

function tainted({ taint = [] }: WaitView): string {
  const text = taintedText(taint).trim();
  return text === '' ? '' : `  ${visible(text)}\n`;
}

function hint({ kind, offer, shortage }: WaitView): string {
  const command = raiseCommand(shortage?.account ?? '');
  if (command !== null) return `  (raise it elsewhere: ${command}; deny lets the run end)\n`;
  const isOffered = kind === 'approval' && offer !== undefined;
  const text = isOffered
    ? `${HINTS.approval}; always allows ${visible(oneLine(offerText(offer), LIMITS.shownChars))} from now on in this session, always agent 7d of this agent for a week`
    : HINTS[kind];
  return text === undefined ? '' : `  (${text})\n`;
}

/** What `always` would allow. */
function offerText({ tool, command = [], paths = [], hosts = [] }: NonNullable<WaitView['offer']>): string {
  const named = [typeof command === 'string' ? command : command.join(', '), paths.join(', '), hosts.join(', ')];
  return [tool, ...named.filter((part) => part !== '')].join(' on ');
}

/** Arguments as people read them, so many lines of them. */
function pretty(value: unknown): string {
  const lines = (typeof value === 'string' ? value : JSON.stringify(value, null, 2)).split('\n');
  const shown = lines.slice(0, LIMITS.argumentLines).map((line) => `  ${visible(line)}\n`);
  const rest = lines.length - shown.length;
  return `${shown.join('')}${rest > 0 ? `  … ${rest} more lines: edit shows all\n` : ''}`;
}
