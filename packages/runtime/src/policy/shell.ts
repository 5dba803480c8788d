/**
 * What a script of bash would run, as far as that can be told without running it.
 *
 * H1 What is allowed is what is understood: a command is `plain` only where its name is written out, it sets nothing, it
 *    writes nowhere, it runs nothing else, and all of the script around it was read.
 * H2 What is denied is found wherever it may stand: behind `env`, in `$(…)`, in `sh -c '…'`, in a function; and where the
 *    script cannot be read to its end (`clear: false`), nobody can say that it is not there.
 */
import type {
  Assignment,
  Command,
  DoubleQuotedChild,
  ParameterExpansionPart,
  Redirection,
  SyntaxNode,
  Word,
} from 'unbash';
import { forEachChild, parse } from 'unbash';
import { LIMITS } from '../limits.ts';
import { Counted, isNumber } from './arithmetic.ts';
import type { Words } from './options.ts';
import { UNKNOWN } from './options.ts';
import { carriedBy, expands, isPlain, readsVariables, setsVariables } from './programs.ts';
import { assignmentOf, isHarmless, kindOf } from './variables.ts';

/** One simple command. `null` in its words: known only when it runs. */
export type ShellCommand = {
  words: readonly (string | null)[];
  /** It runs as it is written, and does nothing besides. */
  plain: boolean;
  /** Another command of the script runs it. */
  carried: boolean;
};
export type ShellScript = {
  /** Nothing in it is hidden. */
  clear: boolean;
  /** All of it is commands, in constructs that add nothing of their own. */
  plain: boolean;
  commands: readonly ShellCommand[];
  /** Every word in it, what it reads and writes included; `null` for one that is known only when it runs. */
  texts: readonly (string | null)[];
};

/** Constructs that run the commands in them, and nothing else; `for` and `select` set a variable, which may be `PATH`. */
const TRANSPARENT: ReadonlySet<SyntaxNode['type']> = new Set<SyntaxNode['type']>([
  'Script',
  'Statement',
  'CompoundList',
  'Pipeline',
  'AndOr',
  'Negation',
  'Time',
  'Subshell',
  'BraceGroup',
  'If',
  'Elif',
  'While',
  'Case',
  'CaseItem',
  'Function',
  'Command',
  'Redirected',
  'Word',
  'Literal',
  'Glob',
  'SingleQuoted',
  'DoubleQuoted',
  'AnsiCQuoted',
  'LocaleString',
  'SimpleExpansion',
  'ParameterExpansion',
  'CommandExpansion',
  'ProcessSubstitution',
  'ExtendedGlob',
  'BraceExpansion',
  'Assignment',
  'Redirect',
  'HereString',
  'HereDoc',
  'HereDocDelimiter',
  'HereDocBody',
  'FileDescriptor',
  'Default',
  'Remove',
  'Replace',
  'Slice',
  'CaseModification',
]);

/** Reads a script. Never throws: what it cannot read is not clear. */
export function readScript(text: string): ShellScript {
  return new Reading().read(text, 0);
}

// oxlint-disable-next-line no-control-regex -- a shell drops some of these, and a terminal hides them
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/;

class Reading {
  readonly #commands: ShellCommand[] = [];
  readonly #texts: (string | null)[] = [];
  readonly #counted = new Counted();
  #clear = true;
  #plain = true;

  read(text: string, depth: number): ShellScript {
    this.#script(text, depth);
    if (this.#counted.hides) this.#clear = false;
    return { clear: this.#clear, plain: this.#clear && this.#plain, commands: this.#commands, texts: this.#texts };
  }

  #script(text: string, depth: number): void {
    const isLong = text.length > LIMITS.shellChars || this.#commands.length > LIMITS.shellCommands;
    if (isLong || depth > LIMITS.shellDepth || CONTROL.test(text)) {
      this.#clear = false;
      return;
    }
    try {
      this.#visit(parse(text), depth);
    } catch {
      this.#clear = false;
    }
  }

  #visit(node: SyntaxNode, depth: number): void {
    if (!TRANSPARENT.has(node.type)) this.#plain = false;
    if (hides(node)) this.#clear = false;
    if (node.type === 'Word') {
      const text = wordOf(node);
      this.#texts.push(text);
      // What expands a word once more, such as an index or `((…))`, runs what stands in its brackets.
      if (text !== null && expands(text)) this.#clear = false;
    }
    if (node.type === 'Redirected' && node.redirects.some(writes)) this.#plain = false;
    this.#sets(node, depth);
    this.#counted.visit(node);
    if (node.type === 'Command') this.#command(node, depth);
    forEachChild(node, (child) => {
      this.#visit(child, depth);
    });
  }

  /** Variables that a construct sets. */
  #sets(node: SyntaxNode, depth: number): void {
    if (node.type === 'Assignment') {
      const value = valueOf(node);
      this.#set(node.name, value, depth);
      if (value === null && !(node.value.type === 'Word' && isNumber(node.value))) this.#counted.sets(node.name);
    } else if (node.type === 'For' || node.type === 'Select') {
      this.#set(node.name.text, null, depth);
      const words = node.wordlist ?? [];
      const isKnown = words.length > 0 && words.every((word) => wordOf(word) !== null || isNumber(word));
      if (!isKnown || node.type === 'Select') this.#counted.sets(node.name.text);
    } else if (node.type === 'ParameterExpansion' && setsDefault(node)) {
      this.#set(node.parameter, null, depth);
      this.#counted.sets(node.parameter);
    }
  }

  #command(node: Command, depth: number): void {
    const words = [...(node.name === undefined ? [] : [nameOf(node.name)]), ...node.args.map(wordOf)];
    if (words.length === 0) {
      // Alone, an assignment or a redirection changes what follows.
      this.#plain = false;
      return;
    }
    const changes = node.prefix.some(({ type }) => type === 'Assignment') || node.redirects.some(writes);
    this.#commands.push({ words, plain: isPlain(words) && !changes, carried: depth > 0 });
    // What follows may be run by another name, or in another place.
    if (setsVariables(words)) this.#plain = false;
    // What a word sets that the parser has read as an assignment is looked at as that.
    this.#behind(
      [words[0] ?? null, ...node.args.flatMap((arg) => (arg.type === 'Word' ? [argumentOf(arg)] : []))],
      depth,
    );
  }

  /** What a command runs besides the program of its first word. */
  #behind(words: Words, depth: number): void {
    const carried = depth > LIMITS.shellDepth ? null : carriedBy(words);
    if (carried === null) {
      this.#clear = false;
      return;
    }
    if (readsVariables(words)) for (const name of ['REPLY', 'MAPFILE', 'OPTARG']) this.#counted.sets(name);
    for (const word of carried.sets) {
      const set = assignmentOf(word);
      if (set === null) continue;
      this.#set(set.name, set.value, depth);
      if (set.value === null && readsVariables(words)) this.#counted.sets(set.name);
    }
    for (const script of carried.scripts) this.#script(script, depth + 1);
    for (const command of carried.commands) {
      const words = command.map((word) => (word?.includes(UNKNOWN) === true ? null : word));
      this.#commands.push({ words, plain: isPlain(words), carried: true });
      this.#behind(command, depth + 1);
    }
  }

  /** A variable is set; null: to what is known only when it runs. */
  #set(name: string, value: string | null, depth: number): void {
    if (value !== null && expands(value)) this.#clear = false;
    const kind = kindOf(name);
    if (kind === null) return;
    if (value === null || (kind === 'code' && !isHarmless(value))) this.#clear = false;
    else if (kind === 'command') this.#script(value, depth + 1);
  }
}

/** What the parser has met and could not read, or what becomes code only when it runs. */
function hides(node: SyntaxNode): boolean {
  switch (node.type) {
    case 'Script':
      return 'errors' in node && (node.errors?.length ?? 0) > 0;
    case 'CommandExpansion':
    case 'ProcessSubstitution':
      return node.script === undefined;
    case 'ArithmeticExpansion':
    case 'ArithmeticCommand':
      return node.expression === undefined;
    case 'ParameterExpansion':
      return node.prefix === '!' || node.operation?.type === 'Unknown' || node.operation?.type === 'Transform';
    default:
      return false;
  }
}

/** A redirection to anything but another descriptor or nowhere may write. */
function writes(redirection: Redirection): boolean {
  if (redirection.type !== 'Redirect') return false;
  const target = redirection.target === undefined ? null : wordOf(redirection.target);
  if (target === '/dev/null') return false;
  if (redirection.operator === '>&' || redirection.operator === '<&')
    return target === null || !/^(?:\d+|-)$/.test(target);
  return true;
}

const FIXED: ReadonlySet<string> = new Set(['Literal', 'SingleQuoted', 'AnsiCQuoted', 'DoubleQuoted']);

/** The text of a word that is the same whenever it runs. */
function wordOf(word: Word | Assignment): string | null {
  if (word.type === 'Assignment') return isFixedAssignment(word) ? word.text : null;
  for (const part of word.parts ?? []) {
    if (!FIXED.has(part.type)) return null;
    if (part.type === 'DoubleQuoted' && part.parts.some(({ type }) => type !== 'Literal')) return null;
  }
  return word.value;
}

/** As programs read it: of a word whose beginning shows that it is one, and no option, that beginning (see `Words`). */
function argumentOf(word: Word): string | null {
  const whole = wordOf(word);
  if (whole !== null) return whole;
  let known = '';
  let isKnown = true;
  for (const part of (word.parts ?? []).flatMap((each) =>
    each.type === 'DoubleQuoted' ? each.parts.map(quoted) : [each],
  )) {
    // Outside of quotes it may become several words; `"$@"` does within them, too.
    if (part === null) isKnown = false;
    else if (!('value' in part) || part.type === 'Glob') {
      if (part.type !== 'Glob' && part.type !== 'BraceExpansion') return null;
      isKnown = false;
    } else if (isKnown) known += part.value;
  }
  return /^(?:[^-]|--[\w-]+=)/.test(known) ? known + UNKNOWN : null;
}

/** Null: one that is known only when it runs, and stays one word. */
function quoted(part: DoubleQuotedChild): DoubleQuotedChild | null {
  return part.type === 'Literal' || /[@!]/.test(part.text) ? part : null;
}

/** What a variable is set to, where that is the same whenever it runs. */
const valueOf = ({ value, index, append }: Assignment): string | null =>
  index === undefined && append !== true && value.type === 'Word' ? wordOf(value) : null;

/** `${NAME:=…}` */
const setsDefault = ({ operation }: ParameterExpansionPart): boolean =>
  operation?.type === 'Default' && operation.operator.endsWith('=');

const isFixedAssignment = ({ value, index }: Assignment): boolean =>
  index === undefined && value.type === 'Word' && wordOf(value) !== null;

/** In the place of a command `~` is expanded, too. */
const nameOf = (word: Word): string | null => (word.text.startsWith('~') ? null : wordOf(word));
