/** `sed` and `awk`: small languages in which most programs run nothing, and some run anything. */
import { RE2JS } from 're2js';
import type { Words } from './options.ts';
import { areWritten, commandBehind } from './options.ts';

const REGEX = String.raw`/(?:[^/\\\n]|\\.)*/I?`;
const ADDRESS = String.raw`(?:\d+|\$|${REGEX})`;
const RANGE = String.raw`(?:${ADDRESS}\s*(?:[,~]\s*\+?${ADDRESS}\s*)?)?(?:!\s*)?`;
const SUBSTITUTION = Array.from('/|#,@:!~_%+;')
  .map((mark) => {
    const part = String.raw`(?:[^\\\n\x${mark.charCodeAt(0).toString(16)}]|\\(?s:.))*`;
    return `s[${mark}]${part}[${mark}]${part}[${mark}][gpiIM0-9]*|y[${mark}]${part}[${mark}]${part}[${mark}]`;
  })
  .join('|');
/** Neither `e` nor `w`: what only prints, deletes, moves or replaces. */
const COMMAND = String.raw`(?:[=dDgGhHlnNpPqQxz{]|[btT:] *[\w.-]*|[aic][^\n]*|${SUBSTITUTION})`;
const HARMLESS_SED = RE2JS.compile(`^(?:[\\s;}]|${RANGE}${COMMAND})*$`);

/** Whether it runs commands, as GNU's does by `e`, or may. */
export function sedRuns(args: Words): boolean {
  const scripts: (string | null)[] = [];
  const operands: (string | null)[] = [];
  let isGiven = false;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? null;
    if (word === '--') {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (word === null) return true;
    const expression = /^(?:--expression=|-[nErszu]*e)(.*)$/s.exec(word)?.[1];
    if (expression !== undefined || word === '--expression') {
      isGiven = true;
      scripts.push(expression === undefined || expression === '' ? (args[(at += 1)] ?? null) : expression);
    } else if (!word.startsWith('-')) operands.push(word);
    else if (
      !/^(?:-[nErszu]*(?:i.*)?|--(?:quiet|silent|regexp-extended|in-place(?:=.*)?|null-data|sandbox|posix|version|help))$/.test(
        word,
      )
    )
      return true;
  }
  if (!isGiven) scripts.push(operands[0] ?? '');
  const given: Words = scripts;
  return !areWritten(given) || !given.every((script) => HARMLESS_SED.matches(script));
}

/** Whether it runs commands (`system`, a pipe, a function called by its name), or may. */
export function awkRuns(args: Words): boolean {
  const behind = commandBehind(args, { flags: /^(?:-[Fv].+|--version)$/s, valued: /^-[Fv]$/ });
  const [program = ''] = behind?.command ?? [null];
  return program === null || !areWritten([program]) || /system|@|\\\r?\n|\|/.test(program.replaceAll('||', ''));
}
