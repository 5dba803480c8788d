/** A conversation with an agent, line by line: at a terminal as a shell, without one as a filter. */
import type { SessionView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Connection } from '../connection.ts';
import { connectedOrEmbedded, placeOf } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import type { ExitCode } from '../exit.ts';
import { CommandError, EXIT, UsageError } from '../exit.ts';
import { known } from '../failures.ts';
import type { Asked } from '../mounts.ts';
import { mountsAsked, pushMounts, tellMounts } from '../mounts.ts';
import { isAtTerminal, tell } from '../output.ts';
import { untilStopped } from '../signals.ts';
import { Conversation } from './conversation.ts';
import { keepHistory, keepSession, lastSession, readHistory } from './kept.ts';
import { Pipe } from './piped.ts';
import { Chat } from './shell.ts';
import type { Input, Output } from './terminal.ts';
import { Terminal } from './terminal.ts';

export const chat: Run = async (context) => {
  const connection = await reach(context);
  try {
    const { client } = connection;
    const { agent, session } = context.flags;
    const asked = mountsAsked(context);
    const conversation = new Conversation(client, typeof agent === 'string' ? agent : null);
    if (typeof agent === 'string') await client.call('agents.get', { name: agent });
    const named = typeof session === 'string' ? session : null;
    const place = connection.kind === 'embedded' ? `this process, on ${placeOf(context)}` : client.url;
    if (!isAtTerminal()) {
      if (named !== null) checkAgent(await conversation.enter(named), agent);
      await mount(context, conversation, asked);
      return await new Pipe({ conversation, place, stopped: untilStopped() }).read(process.stdin);
    }
    const view = named === null ? await last(conversation, context) : await conversation.enter(named);
    checkAgent(view, agent);
    await mount(context, conversation, asked);
    return await converse(connection, { conversation, view, place, context }, process.stdin, process.stdout);
  } catch (error) {
    const text = known(error);
    if (text === null) throw error;
    throw new CommandError(EXIT.notAccepted, text);
  } finally {
    await connection.close();
  }
};

/** The session has them from its next run on. */
async function mount(context: Context, conversation: Conversation, asked: readonly Asked[]): Promise<void> {
  if (asked.length === 0) return;
  const mounts = await pushMounts(context, conversation.client, asked);
  await conversation.configure({ mounts });
  tellMounts(asked, mounts);
}

async function reach(context: Context): Promise<Connection> {
  try {
    return await connectedOrEmbedded(context);
  } catch (error) {
    const text = known(error);
    if (text === null) throw error;
    throw new CommandError(EXIT.notAccepted, text);
  }
}

function checkAgent(view: SessionView | null, agent: unknown): void {
  if (view !== null && typeof agent === 'string' && view.agent !== agent)
    throw new UsageError(`session ${view.id} is with agent ${view.agent}, not ${agent}`);
}

/** The session that the shell was in last at this place; with `--agent` only one with that agent. */
async function last(conversation: Conversation, context: Context): Promise<SessionView | null> {
  const session = lastSession(context.env, placeOf(context));
  if (session === null) return null;
  const { agent } = conversation;
  try {
    const view = await conversation.enter(session);
    if (agent === null || view?.agent === agent) return view;
  } catch (error) {
    // It is closed, or not here any more.
    if (!(error instanceof ApiError && error.code === 'not_found') && !(error instanceof CommandError)) throw error;
  }
  conversation.renew(agent);
  return null;
}

type Talk = { conversation: Conversation; view: SessionView | null; place: string; context: Context };

/** The shell, until the person leaves. */
export async function converse(
  { kind }: Pick<Connection, 'kind'>,
  { conversation, view, place, context }: Talk,
  input: Input,
  output: Output,
): Promise<ExitCode> {
  const { env } = context;
  const shell = new Chat({
    conversation,
    place,
    env,
    open: (typing) => {
      const typed = (lines: string[]): void => keepHistory(env, lines);
      return new Terminal({ input, output }, readHistory(env), { ...typing, typed });
    },
    entered: (session) => keepSession(env, placeOf(context), session),
  });
  const stops = ['SIGTERM', 'SIGHUP'] as const;
  const leave = (): void => shell.leave();
  const interrupt = (): void => shell.interrupt();
  for (const signal of stops) process.on(signal, leave);
  process.on('SIGINT', interrupt);
  try {
    shell.tell(`perdure at ${place}; /help shows what there is\n`);
    await shell.start(view);
    await shell.left;
  } finally {
    const { isBusy } = shell.close();
    for (const signal of stops) process.off(signal, leave);
    process.off('SIGINT', interrupt);
    hint(kind, conversation.session, isBusy);
  }
  return EXIT.ok;
}

function hint(kind: Connection['kind'], session: string | null, isBusy: boolean): void {
  if (session === null) return;
  tell(`session ${session}\n`);
  if (!isBusy) return;
  const how = kind === 'embedded' ? 'goes on when perdure up, or another perdure, starts on this data' : 'goes on';
  tell(`what runs there ${how}: perdure sessions watch ${session}\n`);
}
