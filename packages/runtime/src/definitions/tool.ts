/** Tools as people define them, and as manifests declare them. */
import type { Act, ArgumentNames, Taint } from '@perdure/engine';
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { canonicalJson } from '../log/digest.ts';
import type {
  EffectClass,
  JsonSchema,
  Reached,
  ToolContent,
  ToolContext,
  ToolDefinition,
  ToolParks,
  ToolResult,
} from '../ports.ts';
import { checked } from './checked.ts';
import { compileSchema } from './schema.ts';

/** A tool as a manifest holds it. What is not said is left out, so that the version of an agent without it stays what it was. */
export type ToolDeclaration = {
  name: string;
  description: string;
  input: JsonSchema;
  effect: EffectClass;
  approval: 'always' | 'never';
  edits?: true;
  taint?: Taint;
  acts?: readonly Act[];
  names?: ArgumentNames;
  timeoutMs: number;
  verify: boolean;
  defer?: true;
};

const TOOL_NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/;
const argumentNames = z.array(z.string().min(1)).optional();
const toolShape = z.strictObject({
  name: z.string().regex(TOOL_NAME, 'a tool name has letters, digits, _ and -, starts with a letter, at most 64'),
  description: z.string().min(1),
  input: z.custom<JsonSchema | z.ZodType>(
    (value) => typeof value === 'object' && value !== null,
    'a zod schema or a JSON Schema object',
  ),
  effect: z.enum(['pure', 'keyed', 'unsafe']).optional(),
  approval: z.enum(['always', 'never']).optional(),
  edits: z.boolean().optional(),
  taint: z.enum(['web', 'file', 'tool']).optional(),
  acts: z.array(z.enum(['write', 'egress'])).optional(),
  names: z
    .strictObject({
      paths: argumentNames,
      trees: argumentNames,
      patches: argumentNames,
      urls: argumentNames,
      commands: argumentNames,
    })
    .optional(),
  defer: z.boolean().optional(),
  timeoutMs: z.int().positive().optional(),
  reaches: z
    .custom<NonNullable<ToolDefinition['reaches']>>((value) => typeof value === 'function', 'a function')
    .optional(),
  run: z.custom<ToolDefinition['run']>((value) => typeof value === 'function', 'a function'),
  verify: z
    .custom<NonNullable<ToolDefinition['verify']>>((value) => typeof value === 'function', 'a function')
    .optional(),
});

type Verified =
  | { outcome: 'done'; content: ToolContent }
  | { outcome: 'failed'; message: string }
  | { outcome: 'unknown' };
export type ToolOptions<Input> = {
  name: string;
  description: string;
  /** A zod schema (the arguments of `run` are its output) or a JSON Schema object. */
  input: z.ZodType<Input> | JsonSchema;
  /** What may be done after an ambiguous crash (default `unsafe`: at most once). */
  effect?: EffectClass;
  /** `always`: a person approves each call, unless a policy grants it (default `never`). */
  approval?: 'always' | 'never';
  /** It changes files of a workspace, and nothing else: the mode `accept-edits` lifts its `approval: 'always'`. */
  edits?: boolean;
  /** Whose words its results hold: the web's, those of others' files, or of another outside source. Rules may ask for it. */
  taint?: Exclude<Taint, 'input'>;
  /** What a call may do to the world (default: a `pure` tool nothing, any other tool both). Rules may ask for it. */
  acts?: readonly Act[];
  /** Which arguments are paths, URLs or commands, for rules on them (default: rules look at each text in them). */
  names?: ArgumentNames;
  /** The model is not told of it until it has found it by `tool_search` (default: as the agent's `deferTools` says). */
  defer?: boolean;
  /** Default 60,000. */
  timeoutMs?: number;
  /** Where the paths that its arguments name lead, links followed: rules on paths look at both. Only looks. See `ctx.reached`. */
  reaches?(
    args: Input,
    context: Pick<ToolContext, 'signal' | 'workspaces'>,
  ): Promise<readonly Reached[]> | readonly Reached[];
  run(
    args: Input,
    context: ToolContext,
  ): Promise<ToolResult | ToolParks | ToolContent> | ToolResult | ToolParks | ToolContent;
  /** Did the call with this key happen? Reads, never acts. */
  verify?(key: string, args: Input, context: ToolContext): Promise<Verified>;
};

/**
 * Defines a tool. Arguments are validated before `run`; a throw, a timeout or unfit arguments become a typed error
 * result to the model. Throws ConfigError `invalid_tool` for a definition that cannot work.
 */
export function tool<Input = unknown>(options: ToolOptions<Input>): ToolDefinition {
  const shape = checked(toolShape, options, 'invalid_tool', 'tool');
  const schema: unknown = shape.input;
  const isZod = schema instanceof z.ZodType;
  const input = isZod ? jsonSchemaOf(schema, 'input', `tool ${shape.name}`) : (schema as JsonSchema);
  const parse = (args: unknown): Input => (isZod ? (schema.parse(args) as Input) : (args as Input));
  const definition: ToolDefinition = {
    name: shape.name,
    description: shape.description,
    input,
    effect: shape.effect ?? 'unsafe',
    approval: shape.approval ?? 'never',
    edits: shape.edits ?? false,
    timeoutMs: shape.timeoutMs ?? LIMITS.toolMs,
    run: async (args, context) => await options.run(parse(args), context),
  };
  if (shape.taint !== undefined) definition.taint = shape.taint;
  if (shape.acts !== undefined) definition.acts = shape.acts;
  if (shape.defer !== undefined) definition.defer = shape.defer;
  if (shape.names !== undefined) definition.names = shape.names as ArgumentNames;
  if (options.reaches !== undefined) {
    const reaches = options.reaches.bind(options);
    definition.reaches = (args, context) => reaches(parse(args), context);
  }
  if (options.verify !== undefined) {
    const verify = options.verify.bind(options);
    definition.verify = async (key, args, context) => verify(key, parse(args), context);
  }
  checkToolSchema(definition);
  return definition;
}

/** Throws ConfigError `invalid_tool` for a schema that JSON Schema has no words for, such as one of dates. */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output', at: string): JsonSchema {
  try {
    return z.toJSONSchema(schema, { io }) as JsonSchema;
  } catch (error) {
    throw new ConfigError('invalid_tool', at, `its schema cannot be told to a model: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a tool returns to park its call until the wait is answered; the answer is the call's result. */
export function wait(parks: ToolParks['wait']): ToolParks {
  return { wait: parks };
}

export function checkToolSchema({ name, input }: ToolDefinition): void {
  checkSchema(input, 'invalid_tool', `tool ${name}`, 'its input schema');
}

export function checkSchema(schema: JsonSchema, code: ConfigError['code'], at: string, what: string): void {
  const compiled = compileSchema(schema);
  if (!compiled.ok) throw new ConfigError(code, at, `${what} is broken: ${compiled.message}`);
  try {
    canonicalJson(schema);
  } catch (error) {
    throw new ConfigError(code, at, `${what} cannot be stored: ${messageOf(error)}`);
  }
}

export function declarationOf(definition: ToolDefinition): ToolDeclaration {
  const { name, description, input, effect, approval, timeoutMs } = definition;
  const declared: ToolDeclaration = {
    name,
    description,
    input,
    effect,
    approval,
    timeoutMs,
    verify: definition.verify !== undefined,
  };
  if (definition.edits === true) declared.edits = true;
  if (definition.taint !== undefined) declared.taint = definition.taint;
  if (definition.acts !== undefined) declared.acts = definition.acts;
  if (definition.names !== undefined) declared.names = definition.names;
  if (definition.defer === true) declared.defer = true;
  return declared;
}
