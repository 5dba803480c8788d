/** What guards may be made with: an option that a guard does not have, or cannot obey, is refused (P15). */
import { z } from 'zod';
import { checked } from '../definitions/checked.ts';

const action = z.enum(['sanitise', 'reject', 'quarantine']).optional();
/** Where there is nothing to take out: shown is all or nothing. */
const hides = z.enum(['reject', 'quarantine']).optional();

const OPTIONS = {
  secretPatterns: z.strictObject({ action, entropy: z.boolean().optional() }),
  injectionPatterns: z.strictObject({ orders: hides }),
  moderation: z.strictObject({ categories: z.array(z.string()).optional(), action: hides }),
  sizeGuard: z.strictObject({ maxChars: z.int().min(1), action }),
  schemaGuard: z.strictObject({ tool: z.string(), schema: z.unknown(), action: hides }),
};

/** Throws ConfigError `invalid_config`, with the path of what is wrong. */
export function checkOptions(guard: keyof typeof OPTIONS, options: unknown): void {
  checked<unknown>(OPTIONS[guard], options, 'invalid_config', guard);
}
