/** How programs are called: options before and between the words they work on. */

/**
 * `null`: known only when it runs; it may be several words, and options. Of a word that is one, and whose beginning shows
 * that it is no option, the beginning is known: behind it stands `UNKNOWN`.
 */
export type Words = readonly (string | null)[];
/** No script that is read holds this character. */
export const UNKNOWN = '\u0000';
/** Whether all of them are known to their end. */
export const areWritten = (words: Words): words is readonly string[] =>
  words.every((word) => word !== null && !word.includes(UNKNOWN));

/**
 * Whether a word gives one of these options: one of the letters in a bundle, or one of the long names, which may be
 * cut short (`--use-comp`); one that ends in a dash is the beginning of several.
 */
export function says(letters: string, ...names: readonly string[]): (word: string) => boolean {
  return (word) => {
    if (!word.startsWith('-') || word === '-') return false;
    if (!word.startsWith('--')) return Array.from(word.slice(1)).some((letter) => letters.includes(letter));
    const given = word.slice(2).split('=')[0] ?? '';
    return (
      given.length > 0 && names.some((name) => name.startsWith(given) || (name.endsWith('-') && given.startsWith(name)))
    );
  };
}

/** Whether a word is written so. */
export const matches =
  (pattern: RegExp) =>
  (word: string): boolean =>
    pattern.test(word);

/** The words that may be options: behind `--` there are none. */
export function optionsOf(args: Words): Words {
  const end = args.indexOf('--');
  return end < 0 ? args : args.slice(0, end);
}

/**
 * The options of a program that takes a command, and that command: it begins with the first word that is neither an option
 * (`flags`), nor one with a value behind it (`valued`). Null: there are others, so nobody knows where it begins.
 */
export function commandBehind(
  args: Words,
  { flags, valued }: { flags?: RegExp | undefined; valued?: RegExp | undefined },
): { options: readonly string[]; command: Words } | null {
  const options: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? null;
    if (word === null) return { options, command: args.slice(at) };
    if (word === '--') return { options, command: args.slice(at + 1) };
    if (valued?.test(word) === true) {
      const value = args[at + 1] ?? null;
      if (value === null) return null;
      options.push(word, value);
      at += 1;
    } else if (word.startsWith('-')) {
      if (flags?.test(word) !== true) return null;
      options.push(word);
    } else return { options, command: args.slice(at) };
  }
  return { options, command: [] };
}

/** What a name says besides the program: `tclsh8.6`, `vim.tiny`, `bash-static`, `perl5.36-x86_64-linux-gnu`. */
const VARIANT =
  /(?:-?\d[\d.]*[a-z]?)?(?:-(?:static|dbg|nox|gtk|multiarch|\w+-linux-gnu)|\.(?:basic|tiny|nox|gtk\d?|traditional|openbsd))?$/;
/** GNU's, where others have the plain name; and other programs that read the same. */
const NAMESAKE =
  /^(?:g(?=(?:sed|find|xargs|env|nice|nohup|timeout|stdbuf|sort|split)$)|[bgp](?=make$)|original-(?=awk$))/;

/** The name of a program, and the same without its variant. */
export function namesOf(name: string): { base: string; plain: string } {
  const base = name.replace(NAMESAKE, '');
  return { base, plain: base.replace(VARIANT, '') };
}
