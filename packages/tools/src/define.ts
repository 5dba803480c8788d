import type { JsonSchema, Reached, ToolContext, ToolDefinition, ToolParks, ToolResult } from '@perdure/runtime/ports';
import { z } from 'zod';
import { ToolFailure } from './failure.ts';

type Spec<Input extends z.ZodType> = {
  name: string;
  description: string;
  input: Input;
  timeoutMs: number;
  run(args: z.output<Input>, context: ToolContext): Promise<ToolResult | ToolParks>;
  verify?: ToolDefinition['verify'];
  reaches?: (args: z.output<Input>, context: Pick<ToolContext, 'signal' | 'workspaces'>) => Promise<Reached[]>;
} & Pick<ToolDefinition, 'taint' | 'names'>;

type Traits = Pick<ToolDefinition, 'effect' | 'approval' | 'edits' | 'acts'>;

/** A tool without effects on the world: it runs unasked and may run again. */
export function definePure<Input extends z.ZodType>(spec: Spec<Input>): ToolDefinition {
  return define(spec, { effect: 'pure', approval: 'never' });
}

/** A tool that changes files and may run again, because it knows what it did from what it has to do; it asks first. */
export function defineEdit<Input extends z.ZodType>(spec: Spec<Input>): ToolDefinition {
  return define(spec, { effect: 'keyed', approval: 'always', edits: true, acts: ['write'] });
}

/** A tool that acts on the world and cannot know whether it did: at most once, and it asks first. */
export function defineActing<Input extends z.ZodType>(spec: Spec<Input>): ToolDefinition {
  return define(spec, { effect: 'unsafe', approval: 'always', acts: ['write', 'egress'] });
}

/** A tool that reads from strangers and may run again; it asks first, as what is asked for tells them something. */
export function defineWeb<Input extends z.ZodType>(spec: Spec<Input>): ToolDefinition {
  return define({ ...spec, taint: 'web' }, { effect: 'pure', approval: 'always', acts: ['egress'] });
}

/** A tool of any class. */
export function defineTool<Input extends z.ZodType>(spec: Spec<Input>, traits: Traits): ToolDefinition {
  return define(spec, traits);
}

/**
 * Arguments are parsed with the same schema that the model sees, so that a default exists once; a ToolFailure becomes an
 * error result `code: message`.
 */
function define<Input extends z.ZodType>(spec: Spec<Input>, traits: Traits): ToolDefinition {
  return {
    name: spec.name,
    description: spec.description,
    input: schemaOf(spec.input),
    ...traits,
    timeoutMs: spec.timeoutMs,
    ...(spec.verify === undefined ? {} : { verify: spec.verify }),
    names: spec.names ?? {},
    ...(spec.taint === undefined ? {} : { taint: spec.taint }),
    ...(spec.reaches === undefined ? {} : { reaches: async (args, context) => reached(spec, args, context) }),
    async run(args, context) {
      context.signal.throwIfAborted();
      const parsed = spec.input.safeParse(args);
      if (!parsed.success) return failed(new ToolFailure('invalid_arguments', z.prettifyError(parsed.error)));
      try {
        return await spec.run(parsed.data, context);
      } catch (error) {
        if (error instanceof ToolFailure) return failed(error);
        throw error;
      }
    },
  };
}

/** Arguments that do not fit lead nowhere: the call ends with that. */
async function reached<Input extends z.ZodType>(
  { input, reaches }: Spec<Input>,
  args: unknown,
  context: Pick<ToolContext, 'signal' | 'workspaces'>,
): Promise<readonly Reached[]> {
  const parsed = input.safeParse(args);
  return parsed.success && reaches !== undefined ? reaches(parsed.data, context) : [];
}

/** The dialect is left out: it is the runtime's to choose, and some providers refuse the key. */
function schemaOf(input: z.ZodType): JsonSchema {
  const schema: JsonSchema = { ...z.toJSONSchema(input, { io: 'input' }) };
  delete schema['$schema'];
  return schema;
}

function failed(failure: ToolFailure): ToolResult {
  return {
    content: `${failure.code}: ${failure.message}`,
    details: { code: failure.code, message: failure.message },
    isError: true,
  };
}
