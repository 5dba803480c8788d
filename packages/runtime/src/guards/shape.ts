/** How large a result may be, and what form it has. */
import { misfitOf } from '../definitions/schema.ts';
import { checkSchema } from '../definitions/tool.ts';
import { clipped } from '../effects/clip.ts';
import type { Guard } from '../effects/hooks.ts';
import type { JsonSchema } from '../ports.ts';
import type { GuardAction } from './secret-patterns.ts';
import { verdictOf } from './secret-patterns.ts';

/** The guard `size`: results of tools, and answers, of more than `maxChars` (UTF-16 units) are not shown (default `reject`). */
export function sizeGuard({ maxChars, action = 'reject' }: { maxChars: number; action?: GuardAction }): Guard {
  if (!Number.isSafeInteger(maxChars) || maxChars < 1) throw new TypeError('maxChars is a whole number above 0');
  return {
    name: 'size',
    outcome: ({ text }) =>
      verdictOf(action, clipped(text, maxChars), text.length > maxChars ? [`more than ${maxChars} characters`] : []),
  };
}

/**
 * The guard `schema`: the results of a tool are JSON that fits a schema, or they are not shown (default `reject`). Throws
 * ConfigError `invalid_config` for a schema that is none.
 */
export function schemaGuard({
  tool,
  schema,
  action = 'reject',
}: {
  tool: string;
  schema: JsonSchema;
  action?: Exclude<GuardAction, 'sanitise'>;
}): Guard {
  checkSchema(schema, 'invalid_config', `the guard of ${tool}`, 'the schema');
  return {
    name: `schema of ${tool}`,
    outcome({ kind, name, text }) {
      if (kind !== 'call' || name !== tool) return { verdict: 'pass' };
      return verdictOf(action, text, fits(schema, text) ? [] : ['it does not have the form it should have']);
    },
  };
}

function fits(schema: JsonSchema, text: string): boolean {
  try {
    return misfitOf(schema, JSON.parse(text), 'result') === null;
  } catch {
    return false;
  }
}
