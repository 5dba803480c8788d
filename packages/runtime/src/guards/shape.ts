/** How large a result may be, and what form it has. */
import { misfitOf } from '../definitions/schema.ts';
import { checkSchema } from '../definitions/tool.ts';
import { clipped } from '../effects/clip.ts';
import type { Guard } from '../effects/hooks.ts';
import type { JsonSchema } from '../ports.ts';
import { checkOptions } from './options.ts';
import type { GuardAction } from './secret-patterns.ts';
import { verdictOf } from './secret-patterns.ts';

/**
 * The guard `size`: results of tools, and answers, of more than `maxChars` (UTF-16 units) are not shown (default `reject`).
 * Throws ConfigError `invalid_config`.
 */
export function sizeGuard(options: { maxChars: number; action?: GuardAction }): Guard {
  checkOptions('sizeGuard', options);
  const { maxChars, action = 'reject' } = options;
  return {
    name: 'size',
    outcome: ({ text }) =>
      verdictOf(action, clipped(text, maxChars), text.length > maxChars ? [`more than ${maxChars} characters`] : []),
  };
}

/**
 * The guard `schema`: the results of a tool are JSON that fits a schema, or they are not shown (default `reject`). Throws
 * ConfigError `invalid_config`, for a schema that is none as well.
 */
export function schemaGuard(options: {
  tool: string;
  schema: JsonSchema;
  action?: Exclude<GuardAction, 'sanitise'>;
}): Guard {
  checkOptions('schemaGuard', options);
  const { tool, schema, action = 'reject' } = options;
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
