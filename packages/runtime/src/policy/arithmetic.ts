/**
 * Arithmetic of bash evaluates the text that a variable holds: after `x='a[$(ls)]'`, `echo $((x))` runs `ls`. So a variable
 * that is set to what nobody knows, and is counted with, hides code.
 */
import type { Script, SyntaxNode, Word, WordPart } from 'unbash';

/** Stands for what a command prints, and for what a script or a function is called with. */
const OUTPUT = '@';
const COMPARISON = /^-(?:eq|ne|lt|le|gt|ge)$/;

export class Counted {
  readonly #unknown = new Set<string>([OUTPUT]);
  readonly #used = new Set<string>();

  /** The variable is set to what is known only when the script runs, and may be no number. */
  sets(name: string): void {
    this.#unknown.add(name);
  }

  /** Notes what a node counts with. */
  visit(node: SyntaxNode): void {
    for (const text of countedIn(node)) this.#uses(text);
    if (node.type === 'Command' && node.name !== undefined && isCounting(node.name.text, node.args))
      for (const { text } of node.args) this.#uses(text);
    const isOpen =
      (node.type === 'ArithmeticCommandExpansion' && !printsNumber(node.script)) ||
      (node.type === 'TestBinary' && COMPARISON.test(node.operator) && !areNumbers(node.left, node.right));
    if (isOpen) this.#used.add(OUTPUT);
  }

  #uses(text: string): void {
    for (const [name] of text.matchAll(/[A-Za-z_]\w*/g)) this.#used.add(name);
    if (/\$\{?[\d@*]/.test(text)) this.#used.add(OUTPUT);
  }

  /** Whether what is counted with may hold code. */
  get hides(): boolean {
    return [...this.#used].some((name) => this.#unknown.has(name));
  }
}

/** `let` counts; what `declare -i` names counts whenever it is set. */
const isCounting = (name: string, args: readonly { text: string }[]): boolean =>
  name === 'let' ||
  (/^(?:declare|typeset|local|readonly|export)$/.test(name) && args.some(({ text }) => /^-\w*i/.test(text)));

function countedIn(node: SyntaxNode): string[] {
  switch (node.type) {
    case 'ArithmeticWord':
      return [node.value];
    case 'TestBinary':
      return COMPARISON.test(node.operator) ? [node.left.text, node.right.text] : [];
    case 'Slice':
      return [node.offset.text, node.length?.text ?? ''];
    case 'ParameterExpansion':
    case 'Assignment':
      return node.index === undefined || /^[@*]$/.test(node.index.text) ? [] : [node.index.text];
    default:
      return [];
  }
}

/** Of a comparison: no command prints what is compared, unless it is a number. */
const areNumbers = (...words: readonly Word[]): boolean =>
  words.every((word) => partsOf(word).every((part) => part.type !== 'CommandExpansion' || printsNumber(part.script)));

const partsOf = ({ parts = [] }: Word): readonly WordPart[] =>
  parts.flatMap<WordPart>((part) => (part.type === 'DoubleQuoted' ? part.parts : [part]));

/** Whether a word that is not fixed is a number, or several, whenever it runs. */
export function isNumber(word: Word): boolean {
  return partsOf(word).every((part) => {
    switch (part.type) {
      case 'Literal':
        return /^\d+$/.test(part.value);
      case 'BraceExpansion':
        return /^\{\d+\.\.\d+(?:\.\.\d+)?\}$/.test(part.text);
      case 'SimpleExpansion':
        return /^\$[#?$!]$/.test(part.text);
      case 'ParameterExpansion':
        return part.prefix === '#';
      case 'CommandExpansion':
        return printsNumber(part.script);
      default:
        return part.type === 'ArithmeticExpansion';
    }
  });
}

/** Whether it prints nothing but numbers: `wc -l`, `seq 5`, `date +%s` or `nproc`, at the end of a pipe or alone. */
function printsNumber(script: Script | undefined): boolean {
  const [statement, ...more] = script?.commands ?? [];
  if (statement === undefined || more.length > 0) return false;
  const last = statement.command.type === 'Pipeline' ? statement.command.commands.at(-1) : statement.command;
  if (last?.type !== 'Command' || last.prefix.length > 0) return false;
  const words = [last.name, ...last.args].map((word) => (word?.type === 'Word' ? word.text : '')).join(' ');
  return /^(?:wc -[clmwL]|nproc|date \+%s|seq(?: \d+)+)$/.test(words);
}
