/** The people and programs around the agents: they send, answer and cancel, and never take no answer for an answer. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AnswerInput, Entry, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Run, SessionRecord } from './record.ts';
import { history } from './record.ts';
import type { Task, ToolName } from './tasks.ts';
import { happened, messageOf } from './tasks.ts';
import type { World } from './world.ts';

type Receipt = { session: string; run: Run; seq: number };

/** Sends a message until it is accepted. The same submission, sent again whenever, must give the same receipt. */
export async function send(world: World, record: SessionRecord, task: Task): Promise<void> {
  const submission = `${task.name} of ${world.seed}`;
  const session = record.id;
  const receipt = await post(world, session, task, submission);
  if (receipt === null) return;
  record.id = receipt.session;
  record.accepted.push({ task, submission, run: receipt.run, seq: receipt.seq });
  if (!world.dice.chance(0.3)) return;
  const again = async (): Promise<void> => {
    await delay(world.dice.below(2_000));
    const second = await post(world, session, task, submission);
    if (second !== null && JSON.stringify(second) !== JSON.stringify(receipt))
      world.violate(`${submission} was accepted as ${JSON.stringify(receipt)}, then as ${JSON.stringify(second)}`);
  };
  world.background('sending again', again());
}

async function post(world: World, session: string | null, task: Task, submission: string): Promise<Receipt | null> {
  const input = messageOf(task);
  return world.insist(async (client) => {
    if (session === null) {
      const opened = await client.call('sessions.create', { agent: 'clerk', input, submission });
      return { session: opened.session.id, run: (opened.run?.id ?? '') as Run, seq: opened.seq };
    }
    const { run, seq } = await client.call('runs.start', { session, input, submission });
    return { session, run: run.id as Run, seq };
  });
}

/** Cancels a run, unless it has ended before. What was accepted stays a cancel, whatever happens to the server. */
export async function cancel(world: World, record: SessionRecord, run: Run): Promise<void> {
  const session = record.id ?? '';
  record.asked.add(run);
  try {
    const life = await world.insist(async (client) => {
      await client.call('runs.cancel', { session, run });
      return world.life;
    });
    if (life !== null) record.cancelled.set(run, life);
  } catch (error) {
    if (!isCode(error, 'invalid_state')) throw error;
  }
}

/** Answers a wait that an entry opened, if a person is to (the server itself ends those of timers and tools): until it is accepted. */
export async function answer(world: World, record: SessionRecord, entry: Entry): Promise<void> {
  if (entry.kind !== 'wait.opened' || entry.data.kind === 'timer' || entry.data.kind === 'tool') return;
  const session = record.id ?? '';
  const { wait } = entry.data;
  await delay(world.dice.below(300));
  const found = await world.insist(async (client) => client.call('waits.list', { session }));
  const view = found?.waits.find(({ id }) => id === wait);
  // Closed by itself: its run was cancelled, or an earlier process heard in the end how the call went.
  if (view === undefined) return;
  const said = say(world, view);
  try {
    const receipt = await world.insist(async (client) => client.call('waits.resolve', { session, wait, answer: said }));
    if (receipt === null) return;
    record.resolved.push({ wait, seq: receipt.seq });
    const again = await world.insist(async (client) => client.call('waits.resolve', { session, wait, answer: said }));
    if (again !== null && again.seq !== receipt.seq)
      world.violate(`the answer to ${wait} of ${session} was accepted at ${receipt.seq}, then at ${again.seq}`);
  } catch (error) {
    // A run that ended in the meantime took its waits with it.
    if (!isCode(error, 'wait_resolved') && !isCode(error, 'not_found')) throw error;
    if (record.asked.has(entry.run ?? '')) return;
    // What a person is asked about may be heard while they say it.
    if (view.kind === 'outcome' && isCode(error, 'wait_resolved')) record.overtaken.push(wait);
    else world.violate(`${wait} (${view.kind}) of ${session} was not answered: ${String(error)}\n${history(record)}`);
  }
}

function say(world: World, { session, kind, call, digest, question }: WaitView): AnswerInput {
  switch (kind) {
    case 'approval':
      return { decision: 'approve', digest: digest ?? '' };
    case 'question':
      return { answer: `yes to ${/^may (\S+)/.exec(question ?? '')?.[1] ?? ''}` };
    case 'outcome': {
      const { order = '' } = (call?.arguments ?? {}) as { order?: string };
      // The truth is asked of the outside: nobody else knows.
      const isDone = world.outside.of(session, call?.id ?? '').length > 0;
      return isDone
        ? { outcome: 'done', content: happened(call?.name as ToolName, order) }
        : { outcome: 'retry', note: 'the outside has not seen it' };
    }
    default:
      throw new Error(`nobody expects a wait of kind ${kind}`);
  }
}

const isCode = (error: unknown, code: string): boolean => error instanceof ApiError && error.code === code;
