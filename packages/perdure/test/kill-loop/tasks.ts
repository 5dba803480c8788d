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

export type TaskShape = {
  tools?: readonly [ToolName, ...ToolName[]];
  turns?: number;
  callsPerTurn?: number;
  /** Every delay of a tool, in ms at most. */
  slowMs?: number;
};

const TOOLS = ['lookup', 'charge', 'charge', 'ship', 'ship', 'mail', 'mail', 'refund', 'report', 'ask', 'sleep'] as const;

export function plan(name: string, dice: Dice, shape: TaskShape = {}): Task {
  const turns = Array.from({ length: shape.turns ?? dice.between(1, 4) }, (_, turn) =>
    Array.from({ length: shape.callsPerTurn ?? dice.between(1, 3) }, (_, call) =>
      planCall(`${name}-${turn}-${call}`, dice.pick(shape.tools ?? TOOLS), dice, shape.slowMs ?? 80),
    ),
  );
  return { name, turns, padding: dice.chance(0.1) ? 70_000 : 0 };
}

function planCall(order: string, tool: ToolName, dice: Dice, slowMs: number): PlannedCall {
  switch (tool) {
    case 'ask':
      return { order, tool, args: { question: `may ${order} go on?` }, says: `yes to ${order}` };
    case 'sleep':
      return { order, tool, args: { seconds: dice.between(10, 20) / 10 }, says: SLEPT };
    default: {
      const args = { order, cents: dice.between(1, 100_000), beforeMs: dice.below(slowMs), afterMs: dice.below(slowMs) };
      return { order, tool, args, says: happened(tool, order) };
    }
  }
}

/** What `sleep` gives when its time is over. */
const SLEPT = 'The time has passed.';
/** What the outside says of an effect that happened. */
export const happened = (tool: ToolName, order: string): string => `${tool} of ${order} done`;
/** What `mail` says of an effect that its verify found missing: the agent then asks for it again. */
export const NOT_HAPPENED = 'it did not happen';

export const messageOf = (task: Task): string => `Do this: ${JSON.stringify(task)}`;
export const readTask = (message: string): Task => JSON.parse(message.slice(message.indexOf('{'))) as Task;

export const planned = (task: Task): PlannedCall[] => task.turns.flat();
/** The text a run of this task must end with. */
export const finalText = (task: Task): string => closing(task, planned(task).map(({ says }) => says));
export const closing = (task: Task, results: readonly string[]): string =>
  `${task.name}: ${results.join(' | ')}${'.'.repeat(task.padding)}`;
