/** JSON Schema out of the contract's schemas, with those that have a name of their own referred to by it. */
import { z } from 'zod';
import { contextSlotSchema } from './context.ts';
import { sessionDiffSchema } from './diff-view.ts';
import { errorBodySchema } from './errors.ts';
import { explanationSchema, foundSchema, messageSchema, spanSchema } from './folded.ts';
import { answerSchema, configPatchSchema, inputSchema } from './params.ts';
import { policyViewSchema } from './policies.ts';
import { deltaSchema, entrySchema, feedChangeSchema } from './stream.ts';
import {
  agentViewSchema,
  modelViewSchema,
  nodeViewSchema,
  runViewSchema,
  sessionViewSchema,
  waitViewSchema,
} from './views.ts';
import { workspaceViewSchema } from './workspaces/views.ts';

export type Json = { [name: string]: unknown };

/** Schemas with a name of their own; wherever they stand, a document refers to them. */
const NAMED: { [name: string]: z.ZodType } = {
  Error: errorBodySchema,
  SessionView: sessionViewSchema,
  RunView: runViewSchema,
  WaitView: waitViewSchema,
  AgentView: agentViewSchema,
  ModelView: modelViewSchema,
  NodeView: nodeViewSchema,
  ContextSlot: contextSlotSchema,
  Policy: policyViewSchema,
  Entry: entrySchema,
  Delta: deltaSchema,
  FeedChange: feedChangeSchema,
  Found: foundSchema,
  Message: messageSchema,
  Span: spanSchema,
  Explanation: explanationSchema,
  SessionDiff: sessionDiffSchema,
  WorkspaceView: workspaceViewSchema,
};
const NAMED_INPUTS: { [name: string]: z.ZodType } = {
  Input: inputSchema,
  ConfigPatch: configPatchSchema,
  Answer: answerSchema,
};

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** `io`: what a caller writes, or what it is given. */
export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output', self?: z.ZodType): Json {
  const found = new Map<z.ZodType, string>();
  const named = io === 'input' ? NAMED_INPUTS : NAMED;
  for (const [name, candidate] of Object.entries(named)) if (candidate !== self) found.set(candidate, name);
  const direct = found.get(schema);
  if (direct !== undefined) return ref(direct);
  const json = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const name = found.get(zodSchema as unknown as z.ZodType);
      if (name === undefined) return;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key as keyof typeof jsonSchema];
      jsonSchema.$ref = `#/components/schemas/${name}`;
    },
  }) as Json;
  delete json['$schema'];
  return json;
}

/** What `#/components/schemas` of a document holds. */
export function componentSchemas(): Json {
  const schemas: Json = {};
  for (const [name, schema] of Object.entries(NAMED)) schemas[name] = toJsonSchema(schema, 'output', schema);
  for (const [name, schema] of Object.entries(NAMED_INPUTS)) schemas[name] = toJsonSchema(schema, 'input', schema);
  return schemas;
}
