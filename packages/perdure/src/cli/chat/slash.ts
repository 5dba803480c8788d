/** The commands of the shell. Each is told where it stands, says what it has to say, and leaves the talking to the rest. */
import type { SessionView } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import { explained } from '../commands/explain.ts';
import { UsageError } from '../exit.ts';
import { dateTime, dollars, oneLine, table, visible } from '../output.ts';
import type { Conversation, RunId } from './conversation.ts';

/** What a command may do besides calling the server. */
export type Shell = {
  readonly conversation: Conversation;
  /** Where it is connected to, as people read it. */
  readonly place: string;
  /** The run that is active, or the last one of this conversation; null: there was none. */
  run(): { id: RunId; isActive: boolean } | null;
  tell: (text: string) => void;
  /** Sends a message. */
  say(text: string, mode: 'queue' | 'steer'): Promise<void>;
  /** The conversation is in another session now, or in none yet. */
  entered(view: SessionView | null): Promise<void>;
  leave(): void;
  /** What the last list showed, to be named by number. */
  listed: string[];
};
export type Slash = { args: string; about: string; do(shell: Shell, rest: string): Promise<void> };

export const COMMANDS: { readonly [name: string]: Slash } = {
  help: {
    args: '',
    about: 'Shows this.',
    do: async ({ tell }) => {
      const rows = Object.entries(COMMANDS).map(([name, { args, about }]) => [`/${name}${args}`, about]);
      tell(table(rows));
      tell(
        'A backslash at the end of a line goes on in the next; what is pasted is one message. //… begins with a slash.\n',
      );
      tell(
        'While a run works you may type: what you send waits its turn. Ctrl-C cancels the run, a second one leaves.\n',
      );
    },
  },
  new: { args: ' [AGENT]', about: 'Begins another session with the next message.', do: begin },
  sessions: { args: '', about: 'Lists sessions, newest first.', do: list },
  resume: {
    args: ' [N|ID|KEY]',
    about: 'Goes on in a session: by its number in the list, its id or its key.',
    do: resume,
  },
  model: { args: ' [NAME[,NAME]]', about: 'Shows the model, or takes others from the next run on.', do: model },
  status: { args: '', about: 'Says where this is, and what it has to do.', do: status },
  cancel: { args: '', about: 'Cancels the run that is active.', do: cancel },
  steer: {
    args: ' TEXT',
    about: 'Sends a message into the run that is active: it reads it at its next turn.',
    do: steer,
  },
  fork: { args: ' [SEQ]', about: 'Goes on in a copy of this session, as it is or as it was at a seq.', do: fork },
  compact: { args: '', about: 'Has the conversation so far summarised, to go on in less room.', do: compact },
  explain: { args: ' [RUN]', about: 'Says what the run is doing or waits for, and why.', do: explain },
  cost: { args: '', about: 'Says what this session took so far.', do: cost },
  quit: { args: '', about: 'Leaves. What runs on a server goes on.', do: async (shell) => shell.leave() },
};

/** A line that is a command, with what it is given; null: it is a message. Throws UsageError for an unknown command. */
export function slashOf(line: string): { slash: Slash; rest: string } | null {
  const [, name, rest = ''] = /^\/(?!\/)(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
  if (name === undefined) return null;
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (found === undefined)
    throw new UsageError(
      `there is no command /${visible(name)}: /help shows what there is; // begins a message with a slash`,
    );
  if (found.args === '' && rest.trim() !== '') throw new UsageError(`/${name} takes nothing behind it`);
  return { slash: found, rest: rest.trim() };
}

async function begin(shell: Shell, agent: string): Promise<void> {
  if (agent !== '') await shell.conversation.client.call('agents.get', { name: agent });
  shell.conversation.renew(agent === '' ? shell.conversation.agent : agent);
  await shell.entered(null);
}

async function list(shell: Shell): Promise<void> {
  const { sessions } = await shell.conversation.client.call('sessions.list', { limit: LIMITS.listedRows });
  shell.listed = sessions.map(({ id }) => id);
  if (sessions.length === 0) return shell.tell('there are no sessions yet\n');
  const rows = sessions.map(({ id, status: now, agent, updatedAt, title }, index) => [
    `${id === shell.conversation.session ? '*' : ' '}${index + 1}`,
    id,
    now,
    agent,
    dateTime(updatedAt),
    visible(oneLine(title, LIMITS.shownChars)),
  ]);
  shell.tell(table(rows));
}

async function resume(shell: Shell, name: string): Promise<void> {
  const { conversation, listed } = shell;
  const number = /^\d+$/.test(name) ? listed[Number(name) - 1] : undefined;
  if (name === '') {
    const { sessions } = await conversation.client.call('sessions.list', { limit: LIMITS.listedRows });
    const last = sessions.find(({ id, status: now }) => id !== conversation.session && now !== 'closed');
    if (last === undefined) throw new UsageError('there is no other session');
    return shell.entered(await conversation.enter(last.id));
  }
  await shell.entered(await conversation.enter(number ?? name));
}

async function model(shell: Shell, name: string): Promise<void> {
  const { conversation, tell } = shell;
  if (name !== '') {
    const route = name.split(',').map((each) => each.trim());
    await conversation.configure({ model: route.length === 1 ? name : route });
    return tell(`the next run is by ${name}\n`);
  }
  tell(`the model is ${await conversation.model()}\n`);
  const { models } = await conversation.client.call('models.list', { limit: LIMITS.listedRows });
  tell(`  /model NAME[,NAME] takes others${models.length === 0 ? '' : `: ${models.map(({ id }) => id).join(', ')}`}\n`);
}

async function status(shell: Shell): Promise<void> {
  const { conversation, tell, place } = shell;
  const view = await conversation.view();
  const run = shell.run();
  const rows = [
    ['server', place],
    ['session', view === null ? 'opens with the next message' : `${view.id} (${view.status})`],
    ['agent', conversation.agent ?? 'the first that is defined'],
    ['model', await conversation.model()],
    ...(run === null ? [] : [['run', `${run.id}${run.isActive ? '' : ', ended'}`]]),
    ...(view === null || view.queue.length === 0 ? [] : [['queued', view.queue.join(', ')]]),
    ...(view === null || view.waits.length === 0
      ? []
      : [['waits', view.waits.map(({ id, kind }) => `${id} (${kind})`).join(', ')]]),
    ...(view === null ? [] : [['entries', String(view.head)]]),
  ];
  tell(table(rows));
}

async function cancel(shell: Shell): Promise<void> {
  const run = shell.run();
  if (run?.isActive !== true) throw new UsageError('nothing runs');
  await shell.conversation.cancel(run.id);
}

async function steer(shell: Shell, text: string): Promise<void> {
  if (text === '') throw new UsageError('/steer takes the message: /steer TEXT');
  await shell.say(text, 'steer');
}

async function compact({ conversation, tell }: Shell): Promise<void> {
  const { session } = conversation;
  if (session === null) throw new UsageError('there is nothing to compact yet');
  await conversation.client.call('context.compact', { session });
  tell('the conversation is summarised before the next turn\n');
}

async function fork(shell: Shell, at: string): Promise<void> {
  const { conversation } = shell;
  const { session } = conversation;
  if (session === null) throw new UsageError('there is no session to fork yet');
  if (!/^\d{0,15}$/.test(at)) throw new UsageError(`/fork takes the seq of an entry, not '${visible(at)}'`);
  const forked = await conversation.client.call('sessions.fork', { session, ...(at === '' ? {} : { at: Number(at) }) });
  shell.tell(`forked ${session} at ${forked.session.forkedFrom?.seq ?? forked.seq}\n`);
  await shell.entered(await conversation.enter(forked.session.id));
}

async function explain(shell: Shell, name: string): Promise<void> {
  const { conversation } = shell;
  const run = name === '' ? shell.run()?.id : name;
  if (run === undefined || conversation.session === null) throw new UsageError('nothing ran here yet');
  if (!/^r\d+$/.test(run)) throw new UsageError(`'${visible(run)}' names no run: it looks like r1`);
  const given = { session: conversation.session, run: run as RunId };
  shell.tell(visible(explained(run, await conversation.client.call('explain.get', given))));
}

async function cost(shell: Shell): Promise<void> {
  const view = await shell.conversation.view();
  if (view === null) throw new UsageError('nothing ran here yet');
  const { usage, cost: spent } = view;
  const cached = usage.cachedInput > 0 ? ` (${usage.cachedInput} of them cached)` : '';
  const money = spent.price === null ? 'at an unknown price' : dollars(spent.nanoUsd);
  shell.tell(`${usage.input} tokens in${cached}, ${usage.output} out, ${money}\n`);
}
