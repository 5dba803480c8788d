/** JSON Schema validation: compiled once per schema, with messages a model or a person can act on. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { clipped } from '../effects/clip.ts';
import { LIMITS } from '../limits.ts';
import type { JsonSchema } from '../ports.ts';

// `addUsedSchema`: two schemas may carry the same `$id`, as two versions of one tool do.
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true, addUsedSchema: false });
(formats as unknown as (instance: Ajv2020) => void)(ajv);

const compiled = new WeakMap<JsonSchema, ValidateFunction>();

export function compileSchema(
  schema: JsonSchema,
): { ok: true; validate: ValidateFunction } | { ok: false; message: string } {
  const known = compiled.get(schema);
  if (known !== undefined) return { ok: true, validate: known };
  try {
    const validate = ajv.compile(schema);
    // An asynchronous schema would answer with a promise, which is never false.
    if ('$async' in validate) return { ok: false, message: 'an asynchronous schema cannot be used here' };
    compiled.set(schema, validate);
    return { ok: true, validate };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** Null when the value fits; else one line that says where it does not, cut to a bound. `called`: what it is. */
export function misfitOf(schema: JsonSchema, value: unknown, called = 'arguments'): string | null {
  const result = compileSchema(schema);
  if (!result.ok) return result.message;
  if (result.validate(value)) return null;
  const errors = result.validate.errors ?? [];
  const text = ajv.errorsText(errors.slice(0, LIMITS.misfits), { dataVar: called, separator: '; ' });
  const more = errors.length > LIMITS.misfits ? `; and ${errors.length - LIMITS.misfits} more` : '';
  return clipped(text, LIMITS.messageChars - more.length) + more;
}
