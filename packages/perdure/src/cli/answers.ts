/** A person's words as the answer that a wait takes, and a wait in words. */
import type { AnswerInput, WaitView } from '@perdure/contract';
import { raiseCommand, taintedText } from '@perdure/contract';
import { durationOf } from './duration.ts';
import { UsageError } from './exit.ts';
import { plain } from './render.ts';

/** `scope` and `for`: of `always`. */
export type AnswerMore = { note?: string; arguments?: string; content?: string; scope?: string; for?: string };

/** What may be said to each kind; null: it is not answered by a person. */
const CHOICES: { readonly [K in WaitView['kind']]: string | null } = {
  approval: 'approve, deny or always',
  question: 'the text of the answer',
  outcome: 'done, failed or retry',
  budget: 'tokens=N, usd=N or deny',
  tool: 'back or gone',
  callback: null,
  timer: null,
  child: null,
};

/** What may be said to a wait; null: it is not answered by a person. */
export function choicesOf({ kind, offer, shortage }: Pick<WaitView, 'kind' | 'offer' | 'shortage'>): string | null {
  if (kind === 'approval' && offer === undefined) return 'approve or deny';
  const command = raiseCommand(shortage?.account ?? '');
  return command === null ? CHOICES[kind] : `deny; or raise it: ${command}`;
}

/** Throws UsageError for words that this kind of wait does not take, and for more than it takes. */
export function answerOf(wait: WaitView, said: string, more: AnswerMore = {}): AnswerInput {
  const taken =
    { approval: ['note', 'arguments', 'scope', 'for'], outcome: ['note', 'content'] }[wait.kind as string] ?? [];
  for (const name of Object.keys(more))
    if (!taken.includes(name))
      throw new UsageError(
        `--${name} means nothing in the answer to ${wait.kind === 'approval' ? 'an' : 'a'} ${wait.kind}`,
      );
  const word = said.trim();
  const note = more.note === undefined ? {} : { note: more.note };
  switch (wait.kind) {
    case 'approval': {
      if (word === 'always' || word === 'a') return always(wait, more);
      if (more.scope !== undefined || more.for !== undefined)
        throw new UsageError('--scope and --for belong to always');
      const decision = oneOf(['approve', 'deny'], word, wait);
      return { decision, digest: wait.digest ?? '', ...note, ...edited(more, decision) };
    }
    case 'question':
      return { answer: chosen(wait, said) };
    case 'outcome': {
      const content = more.content === undefined ? {} : { content: more.content };
      return { outcome: oneOf(['done', 'failed', 'retry'], word, wait), ...content, ...note };
    }
    case 'budget':
      return word === 'deny' ? { decision: 'deny' } : { cap: capOf(wait, word) };
    case 'tool':
      return { decision: oneOf(['back', 'gone'], word, wait) };
    default:
      throw new UsageError(`${wait.id} waits for a ${wait.kind}: no person answers that`);
  }
}

const SCOPES = ['session', 'agent', 'tenant'] as const;

/** Approves this call, and like ones from now on: in this session where no other scope is named. */
function always(
  { id, digest = '', offer }: WaitView,
  { scope = 'session', for: lasting, note, ...more }: AnswerMore,
): AnswerInput {
  if (more.arguments !== undefined) throw new UsageError('always approves what was asked for: leave --arguments out');
  if (offer === undefined) throw new UsageError(`${id} can be approved this once only: say approve, or deny`);
  const named = SCOPES.find((each) => each === scope);
  if (named === undefined) throw new UsageError(`'${scope}' is no scope: say ${SCOPES.join(', ')}`);
  const grant = lasting === undefined ? { scope: named } : { scope: named, forMs: durationOf(lasting) };
  return { decision: 'approve', digest, grant, ...(note === undefined ? {} : { note }) };
}

function edited(more: AnswerMore, word: string): { arguments?: { [name: string]: unknown } } {
  if (more.arguments === undefined) return {};
  if (word !== 'approve') throw new UsageError('--arguments counts only with approve');
  let parsed: unknown;
  try {
    parsed = JSON.parse(more.arguments);
  } catch (error) {
    throw new UsageError(`--arguments is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new UsageError('--arguments is a JSON object');
  return { arguments: parsed as { [name: string]: unknown } };
}

/** One of the choices, by its text or by its number. */
function chosen({ choices = [] }: WaitView, said: string): string {
  if (choices.length === 0 || choices.includes(said)) return said;
  return choices[Number(said) - 1] ?? said;
}

function capOf(wait: WaitView, word: string): { tokens?: number; nanoUsd?: number } {
  const command = raiseCommand(wait.shortage?.account ?? '');
  if (command !== null)
    throw new UsageError(
      `${wait.id} waits for ${wait.shortage?.account}, which no answer raises: ${command}; or answer deny`,
    );
  const [, unit, amount] = /^(tokens|usd)=(\d+(?:\.\d+)?)$/.exec(word) ?? [];
  if (unit === 'tokens' && Number.isSafeInteger(Number(amount))) return { tokens: Number(amount) };
  if (unit === 'usd') return { nanoUsd: Math.round(Number(amount) * 1e9) };
  throw unfit(word, wait);
}

function oneOf<T extends string>(words: readonly T[], word: string, wait: WaitView): T {
  const short = words.find((candidate) => candidate === word || (word.length === 1 && candidate.startsWith(word)));
  const yes = { y: words[0], yes: words[0], n: words[1], no: words[1] }[wait.kind === 'approval' ? word : ''];
  const found = short ?? yes;
  if (found === undefined) throw unfit(word, wait);
  return found;
}

const unfit = (word: string, wait: WaitView): UsageError =>
  new UsageError(`'${word}' is no answer to ${wait.id}: it takes ${choicesOf(wait) ?? 'none'}`);

/** What waits, in a few words. */
export function described(wait: WaitView): string {
  const call = wait.call === undefined ? '' : `${wait.call.name} ${plain(wait.call.arguments)}`;
  switch (wait.kind) {
    case 'approval':
      return `approve ${call}${wait.call?.rule === undefined ? '' : ` (${wait.call.rule})`}${taintedText(wait.taint ?? [])}`;
    case 'question': {
      const choices = (wait.choices ?? []).map((choice, index) => `${index + 1} ${choice}`).join(', ');
      return `${wait.question ?? ''}${choices === '' ? '' : ` [${choices}]`}`;
    }
    case 'outcome':
      return `nobody knows whether ${call} happened (${wait.evidence ?? 'lost'})`;
    case 'budget':
      return `account ${wait.shortage?.account ?? ''} is short of ${wait.shortage?.limit ?? ''}`;
    case 'tool':
      return `the tool ${wait.call?.name ?? ''} is not defined here any more`;
    case 'callback':
      return `a result from outside is posted to ${wait.callback?.path ?? ''}`;
    case 'timer':
      return 'sleeps until its time has come';
    case 'child':
      return 'the run of another session';
    default: {
      const never: never = wait.kind;
      return never;
    }
  }
}
