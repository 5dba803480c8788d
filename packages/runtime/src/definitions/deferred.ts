/**
 * Tools that a model is not told of until it has searched for them: thousands can be had at the cost of two. What a
 * request declares stays the same, so that its beginning does; a tool that was found is called through `tool_call`.
 */
import { LIMITS as ENGINE } from '@perdure/engine';
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { AskedCall, JsonSchema, ToolDefinition } from '../ports.ts';

export const TOOL_SEARCH = 'tool_search';
export const TOOL_CALL = 'tool_call';

const searchShape = z.strictObject({
  query: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.toolQueryChars)
    .describe('What the tool is to do, in a few words; or its name.'),
  limit: z.int().min(1).max(ENGINE.toolsFound).default(LIMITS.toolsUsuallyFound),
});
const callShape = z.strictObject({
  name: z.string().min(1).describe('A tool that tool_search has found.'),
  arguments: z.record(z.string(), z.unknown()).describe('Its arguments, as its schema says.'),
});

/** The tools of an agent, and the two that lead to the deferred ones where there are such. Throws ConfigError. */
export function withSearch(tools: readonly ToolDefinition[], agent: string): readonly ToolDefinition[] {
  const deferred = tools.filter(({ defer }) => defer === true);
  if (deferred.length === 0) return tools;
  const taken = tools.find(({ name }) => name === TOOL_SEARCH || name === TOOL_CALL);
  if (taken !== undefined)
    throw new ConfigError(
      'invalid_config',
      `agent ${agent}`,
      `${taken.name} is the name of what finds its deferred tools`,
    );
  return [...tools, searchTool(tools, deferred.length), CALL];
}

/** The first `most` tools as they are, the others deferred. */
export const deferBeyond = (tools: readonly ToolDefinition[], most: number): readonly ToolDefinition[] =>
  tools.map((tool, index) => (index < most || tool.defer !== undefined ? tool : { ...tool, defer: true }));

const ALWAYS = { effect: 'pure', approval: 'never', names: {}, timeoutMs: LIMITS.toolMs } as const;
const schemaOf = (shape: z.ZodType): JsonSchema => {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, { io: 'input' }) as JsonSchema;
  return schema;
};

const searchTool = (tools: readonly ToolDefinition[], count: number): ToolDefinition => ({
  ...ALWAYS,
  name: TOOL_SEARCH,
  description: `Finds tools among ${count} more than you are shown, by what they do. From your next turn on, what it found is called with ${TOOL_CALL}.`,
  input: schemaOf(searchShape),
  run: async (args) => {
    const { found, others } = search(tools, args);
    const more = others === 0 ? [] : [`[${others} more fit: ask for something narrower]`];
    const lines = [...found.map(({ text }) => text), ...more];
    return { content: lines.join('\n\n') || '[no tool fits: try other words]', details: { found: found.map(nameOf) } };
  },
});

const CALL: ToolDefinition = {
  ...ALWAYS,
  name: TOOL_CALL,
  description: `Calls a tool that ${TOOL_SEARCH} has found. What is asked, allowed and recorded is the call of that tool.`,
  input: schemaOf(callShape),
  run: async () => ({ content: `${TOOL_CALL} calls tools by their names: it does not call itself.`, isError: true }),
};

/** The call that is meant: one through `tool_call` is a call of the tool that it names, in all that follows. */
export function meantCall(asked: AskedCall): AskedCall {
  if (asked.name !== TOOL_CALL) return asked;
  try {
    const meant = callShape.safeParse(JSON.parse(asked.arguments));
    return meant.success ? { ...asked, name: meant.data.name, arguments: JSON.stringify(meant.data.arguments) } : asked;
  } catch {
    return asked;
  }
}

const nameOf = ({ name }: { name: string }): string => name;

/** The names that a search with these arguments finds: what the log keeps of it. */
export const namesFound = (tools: Iterable<ToolDefinition>, args: unknown): string[] =>
  search([...tools], args).found.map(nameOf);

type Found = { name: string; text: string };

/** The best first; what does not fit into one result is not found. Pure. */
function search(tools: readonly ToolDefinition[], args: unknown): { found: Found[]; others: number } {
  const { query, limit } = searchShape.parse(args);
  const wanted = new Set(wordsOf(query));
  const indexed = tools
    .filter(({ defer }) => defer === true)
    .map((tool) => ({ tool, name: wordsOf(tool.name), about: new Set(wordsOf(tool.description)) }));
  const seenIn = (word: string): number =>
    indexed.filter(({ name, about }) => name.includes(word) || about.has(word)).length;
  // A word that few tools have tells more than one that many have.
  const weights = new Map([...wanted].map((word) => [word, Math.log(1 + indexed.length / (1 + seenIn(word)))]));
  const ranked = indexed
    .map(({ tool, name, about }) => {
      let score = tool.name.toLowerCase() === query.toLowerCase() ? Number.MAX_SAFE_INTEGER : 0;
      for (const [word, weight] of weights)
        score += weight * ((name.includes(word) ? 3 : 0) + (about.has(word) ? 1 : 0));
      return { tool, score };
    })
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score || (a.tool.name < b.tool.name ? -1 : 1));
  const found: Found[] = [];
  let chars = 0;
  for (const { tool } of ranked.slice(0, limit)) {
    const text = `${tool.name}: ${tool.description}\narguments: ${JSON.stringify(tool.input)}`;
    chars += text.length;
    if (chars > LIMITS.toolsFoundChars) break;
    found.push({ name: tool.name, text });
  }
  return { found, others: ranked.length - found.length };
}

/** Words in lower case, of names too: `createInvoice` and `create_invoice` are two. */
const wordsOf = (text: string): string[] =>
  text
    .replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
