const WORD = /[\p{L}\p{N}]+/gu;

/** The words of a text, in lower case and in order: runs of letters and digits of any script. */
export function wordsOf(text: string): string[] {
  return text.normalize('NFKC').toLowerCase().match(WORD) ?? [];
}

/** The words of all strings and numbers inside a document, each with a space on both sides: what search looks into. */
export function searchText(doc: unknown): string {
  const words: string[] = [];
  collect(doc, words);
  return ` ${words.join(' ')} `;
}

function collect(value: unknown, words: string[]): void {
  if (typeof value === 'string') for (const word of wordsOf(value)) words.push(word);
  else if (typeof value === 'number') words.push(String(value));
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) collect(part, words);
}
