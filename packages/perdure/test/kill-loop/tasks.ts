/** What the agents of the kill loop are told to do, and what must come of it whatever happens to the server. */
import type { Dice } from './dice.ts';

/**
 * `lookup` is pure, `charge` keyed, `ship` unsafe, `mail` unsafe with a verify, `refund` unsafe behind an approval;
 * `ask` and `sleep` park.
 */
export type ToolName = 'lookup' | 'charge' | 'ship' | 'mail' | 'refund' | 'report' | 'ask' | 'sleep';
export type PlannedCall = {
  /** Unlike any other in the world: what the outside and the final text are compared by. */
  order: string;
  tool: ToolName;
  args: { [name: string]: unknown };
  /** The first line of its result. */
  says: string;
};
/** A message to an agent: turns of calls, then an answer with `padding` more characters. */
export type Task = { name: string; turns: PlannedCall[][]; padding: number };

/** Each delay of a tool, in ms at most. */
const SLOW_MS = 60;

const TOOLS = [
  'lookup',
  'charge',
  'charge',
  'ship',
  'ship',
  'mail',
  'mail',
  'refund',
  'report',
  'ask',
  'sleep',
] as const;

export function plan(name: string, dice: Dice): Task {
  const turns = Array.from({ length: dice.between(1, 3) }, (_, turn) =>
    Array.from({ length: dice.between(1, 2) }, (_, call) => planCall(`${name}-${turn}-${call}`, dice)),
  );
  return { name, turns, padding: dice.chance(0.1) ? 70_000 : 0 };
}

function planCall(order: string, dice: Dice): PlannedCall {
  const tool = dice.pick(TOOLS);
  const seconds = dice.between(10, 20) / 10;
  return callOf(tool, order, { beforeMs: dice.below(SLOW_MS), afterMs: dice.below(SLOW_MS), seconds });
}

/** One turn with one call, and the answer. */
export function single(name: string, tool: ToolName, pace: Partial<Pace> = {}): Task {
  return { name, turns: [[callOf(tool, `${name}-0-0`, { beforeMs: 0, afterMs: 0, seconds: 1, ...pace })]], padding: 0 };
}

/** Of effects: how long before and after it the tool takes; of `sleep`: how long it is. */
type Pace = { beforeMs: number; afterMs: number; seconds: number };

function callOf(tool: ToolName, order: string, { beforeMs, afterMs, seconds }: Pace): PlannedCall {
  if (tool === 'ask') return { order, tool, args: { question: `may ${order} go on?` }, says: `yes to ${order}` };
  if (tool === 'sleep') return { order, tool, args: { seconds }, says: SLEPT };
  return { order, tool, args: { order, beforeMs, afterMs }, says: happened(tool, order) };
}

/** What `sleep` gives when its time is over. */
const SLEPT = 'The time has passed.';
/** What the outside says of an effect that happened. */
export const happened = (tool: ToolName, order: string): string => `${tool} of ${order} done`;
/** What `mail` says of an effect that its verify found missing: the agent then asks for it again. */
export const NOT_HAPPENED = '[failed] it did not happen';

export const messageOf = (task: Task): string => `Do this: ${JSON.stringify(task)}`;
export const readTask = (message: string): Task => JSON.parse(message.slice(message.indexOf('{'))) as Task;

export const planned = (task: Task): PlannedCall[] => task.turns.flat();
/** The text a run of this task must end with. */
export const finalText = (task: Task): string =>
  closing(
    task,
    planned(task).map(({ says }) => says),
  );
export const closing = (task: Task, results: readonly string[]): string =>
  `${task.name}: ${results.join(' | ')}${'.'.repeat(task.padding)}`;
