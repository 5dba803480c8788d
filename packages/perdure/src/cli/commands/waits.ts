/** What waits for somebody, and the answers. */
import type { Client, WaitView } from '@perdure/contract';
import type { AnswerMore } from '../answers.ts';
import { answerOf, described } from '../answers.ts';
import { connectedOrEmbedded, reading } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { CommandError, EXIT, UsageError } from '../exit.ts';
import { follow } from '../follow.ts';
import { dateTime, print, printJson, table, tell } from '../output.ts';
import { silent, TextRenderer } from '../render.ts';
import { untilStopped } from '../signals.ts';

export const list: Run = async (context) => {
  const waits = await reading(context, async (client) => openIn(client, context.args[0]));
  if (isJson(context)) printJson({ waits });
  else if (waits.length === 0) tell('nothing waits\n');
  else {
    const rows = waits.map((wait) => [
      `${wait.session}.${wait.id}`,
      wait.kind,
      dateTime(wait.openedAt),
      described(wait),
    ]);
    print(table([['WAIT', 'KIND', 'SINCE', 'FOR'], ...rows]));
  }
  return EXIT.ok;
};

async function openIn(client: Client, session: string | undefined): Promise<WaitView[]> {
  const sessions = session === undefined ? await waiting(client) : [session];
  const waits: WaitView[] = [];
  for (const id of sessions) waits.push(...(await client.call('waits.list', { session: id, limit: 1_000 })).waits);
  return waits;
}

/** A run may wait in one of its calls while another goes on: then its session is still running. */
async function waiting(client: Client): Promise<string[]> {
  const ids: string[] = [];
  for (const status of ['waiting', 'running'] as const) {
    let cursor: string | undefined;
    do {
      const page = await client.call('sessions.list', {
        status,
        limit: 1_000,
        ...(cursor === undefined ? {} : { cursor }),
      });
      ids.push(...page.sessions.filter(({ waits }) => waits.length > 0).map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
  }
  return ids;
}

export const answer: Run = async (context) => {
  const [name = '', said = ''] = context.args;
  const [, session, id] = /^(ses_[0-9A-Za-z]{26})\.(w\d+)$/.exec(name) ?? [];
  if (session === undefined || id === undefined)
    throw new UsageError(`'${name}' names no wait: it looks like ses_….w1, as perdure waits list shows it`);
  const stopped = untilStopped();
  const connection = await connectedOrEmbedded(context);
  const { client, kind } = connection;
  try {
    const { waits } = await client.call('waits.list', { session, limit: 1_000 });
    const wait = waits.find((candidate) => candidate.id === id);
    if (wait === undefined)
      throw new CommandError(
        EXIT.failed,
        `${id} of ${session} is not open: it was answered, has expired, or never was`,
      );
    const receipt = await client.call('waits.resolve', {
      session,
      wait: id as `w${number}`,
      answer: answerOf(wait, said, moreOf(context)),
    });
    if (isJson(context)) printJson(receipt);
    else print(kind === 'server' ? `accepted; follow it with perdure sessions watch ${session}\n` : 'accepted\n');
    if (kind === 'server') return EXIT.ok;
    // Nobody else is there to go on with it.
    const renderer = isJson(context) ? silent : new TextRenderer({ messages: () => false });
    const bounds = { timeoutMs: null, maxEvents: Infinity };
    return await follow({ client, session, run: wait.run, after: receipt.seq, bounds, renderer, ask: null, stopped });
  } finally {
    await connection.close();
  }
};

function moreOf({ flags }: Context): AnswerMore {
  const more: { [name: string]: string } = {};
  for (const name of ['note', 'arguments', 'content', 'scope', 'for']) {
    const value = flags[name];
    if (typeof value === 'string') more[name] = value;
  }
  return more;
}
