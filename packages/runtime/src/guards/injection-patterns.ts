/**
 * What tries to steer: words to a model in what a tool says, signs that people do not see, images that carry a
 * conversation away when they are drawn, sequences that move a terminal. A net with holes, like every list of words: what a
 * model may do is for policies to say, whatever it has read.
 */
import type { Guard } from '../effects/hooks.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from './options.ts';
import type { GuardAction } from './secret-patterns.ts';
import { verdictOf } from './secret-patterns.ts';

/** Tags and variation selectors that spell invisible texts, overrides of the direction, signs without width. */
// oxlint-disable-next-line no-misleading-character-class -- each is looked for by itself
const HIDDEN = /[\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}\u{e0100}-\u{e01ef}]/gu;
/** ECMA-48: control sequences and strings, and what begins one. */
const TERMINAL =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /\u001b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|[\]PX^_][^\u0007\u001b]{0,4096}(?:\u0007|\u001b\\)|[@-_])?|\u009b[0-?]{0,64}[@-~]?/g;

const IMAGE = /!\[[^\]\n]{0,200}\](?:\(\s{0,8}<?([a-z]{2,8}:)?\/\/[^)\n]{0,4000}\)|\[[^\]\n]{0,200}\])/gi;
const IMAGE_TAG = /<img\b[^>]{0,4000}>/gi;

/** Over a text in lower case with single spaces. */
const ORDERS: readonly RegExp[] = [
  /\b(?:ignore|disregard|forget|override|bypass) (?:all |any )?(?:of )?(?:the |your |my )?(?:previous|prior|above|earlier|preceding|system|original) (?:instructions?|prompts?|messages?|rules|directions|guidelines|context)/,
  /\b(?:new|updated|real|secret) (?:system )?instructions? ?(?:for the (?:assistant|ai|model|agent) ?)?:/,
  /\bdo not (?:tell|inform|mention this to|alert|ask) the (?:user|human|person|operator)/,
  /\b(?:reveal|print|repeat|output|show|send) (?:me |us )?(?:your|the) (?:system prompt|hidden instructions|initial instructions|api keys?|credentials|secrets)/,
  /\byou are now (?:in |a |an |the )?(?:developer|admin|root|dan|jailbroken|unrestricted|different) ?(?:mode|model|assistant|ai|agent)?\b/,
  /\bas an ai (?:agent|assistant|model|language model),? you (?:must|should|will) now\b/,
  /<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[\/?inst\]|<<\/?sys>>/,
];

/**
 * The guard `injection`. What is hidden, what moves a terminal, and images from elsewhere are taken out of every outcome;
 * words to a model in the result of a tool have `orders` as their consequence (default `quarantine`). Throws ConfigError
 * `invalid_config`.
 */
export function injectionPatterns(options: { orders?: Exclude<GuardAction, 'sanitise'> } = {}): Guard {
  checkOptions('injectionPatterns', options);
  const { orders = 'quarantine' } = options;
  return {
    name: 'injection',
    outcome({ kind, text }) {
      const kinds = new Set<string>();
      const without = (from: string, pattern: RegExp, what: string, by = ''): string =>
        from.replace(pattern, () => (kinds.add(what), by));
      let clean = without(text, HIDDEN, 'invisible characters');
      clean = without(clean, TERMINAL, 'terminal sequences');
      clean = without(clean, IMAGE, 'an image from elsewhere', '[image left out]');
      clean = without(clean, IMAGE_TAG, 'an image from elsewhere', '[image left out]');
      if (kind === 'call' && ordersIn(clean)) return verdictOf(orders, clean, ['words to the model', ...kinds]);
      return verdictOf('sanitise', clean, [...kinds]);
    },
  };
}

function ordersIn(text: string): boolean {
  for (let at = 0; at < text.length; at += LIMITS.guardChars) {
    // Pieces overlap, so that no order is cut in two.
    const piece = text.slice(Math.max(0, at - LIMITS.orderChars), at + LIMITS.guardChars);
    const plain = piece.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ');
    if (ORDERS.some((order) => order.test(plain))) return true;
  }
  return false;
}
