/** Sessions from outside: list, show, watch, cancel, close. */
import type { Client, Message, SessionView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import { boundsOf } from '../bounds.ts';
import { connected, reading } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { CommandError, EXIT } from '../exit.ts';
import { dateTime, dollars, oneLine, print, printJson, table, tell } from '../output.ts';
import { jsonLines, plain, TextRenderer } from '../render.ts';
import { untilStopped } from '../signals.ts';
import { time } from '../time.ts';

const client = async (context: Context): Promise<Client> => (await connected(context)).client;
const sessionOf = ({ args }: Context): string => args[0] ?? '';

export const list: Run = async (context) => {
  const { agent, status } = context.flags;
  const query = {
    limit: 1_000,
    ...(typeof agent === 'string' ? { agent } : {}),
    ...(typeof status === 'string' ? { status: status as SessionView['status'] } : {}),
  };
  const page = await reading(context, async (api) => api.call('sessions.list', query));
  if (isJson(context)) printJson(page);
  else if (page.sessions.length === 0) tell('there are no sessions\n');
  else {
    const rows = page.sessions.map(({ id, agent: name, status: now, updatedAt, cost, title }) => [
      id,
      now,
      name,
      dateTime(updatedAt),
      dollars(cost.nanoUsd),
      oneLine(title, LIMITS.shownChars),
    ]);
    print(table([['SESSION', 'STATUS', 'AGENT', 'UPDATED', 'COST', 'TITLE'], ...rows]));
    if (page.next !== undefined) tell('there are more; --status and --agent narrow it down\n');
  }
  return EXIT.ok;
};

export const compact: Run = async (context) => {
  const session = sessionOf(context);
  const asked = await (await client(context)).call('context.compact', { session });
  if (isJson(context)) printJson(asked);
  else tell(`${session} is summarised at its next boundary between two turns: perdure sessions watch ${session}\n`);
  return EXIT.ok;
};

export const show: Run = async (context) => {
  const session = sessionOf(context);
  const { view, messages } = await reading(context, async (api) => ({
    view: await api.call('sessions.get', { session }),
    messages: await messagesOf(api, session),
  }));
  if (isJson(context)) printJson({ session: view, messages });
  else print(`${heading(view)}\n${messages.map(shown).join('\n')}`);
  return EXIT.ok;
};

async function messagesOf(api: Client, session: string): Promise<Message[]> {
  const messages: Message[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.call('messages.list', { session, ...(cursor === undefined ? {} : { cursor }) });
    messages.push(...page.messages);
    cursor = page.next;
  } while (cursor !== undefined);
  return messages;
}

function heading(view: SessionView): string {
  const { id, agent, status, key, head, usage, cost, waits, activeRun, forkedFrom, movedTo } = view;
  const rows = [
    ['session', id],
    ['agent', agent],
    ['status', status],
    ...(key === undefined ? [] : [['key', key]]),
    ...(forkedFrom === undefined ? [] : [['fork of', `${forkedFrom.session} at ${forkedFrom.seq}`]]),
    ...(movedTo === undefined ? [] : [['moved to', movedTo]]),
    ...(activeRun === undefined ? [] : [['run', activeRun]]),
    ...(waits.length === 0 ? [] : [['waits', waits.map((wait) => `${wait.id} (${wait.kind})`).join(', ')]]),
    ['entries', String(head)],
    ['tokens', `${usage.input} in, ${usage.output} out`],
    ['cost', cost.price === null ? 'unknown' : dollars(cost.nanoUsd)],
    ['updated', dateTime(view.updatedAt)],
  ];
  return table(rows);
}

function shown({ role, text, steps = [], status }: Message): string {
  const lines = steps.map((step) => {
    const result = step.result === undefined ? '' : `: ${plain(step.result)}`;
    const changed = (step.changed ?? []).map(({ workspace }) => ` [changed ${workspace}]`).join('');
    return `  · ${step.name} ${step.arguments === undefined ? '' : plain(step.arguments)} ${step.status}${result}${changed}\n`;
  });
  const mark = role === 'user' ? '> ' : '';
  const note = status === 'queued' || status === 'dropped' || status === 'cut' ? ` (${status})` : '';
  return `${text === '' ? '' : `${mark}${text}${note}\n`}${lines.join('')}`;
}

export const watch: Run = async (context) => {
  const bounds = boundsOf(context);
  const stopped = untilStopped();
  const api = await client(context);
  const renderer = isJson(context) ? jsonLines : new TextRenderer({ messages: () => true });
  const abort = new AbortController();
  void stopped.then(() => abort.abort());
  let isLate = false;
  const timer =
    bounds.timeoutMs === null
      ? null
      : time.timers.set(bounds.timeoutMs, () => {
          isLate = true;
          abort.abort();
        });
  let count = 0;
  try {
    const options = { signal: abort.signal, maxAttempts: LIMITS.streamAttempts };
    for await (const event of api.events(sessionOf(context), options)) {
      if (event.type === 'resync') tell(`perdure: entries up to ${event.after} are passed by: ${event.reason}\n`);
      if (event.type === 'entry') renderer.entry(event.entry);
      if (event.type === 'delta') renderer.delta(event.delta);
      if (event.type === 'entry' || event.type === 'delta') count += 1;
      if (count >= bounds.maxEvents) return EXIT.timeout;
    }
    return isLate ? EXIT.timeout : EXIT.ok;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'unavailable' && count > 0)
      throw new CommandError(EXIT.streamLost, error.message);
    throw error;
  } finally {
    renderer.rest();
    timer?.cancel();
    abort.abort();
  }
};

export const cancel: Run = async (context) => {
  const api = await client(context);
  const session = sessionOf(context);
  const { activeRun } = await api.call('sessions.get', { session });
  if (activeRun === undefined) throw new CommandError(EXIT.failed, `nothing runs in session ${session}`);
  const run = await api.call('runs.cancel', { session, run: activeRun as `r${number}` });
  if (isJson(context)) printJson(run);
  else print(`${session}.${run.id} is ${run.status}\n`);
  return EXIT.ok;
};

export const close: Run = async (context) => {
  const view = await (await client(context)).call('sessions.close', { session: sessionOf(context) });
  if (isJson(context)) printJson(view);
  else print(`${view.id} is ${view.status === 'closed' ? 'closed' : 'closing'}\n`);
  return EXIT.ok;
};

export const remove: Run = async (context) => {
  const view = await (await client(context)).call('sessions.delete', { session: sessionOf(context) });
  if (isJson(context)) printJson(view);
  else print(`${view.id} is deleted\n`);
  return EXIT.ok;
};

export const readmit: Run = async (context) => {
  const view = await (await client(context)).call('sessions.readmit', { session: sessionOf(context) });
  if (isJson(context)) printJson(view);
  else print(`${view.id} is tried again: perdure sessions show ${view.id}\n`);
  return EXIT.ok;
};
