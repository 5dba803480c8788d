/** A provider's judgement of what is said. */
import type { Guard } from '../effects/hooks.ts';
import type { Moderator } from '../ports.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from './options.ts';
import type { GuardAction } from './secret-patterns.ts';
import { verdictOf } from './secret-patterns.ts';

/**
 * The guard `moderation`: answers, and results of tools, that a provider flags are not shown (default `reject`). One that
 * cannot be asked blocks, as every guard that fails. `categories`: only these count; default: whatever it flags. Throws
 * ConfigError `invalid_config`.
 */
export function moderation(
  moderator: Moderator,
  options: { categories?: readonly string[]; action?: Exclude<GuardAction, 'sanitise'> } = {},
): Guard {
  checkOptions('moderation', options);
  const { categories, action = 'reject' } = options;
  return {
    name: 'moderation',
    async outcome({ text }) {
      const found = new Set<string>();
      for (let at = 0; at < text.length; at += LIMITS.moderatedChars) {
        const flagged = await moderator.flagged(text.slice(at, at + LIMITS.moderatedChars));
        for (const category of flagged) if (categories?.includes(category) !== false) found.add(category);
      }
      return verdictOf(action, text, [...found]);
    },
  };
}
