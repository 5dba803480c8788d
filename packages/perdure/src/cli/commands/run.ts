/** Sends one message and follows the run to its end. */
import { randomUUID } from 'node:crypto';
import type { Client, ConfigPatch, MessageInput } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { asker, isTerminal } from '../ask.ts';
import { boundsOf } from '../bounds.ts';
import type { Connection } from '../connection.ts';
import { connectedOrEmbedded } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import type { ExitCode } from '../exit.ts';
import { CommandError, EXIT, UsageError } from '../exit.ts';
import { filesNamed, putAll } from '../attach.ts';
import { known } from '../failures.ts';
import { follow } from '../follow.ts';
import { mountsAsked, pushMounts, tellMounts } from '../mounts.ts';
import { print, tell } from '../output.ts';
import { jsonLines, silent, TextRenderer } from '../render.ts';
import { untilStopped } from '../signals.ts';

type Accepted = { session: string; run: string; seq: number };
type Message = {
  input: MessageInput;
  agent: string | undefined;
  session: string | undefined;
  config: ConfigPatch | undefined;
};

export const run: Run = async (context) => {
  const { args, flags } = context;
  const quiet = flags['quiet'] === true;
  if (quiet && isJson(context)) throw new UsageError('--quiet and --json exclude each other');
  const bounds = boundsOf(context);
  const place = sessionNamed(context);
  const text = args[0] ?? '';
  if (text.trim() === '') throw new UsageError('the message is empty');
  const config = configOf(context);
  const attached = filesNamed(context);
  const asked = mountsAsked(context);
  // Whoever has asked for a cancel need not wait for it: any signal after that lets go of the run.
  const stopped = untilStopped(['SIGINT', 'SIGTERM', 'SIGHUP']);
  const connection = await reach(context);
  try {
    const { client } = connection;
    const input = attached.length === 0 ? text : [{ type: 'text' as const, text }, ...(await putAll(client, attached))];
    const mounts = await reaching(async () => pushMounts(context, client, asked));
    const mounted = mounts.length === 0 ? config : { ...config, mounts };
    const accepted = await send(client, { input, agent: named(context, 'agent'), session: place, config: mounted });
    const renderer = isJson(context) ? jsonLines : quiet ? silent : new TextRenderer({ messages: () => false });
    const { session } = accepted;
    // The stream's events are as they are: they do not name their session.
    if (isJson(context)) tell(`session ${session}, run ${accepted.run}\n`);
    const mayAsk = !quiet && !isJson(context) && isTerminal();
    const following = { client, session, run: accepted.run, after: accepted.seq - 1, bounds, renderer, stopped };
    const exit = await follow({ ...following, ask: mayAsk ? asker(client, session) : null });
    if (quiet) await printAnswer(client, accepted);
    else if (!isJson(context)) hint(connection, accepted, exit);
    if (!quiet && !isJson(context)) tellMounts(asked, mounts);
    return exit;
  } finally {
    await connection.close();
  }
};

/** What stands between the message and somebody who could take it is a refusal as well. */
const reach = async (context: Context): Promise<Connection> => reaching(async () => connectedOrEmbedded(context));

async function reaching<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const text = known(error);
    if (text === null) throw error;
    throw new CommandError(EXIT.notAccepted, `not accepted: ${text}`);
  }
}

function named({ flags }: Context, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}

/** One model, or a route of several in their order. */
function configOf(context: Context): ConfigPatch | undefined {
  const given = named(context, 'model');
  if (given === undefined) return undefined;
  const route = given.split(',').map((name) => name.trim());
  if (route.includes('')) throw new UsageError(`--model: '${given}' is no model, and no list of models: MODEL[,MODEL]`);
  return { model: route.length === 1 ? (route[0] ?? '') : route };
}

/** An id, or a key. */
function sessionNamed(context: Context): string | undefined {
  const session = named(context, 'session');
  if (session === undefined || SESSION_ID.test(session) || !MEANT_AS_ID.test(session)) return session;
  throw new UsageError(`'${session}' is no id of a session: ses_ and 26 characters, as perdure sessions list shows it`);
}

async function printAnswer(client: Client, { session, run: id }: Accepted): Promise<void> {
  const { text, truncated } = await client.call('runs.get', { session, run: id as `r${number}` });
  if (text !== '') print(`${text}\n`);
  if (truncated === true) tell(`perdure: the answer goes on: perdure sessions show ${session}\n`);
}

/** What a person can go on with. */
function hint({ kind }: Connection, { session }: Accepted, exit: ExitCode): void {
  tell(`session ${session}\n`);
  if (kind === 'embedded' && (exit === EXIT.needsPerson || exit === EXIT.timeout))
    tell('perdure: it ran in this process: it goes on when perdure up, or another run, starts on this data\n');
}

const SESSION_ID = /^ses_[0-9A-Za-z]{26}$/;
/** What begins like an id is meant as one: cut short or mistyped it must not become the key of a session of its own. */
const MEANT_AS_ID = /^ses_/;

/** Resolves when the message is accepted. Throws CommandError when it is not. */
async function send(client: Client, message: Message): Promise<Accepted> {
  try {
    return await offer(client, message);
  } catch (error) {
    const text = known(error);
    if (text === null) throw error;
    throw new CommandError(EXIT.notAccepted, `not accepted: ${text}`);
  }
}

async function offer(client: Client, { input, agent, session, config: own }: Message): Promise<Accepted> {
  const submission = `cli_${randomUUID()}`;
  const withAgent = agent === undefined ? {} : { agent };
  const config = own === undefined ? {} : { config: own };
  if (session === undefined && own?.mounts !== undefined) {
    // The session keeps what is mounted.
    const opened = await client.call('sessions.create', { ...withAgent, ...config, input, submission });
    return { session: opened.session.id, run: opened.run?.id ?? '', seq: opened.seq };
  }
  if (session === undefined) {
    const accepted = await client.call('runs.create', { ...withAgent, ...config, input, submission });
    return { session: accepted.session.id, run: accepted.run.id, seq: accepted.seq };
  }
  if (!SESSION_ID.test(session)) {
    const opened = await client.call('sessions.create', { ...withAgent, ...config, key: session, input, submission });
    return { session: opened.session.id, run: opened.run?.id ?? '', seq: opened.seq };
  }
  const found = await client.call('sessions.get', { session });
  if (agent !== undefined && found.agent !== agent)
    throw new ApiError('invalid_state', `session ${session} is with agent ${found.agent}, not ${agent}`);
  const started = await client.call('runs.start', { ...config, session, input, submission });
  return { session, run: started.run.id, seq: started.seq };
}
