/** Context slots of a session from outside: list, show, set, take away. */
import type { ContextSlot } from '@perdure/contract';
import { LIMITS } from '../../limits.ts';
import { connected } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dateTime, oneLine, print, printJson, table, tell } from '../output.ts';

export const context: Run = async (context) => {
  const [session = '', key, content] = context.args;
  const removes = context.flags['delete'] === true;
  const given = context.flags['if-revision'];
  const revision = typeof given === 'string' ? { ifRevision: wholeNumber(given) } : {};
  if (removes && (key === undefined || content !== undefined)) throw new UsageError('--delete needs KEY alone');
  if (typeof given === 'string' && content === undefined && !removes)
    throw new UsageError('--if-revision belongs to a change: give CONTENT, or --delete');
  const { client: api } = await connected(context);
  if (key === undefined) {
    const page = await api.call('context.list', { session, limit: 1_000 });
    if (isJson(context)) printJson(page);
    else if (page.slots.length === 0) tell('the session has no context slots\n');
    else print(table([['KEY', 'REVISION', 'UPDATED', 'CONTENT'], ...page.slots.map(row)]));
    return EXIT.ok;
  }
  if (removes) {
    const receipt = await api.call('context.delete', { session, key, ...revision });
    if (isJson(context)) printJson(receipt);
    else print(`${key} is taken away\n`);
    return EXIT.ok;
  }
  const slot =
    content === undefined
      ? await api.call('context.get', { session, key })
      : await api.call('context.set', { session, key, content, ...revision });
  if (isJson(context)) printJson(slot);
  else print(content === undefined ? `${slot.content}\n` : `${key} is at revision ${slot.revision}\n`);
  return EXIT.ok;
};

const row = ({ key, revision, updatedAt, content }: ContextSlot): string[] => [
  key,
  String(revision),
  dateTime(updatedAt),
  oneLine(content, LIMITS.shownChars),
];

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--if-revision is a whole number, not '${text}'`);
  return Number(text);
}
