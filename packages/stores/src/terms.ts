/** How texts are cut into words for search, the same in every store. */
import { LIMITS } from './limits.ts';

/** Scripts written without spaces: each character is a word, and a run of them a phrase. */
const ALONE =
  '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}]\\p{M}*';
const WORD = new RegExp(`${ALONE}|(?:(?!${ALONE})[\\p{L}\\p{N}\\p{M}])+`, 'gu');

/** A word in the form that is compared, and where it stands in the text. */
type Token = { word: string; at: number; end: number };

function* tokensOf(text: string): Generator<Token> {
  for (const { 0: found, index } of text.matchAll(WORD)) {
    // In the compared form one word may be several: ½ is 1⁄2.
    for (const [word] of found.normalize('NFKC').toLowerCase().matchAll(WORD))
      yield { word: word.slice(0, LIMITS.wordChars), at: index, end: index + found.length };
  }
}

/** The words of a text, one space between two: what is indexed. */
export function spokenWords(text: string): string {
  return [...tokensOf(text)].map(({ word }) => word).join(' ');
}

/** Each term as its words; terms without any are left out. */
export function phrasesOf(terms: readonly string[]): string[][] {
  return terms.map((term) => [...tokensOf(term)].map(({ word }) => word)).filter((words) => words.length > 0);
}

/** Whether a text, given as its words, holds every phrase. */
export function holdsAll(words: string, phrases: readonly string[][]): boolean {
  const padded = ` ${words} `;
  return phrases.every((phrase) => padded.includes(` ${phrase.join(' ')} `));
}

/** A line of the text around the first phrase in it, with `…` where it was cut. */
export function snippetOf(text: string, phrases: readonly string[][]): string {
  const tokens = [...tokensOf(text)];
  const first = tokens.find((_token, at) =>
    phrases.some((phrase) => phrase.every((word, index) => tokens[at + index]?.word === word)),
  );
  const lead = LIMITS.snippetChars / 4;
  const earliest = Math.max(0, (first?.at ?? 0) - lead);
  // From the start of a word on, and to the end of one, where there is one near.
  const from = earliest === 0 ? 0 : (tokens.find(({ at }) => at >= earliest)?.at ?? earliest);
  const latest = from + LIMITS.snippetChars;
  const whole = tokens.findLast(({ at, end }) => at > from && end <= latest)?.end ?? latest;
  const to = latest >= text.length ? text.length : whole;
  const shown = text
    .slice(from, to)
    .toWellFormed()
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return `${from > 0 ? '…' : ''}${shown}${to < text.length ? '…' : ''}`;
}

/**
 * Texts are numbered by their time, so that the newest come first however they were indexed: this many may have the same
 * millisecond before one of them counts as said a little later.
 */
export const PER_MS = 1_024;
