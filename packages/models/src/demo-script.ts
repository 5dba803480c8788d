import type { AskedCall, ToolDeclaration } from '@perdure/runtime/ports';
import { LIMITS } from './limits.ts';

/** What the demo model was asked to do in one answer. */
export type Plan = {
  calls: { name: string; arguments: string }[];
  text: string | null;
  fail: string | null;
  slowMs: number;
};

type Asked = Pick<AskedCall, 'name' | 'arguments'>;

/**
 * Reads a message as a script. Each line may be a command, and a line `then` ends what belongs to one answer:
 *
 *     slow 500            every answer takes this many milliseconds
 *     call TOOL {json}    calls a tool, its arguments verbatim; several lines are parallel calls
 *     say TEXT            answers exactly TEXT
 *     long N              answers with N words
 *     fail [once | filtered | STATUS]
 *
 * `null`: the message holds no command at all and is meant in plain language.
 */
export function readScript(message: string): Plan[] | null {
  const plans: Plan[] = [freshPlan()];
  let commands = 0;
  let slowMs = 0;
  for (const line of message.split('\n').map((raw) => raw.trim())) {
    if (line === 'then') {
      plans.push(freshPlan());
      continue;
    }
    const plan = plans[plans.length - 1] ?? freshPlan();
    const slow = /^slow (\d+)$/.exec(line);
    if (slow !== null) slowMs = Math.min(Number(slow[1]), LIMITS.demoSlowMs);
    if (slow !== null || readCommand(line, plan)) commands += 1;
  }
  for (const plan of plans) plan.slowMs = slowMs;
  return commands === 0 ? null : plans;
}

/** Adds what the line commands to the plan; false when it is no command. */
function readCommand(line: string, plan: Plan): boolean {
  const call = /^call (\S+)(?: (.*))?$/.exec(line);
  if (call !== null) {
    plan.calls.push({ name: call[1] ?? '', arguments: call[2] ?? '{}' });
    return true;
  }
  const said = /^say(?: (.*))?$/.exec(line);
  if (said !== null) {
    plan.text = plan.text === null ? (said[1] ?? '') : `${plan.text}\n${said[1] ?? ''}`;
    return true;
  }
  const long = /^long (\d+)$/.exec(line);
  if (long !== null) {
    plan.text = words(Math.min(Number(long[1]), LIMITS.demoWords));
    return true;
  }
  const fail = /^fail(?: (once|filtered|[45]\d\d))?$/.exec(line);
  if (fail !== null) plan.fail = fail[1] ?? 'always';
  return fail !== null;
}

const freshPlan = (): Plan => ({ calls: [], text: null, fail: null, slowMs: 0 });

const WORDS = ['each', 'step', 'is', 'written', 'down', 'before', 'it', 'is', 'taken'];

function words(count: number): string {
  return Array.from({ length: count }, (_, n) => WORDS[n % WORDS.length]).join(' ');
}

/** `What is 2 + 3?` → `2 + 3 = 5`; null when the message is not plainly a sum of two numbers. */
export function reckon(message: string): string | null {
  const found =
    /^(?:what is|what's|how much is|calculate|compute)?\s*(-?\d+(?:\.\d+)?)\s*([-+*/x×÷])\s*(-?\d+(?:\.\d+)?)\s*[?=.!]*$/i.exec(
      message.trim(),
    );
  if (found === null) return null;
  const [, left = '', sign = '', right = ''] = found;
  const result = apply(Number(left), sign.toLowerCase(), Number(right));
  // Twelve digits hide the binary rounding of decimal fractions.
  const shown = Number.isFinite(result) ? String(Number(result.toPrecision(12))) : 'not a number';
  return `${left} ${sign} ${right} = ${shown}`;
}

function apply(a: number, sign: string, b: number): number {
  if (sign === '+') return a + b;
  if (sign === '-') return a - b;
  if (sign === '/' || sign === '÷') return a / b;
  return a * b;
}

/**
 * The tool a message plainly asks for: its first word is the tool's name or a part of it (`read README.md` → `read`,
 * `files_read`), or it says `use NAME`. Null when there is none, or when its required arguments are not to be found.
 */
export function askedTool(message: string, tools: readonly ToolDeclaration[]): Asked | null {
  const text = message.trim().replace(/^please\s+/i, '');
  const [verb = ''] = text.split(/\s+/);
  const used = /\buse (?:the )?(?:tool )?[`"']?([\w./-]+)/i.exec(text)?.[1];
  const tool = tools.find(
    ({ name }) =>
      name === used ||
      name
        .toLowerCase()
        .split(/[_./-]/)
        .includes(verb.toLowerCase()),
  );
  if (tool === undefined) return null;
  const object = /\{.*\}/s.exec(text)?.[0];
  if (object !== undefined) return { name: tool.name, arguments: object };
  const filled = fill(tool, text.slice(verb.length).trim());
  return filled === null ? null : { name: tool.name, arguments: JSON.stringify(filled) };
}

/** A call that `toolChoice` demands: the tool with whatever arguments can be found. */
export function forcedTool(message: string, tool: ToolDeclaration): Asked {
  return askedTool(`use ${tool.name} ${message}`, [tool]) ?? { name: tool.name, arguments: '{}' };
}

function fill(tool: ToolDeclaration, rest: string): { [key: string]: unknown } | null {
  const required = Array.isArray(tool.input['required']) ? tool.input['required'].map(String) : [];
  const properties = (tool.input['properties'] ?? {}) as { [key: string]: { type?: unknown } | undefined };
  const filled: { [key: string]: unknown } = {};
  const numbers = rest.match(/-?\d+(?:\.\d+)?/g) ?? [];
  const texts = [...rest.matchAll(/"([^"]+)"|`([^`]+)`|'([^']+)'/g)].map((found) => found[1] ?? found[2] ?? found[3]);
  const path = /(?:^|\s)([\w@~-]*[./][\w./*-]*\w)/.exec(rest)?.[1];
  for (const name of required) {
    const type = properties[name]?.type;
    const isNumber = type === 'integer' || type === 'number';
    const alone = required.length === 1 && rest !== '' ? rest : undefined;
    const value = isNumber ? toNumber(numbers.shift()) : (texts.shift() ?? path ?? alone);
    if (value === undefined || (!isNumber && type !== 'string')) return null;
    filled[name] = value;
  }
  return filled;
}

const toNumber = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));

/** The plainest value that fits a JSON Schema, for agents that want structured output. */
export function sampleOf(schema: unknown, text: string): unknown {
  if (typeof schema !== 'object' || schema === null) return text;
  const { type, enum: choices, const: constant, properties } = schema as { [key: string]: unknown };
  if (constant !== undefined) return constant;
  if (Array.isArray(choices)) return choices[0];
  if (type === 'object' || properties !== undefined) {
    return Object.fromEntries(Object.entries(properties ?? {}).map(([name, inner]) => [name, sampleOf(inner, text)]));
  }
  if (type === 'array') return [];
  if (type === 'integer' || type === 'number') return Number(/-?\d+$/.exec(text)?.[0] ?? 0);
  if (type === 'boolean') return true;
  return type === 'null' ? null : text;
}
