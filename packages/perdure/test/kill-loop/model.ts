/** The provider's side: a model that follows its task by what stands in the messages, and nothing else. */
import type { ChatMessage, ChatReply, SeenRequest } from '@perdure/testkit';
import type { Dice } from './dice.ts';
import type { PlannedCall } from './tasks.ts';
import { closing, NOT_HAPPENED, planned, readTask } from './tasks.ts';

/** Answers of this many writes, each by itself: a kill finds the stream in the middle. */
const WRITES = 10;

export function playModel(dice: Dice): (seen: SeenRequest) => ChatReply {
  return ({ request }) => {
    if (request === null) throw new Error('not a request that the provider would take');
    if (dice.chance(0.02)) return { status: 503, headers: { 'retry-after': '0' } };
    const reply = answer(request.messages);
    const bytes = 2_000 + (reply.text?.length ?? 0) * 1.2;
    return { ...reply, bytesPerWrite: Math.ceil(bytes / WRITES), delayPerWriteMs: dice.below(12) };
  };
}

type Reply = { text?: string; calls?: { id: string; name: string; arguments: object }[] };

function answer(messages: readonly ChatMessage[]): Reply {
  const last = messages.findLastIndex(({ role }) => role === 'user');
  const task = readTask(textOf(messages[last]));
  const after = messages.slice(last + 1);
  const results = new Map(after.flatMap((message) => (message.role === 'tool' ? [resultOf(message)] : [])));
  const missing = planned(task).flatMap((call) => askAgain(call, results));
  if (missing.length > 0) return { calls: missing };
  const next = task.turns.find((calls) => calls.some(({ order }) => latest(order, results) === undefined));
  if (next !== undefined) return { text: 'I go on.', calls: next.map((call) => ask(call, call.order)) };
  return {
    text: closing(
      task,
      planned(task).map(({ order }) => latest(order, results)?.text ?? ''),
    ),
  };
}

type Results = ReadonlyMap<string, string>;
const AGAIN = '_again';

/** A call that was found not to have happened is asked for once more, under another id. */
function askAgain(call: PlannedCall, results: Results): ReturnType<typeof ask>[] {
  const known = latest(call.order, results);
  return known?.text === NOT_HAPPENED ? [ask(call, `${known.id}${AGAIN}`)] : [];
}

const ask = ({ tool, args }: PlannedCall, id: string): { id: string; name: string; arguments: object } => ({
  id,
  name: tool,
  arguments: args,
});

function latest(order: string, results: Results): { id: string; text: string } | undefined {
  let found: { id: string; text: string } | undefined;
  for (let id = order; ; id += AGAIN) {
    const text = results.get(id);
    if (text === undefined) return found;
    found = { id, text };
  }
}

const resultOf = (message: ChatMessage): [string, string] => [
  message.tool_call_id ?? '',
  textOf(message).split('\n')[0] ?? '',
];

function textOf(message: ChatMessage | undefined): string {
  const content: unknown = message?.content;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: { text?: string }) => part.text ?? '').join('');
}
