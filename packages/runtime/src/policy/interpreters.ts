/** Programs that run code in languages that are not read here. */
import type { Words } from './options.ts';
import { UNKNOWN } from './options.ts';

/** What is piped or written into a command is what it reads. */
const INPUT = /^(?:-|\/dev\/(?:stdin|fd\/.*)|\/proc\/.*)$/;
/** With one of these the code is among the arguments; without any argument, in what it reads. */
const INTERPRETERS: readonly (readonly [RegExp, RegExp])[] = [
  [/^(?:python|pypy)[\d.]*$/, / -[A-Za-z]*c| -[A-Za-z]*m ?(?:timeit|pdb|code|asyncio|cProfile|profile|trace|pty)/],
  [/^(?:node|nodejs|bun|tsx|ts-node)$/, / (?:-[A-Za-z]*[ep]|--eval|--print)\b|data:| exec\b|^ inspect\b/],
  [/^deno$/, / (?:eval|repl|task)\b|data:|https?:/],
  [/^(?:perl|ruby|lua|luajit|Rscript)[\d.]*$/, / (?:-[A-Za-z]*[eE]|--eval|-[mM])/],
  [/^php[\d.]*$/, / (?:-[rBREd]|data:)/],
];
const rowOf = (base: string): (typeof INTERPRETERS)[number] | undefined =>
  INTERPRETERS.find(([pattern]) => pattern.test(base));

export const isInterpreter = (base: string): boolean => rowOf(base) !== undefined;

const isInput = (word: string | null): boolean => word === null || word.includes(UNKNOWN) || INPUT.test(word);

/** Whether an interpreter runs code that is among its arguments, or in what it reads. */
export function interprets(base: string, args: Words): boolean {
  const [, code] = rowOf(base) ?? [];
  if (code === undefined) return false;
  const [file = null] = args;
  // What stands behind a file of code is the file's.
  const isFile = file !== null && !file.startsWith('-') && !isInput(file) && !/^(?:data:|inspect$|debug$)/.test(file);
  if (isFile && !/^(?:bun|deno)$/.test(base)) return false;
  if (args.length === 1 && file === '-v' && !base.startsWith('py')) return false;
  if (args.some(isInput) || code.test(` ${args.join(' ')}`)) return true;
  return args.every((word) => word?.startsWith('-') === true);
}
