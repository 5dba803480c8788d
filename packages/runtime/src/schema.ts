/** JSON Schema validation: compiled once per schema, with messages a model or a person can act on. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { JsonSchema } from './ports.ts';

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true });
(formats as unknown as (instance: Ajv2020) => void)(ajv);

const compiled = new WeakMap<JsonSchema, ValidateFunction>();

export function compileSchema(
  schema: JsonSchema,
): { ok: true; validate: ValidateFunction } | { ok: false; message: string } {
  const known = compiled.get(schema);
  if (known !== undefined) return { ok: true, validate: known };
  try {
    const validate = ajv.compile(schema);
    compiled.set(schema, validate);
    return { ok: true, validate };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** Null when the value fits; else one line that says where it does not. */
export function misfitOf(schema: JsonSchema, value: unknown): string | null {
  const result = compileSchema(schema);
  if (!result.ok) return result.message;
  if (result.validate(value)) return null;
  return ajv.errorsText(result.validate.errors, { dataVar: 'arguments', separator: '; ' });
}
