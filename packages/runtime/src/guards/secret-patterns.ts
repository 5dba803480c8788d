/** Credentials by how they look. What is known by its value is taken out by the redactor before any guard is asked. */
import type { Guard, HookVerdict } from '../effects/hooks.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from './options.ts';

/** What becomes of an outcome in which something is found. */
export type GuardAction = 'sanitise' | 'reject' | 'quarantine';

/**
 * Formats of well-known issuers, as their documentation gives them. Linear: each part is of one class of characters, with
 * something else behind it or nothing.
 */
const FORMATS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['a provider key', /\bsk-[A-Za-z0-9_-]{20,}/g],
  ['a provider key', /\b(?:gsk_|hf_|xai-|r8_|pplx-)[A-Za-z0-9]{20,}/g],
  ['a Google key', /\bAIza[0-9A-Za-z_-]{35}/g],
  ['an AWS key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})/g],
  ['a GitLab token', /\bglpat-[A-Za-z0-9_-]{20,}/g],
  ['a Slack token', /\bxox[abeprs]-[A-Za-z0-9-]{10,}/g],
  ['a Stripe key', /\b[rs]k_live_[A-Za-z0-9]{20,}/g],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/g],
  ['a SendGrid key', /\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}/g],
  ['a JSON web token', /\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,2000}/g],
  ['a password in an address', /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/]{1,200}:[^\s:@/]{3,200}@/g],
  ['a private key', /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\\\s:,-]{0,20000}/g],
];

const RUN = /[A-Za-z0-9+/_=-]{24,}/g;
/** Bits a character: random base64 of this length has more, words and identifiers have less. */
const RANDOM_BITS = 4.5;

/**
 * The guard `secrets`. `action` (default `sanitise`, which blanks what was found); `entropy` looks besides for what is as
 * random as a key, and finds digests and ids, too. Throws ConfigError `invalid_config`.
 */
export function secretPatterns(options: { action?: GuardAction; entropy?: boolean } = {}): Guard {
  checkOptions('secretPatterns', options);
  const { action = 'sanitise', entropy = false } = options;
  return {
    name: 'secrets',
    outcome({ text }) {
      const kinds = new Set<string>();
      let clean = text;
      const blank = (kind: string) => (): string => {
        kinds.add(kind);
        return '[redacted]';
      };
      for (const [kind, pattern] of FORMATS) clean = clean.replace(pattern, blank(kind));
      if (entropy) clean = clean.replace(RUN, (run) => (isRandom(run) ? blank('what looks random')() : run));
      return verdictOf(action, clean, [...kinds]);
    },
  };
}

/** The verdict on a text in which these kinds of things were found; none: it passes. */
export function verdictOf(action: GuardAction, text: string, kinds: readonly string[]): HookVerdict {
  if (kinds.length === 0) return { verdict: 'pass' };
  const reason = kinds.join(', ');
  if (action === 'sanitise') return { verdict: 'rewrite', text, reason };
  return { verdict: action === 'reject' ? 'block' : 'quarantine', reason };
}

function isRandom(run: string): boolean {
  if (!/[a-z]/.test(run) || !/[A-Z]/.test(run) || !/\d/.test(run)) return false;
  const counts = new Map<string, number>();
  const sample = run.slice(0, LIMITS.entropyChars);
  for (const sign of sample) counts.set(sign, (counts.get(sign) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / sample.length) * Math.log2(count / sample.length);
  // A short run cannot have more than the logarithm of its length.
  return bits > Math.min(RANDOM_BITS, Math.log2(sample.length) * 0.9);
}
