import type { z } from 'zod';
import { ConfigError } from '../errors.ts';

/** Parses with the schema's own messages; the first issue names its path. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, code: ConfigError['code'], at: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // A misspelt key is also a missing one: what was written tells more than what was not.
  const { issues } = parsed.error;
  const issue = issues.find((each) => each.code === 'unrecognized_keys') ?? issues[0];
  const keys = issue?.code === 'unrecognized_keys' ? issue.keys.map(String) : [];
  const path = [at, ...(issue?.path ?? []).map(String), ...keys.slice(0, 1)].filter((part) => part !== '').join('.');
  throw new ConfigError(
    code,
    path,
    keys.length > 0 ? `unknown key ${keys.join(', ')}` : (issue?.message ?? 'is not valid'),
  );
}
