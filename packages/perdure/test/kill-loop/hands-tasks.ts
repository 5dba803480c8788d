/** What agents with hands are told to do, and the model that does it: one call after the other, by what stands in the messages. */
import type { ChatMessage, ChatReply, SeenRequest } from '@perdure/testkit';
import type { Dice } from './dice.ts';

export type HandTool =
  | 'write_file'
  | 'read_file'
  | 'edit_file'
  | 'shell'
  | 'shell_mounted'
  | 'job_start'
  | 'job_mounted'
  | 'job_read'
  | 'job_stop';
/** `order`: unlike any other. Of an argument, `DIGEST` and `JOB` stand for what was last told of one. */
export type HandCall = { order: string; tool: HandTool; args: { [name: string]: unknown } };
export type HandTask = { name: string; calls: HandCall[] };

export const SHARED = 'shared.txt';
/** Files below the folder that commands work in: a line for each command that ran, and for each job that began. */
export const LEDGER = 'ledger';
export const JOBS = 'jobs';

export function planHands(name: string, dice: Dice): HandTask {
  const kinds = Array.from({ length: dice.between(2, 3) }, () =>
    dice.pick(['note', 'share', 'effect', 'effect', 'tree', 'job', 'craft', 'halt', 'look'] as const),
  );
  return { name, calls: kinds.flatMap((kind, n) => callsOf(kind, `${name}-${n}`)) };
}

export function noteOf(name: string): HandTask {
  return { name, calls: callsOf('note', `${name}-0`) };
}

function callsOf(
  kind: 'note' | 'share' | 'effect' | 'tree' | 'job' | 'craft' | 'halt' | 'look',
  order: string,
): HandCall[] {
  switch (kind) {
    case 'note':
      return [{ order, tool: 'write_file', args: { path: `notes/${order}.txt`, content: `${order}\n` } }];
    case 'share': {
      const edits = [{ old: 'end\n', new: `${order}\nend\n` }];
      return [
        { order: `${order}r`, tool: 'read_file', args: { path: SHARED } },
        { order, tool: 'edit_file', args: { path: SHARED, digest: 'DIGEST', edits } },
      ];
    }
    case 'effect':
      return [{ order, tool: 'shell', args: { command: `sleep 0.02; echo ${order} >> ${LEDGER}; sleep 0.05` } }];
    case 'tree': {
      const at = `made/${order}`;
      const command = `mkdir -p ${at} && echo 1 > ${at}/a && sleep 0.05 && echo 2 > ${at}/b && sleep 0.02`;
      return [{ order, tool: 'shell_mounted', args: { command } }];
    }
    case 'job':
      return [
        { order, tool: 'job_start', args: { command: `echo ${order} >> ${JOBS}; echo ready; sleep 0.3; echo over` } },
        { order: `${order}r`, tool: 'job_read', args: { job: 'JOB', waitMs: 200 } },
      ];
    case 'craft':
    case 'halt': {
      // What others write into the shared file meanwhile must not be lost by it.
      const at = `crafted/${order}`;
      const command = `mkdir -p ${at} && echo 1 > ${at}/a && sed -i 's/^end$/${order}\\nend/' ${SHARED} && echo ready && sleep 0.3 && echo 2 > ${at}/b`;
      const begun: HandCall = { order, tool: 'job_mounted', args: { command } };
      const read: HandCall = { order: `${order}r`, tool: 'job_read', args: { job: 'JOB', waitMs: 400 } };
      const stop: HandCall = { order: `${order}s`, tool: 'job_stop', args: { job: 'JOB' } };
      return kind === 'halt' ? [begun, read, stop] : [begun, read];
    }
    case 'look':
      return [{ order, tool: 'job_read', args: { job: 'JOB' } }];
  }
}

export const handMessage = (task: HandTask): string => `Do this: ${JSON.stringify(task)}`;
/** When the model asked for a call (wall ms): it stands behind the call's order in the provider's id. */
export const askedAt = (providerId: string): number => Number(providerId.slice(providerId.lastIndexOf('_') + 1));
export const orderOf = (providerId: string): string => providerId.slice(0, providerId.lastIndexOf('_'));

export class HandsModel {
  /** What the model was told of each call, by its order. */
  readonly results = new Map<string, string>();
  /** How often it was asked. */
  asked = 0;
  readonly #dice: Dice;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  answer({ request }: SeenRequest): ChatReply {
    if (request === null) throw new Error('not a request that the provider would take');
    this.asked += 1;
    for (const message of request.messages)
      if (message.tool_call_id !== undefined) this.results.set(orderOf(message.tool_call_id), textOf(message));
    return { ...next(request.messages), bytesPerWrite: 400, delayPerWriteMs: this.#dice.below(8) };
  }
}

type Reply = { text: string; calls?: { id: string; name: string; arguments: object }[] };

function next(messages: readonly ChatMessage[]): Reply {
  const last = messages.findLastIndex(({ role }) => role === 'user');
  const said = textOf(messages[last]);
  const { calls } = JSON.parse(said.slice(said.indexOf('{'))) as HandTask;
  const done = new Set(messages.slice(last).flatMap(({ tool_call_id: id }) => (id === undefined ? [] : [orderOf(id)])));
  const told = messages.flatMap((message) => (message.role === 'tool' ? [textOf(message)] : []));
  for (const { order, tool, args } of calls) {
    const filled = done.has(order) ? null : fill(args, told);
    if (filled !== null) return { text: '', calls: [{ id: `${order}_${Date.now()}`, name: tool, arguments: filled }] };
  }
  return { text: 'All of it is done.' };
}

/** Null: nobody was told of such a thing. */
function fill(args: object, told: readonly string[]): object | null {
  let text = JSON.stringify(args);
  for (const [name, pattern] of [
    ['DIGEST', /digest ([\w-]{16})/],
    ['JOB', /job (r\d+t\d+c\d+)/],
  ] as const) {
    if (!text.includes(`"${name}"`)) continue;
    const found = told.findLast((each) => pattern.test(each));
    if (found === undefined) return null;
    text = text.replace(name, pattern.exec(found)?.[1] ?? '');
  }
  return JSON.parse(text) as object;
}

function textOf(message: ChatMessage | undefined): string {
  const content: unknown = message?.content;
  if (typeof content === 'string') return content;
  return Array.isArray(content) ? content.map((part: { text?: string }) => part.text ?? '').join('') : '';
}
