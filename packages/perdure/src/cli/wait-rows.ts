/** The commands on what waits for somebody, as data. */
import type { Command, Flag } from './table.ts';

const waits = async () => import('./commands/waits.ts');
const settings = ['url', 'token', 'data', 'store'] as const;
const json: Flag = { value: null, about: 'Prints JSON: one document, or one event a line.' };

export const WAIT_ROWS: { readonly [name: string]: Command } = {
  'waits list': {
    args: ['SESSION?'],
    about: 'Lists what waits for somebody, in one session or in all.',
    settings,
    flags: { json },
    load: async () => (await waits()).list,
  },
  'waits answer': {
    args: ['SESSION.WAIT', 'ANSWER'],
    about:
      'Answers a wait: approve, deny or always; the text of an answer; done, failed or retry; tokens=N or usd=N; back or gone.',
    settings,
    flags: {
      note: { value: 'TEXT', about: 'Why; kept in the log with an approval or an outcome.' },
      arguments: { value: 'JSON', about: 'Approves other arguments than the model asked for.' },
      content: { value: 'TEXT', about: 'Of an outcome: what the model is told.' },
      scope: { value: 'SCOPE', about: 'Of always: session (default), agent or tenant.' },
      for: { value: 'TIME', about: 'Of always: how long it holds, such as 12h or 7d.' },
      json,
    },
    load: async () => (await waits()).answer,
  },
  'budget show': {
    args: [],
    about: 'Shows what may be spent in a day, a month (UTC) and in all, and what of it is spent and reserved.',
    settings: [...REMOTE, 'config'],
    flags: { ...whose, json },
    load: async () => (await budgets()).show,
  },
  'budget set': {
    args: [],
    about:
      'Caps what the tenant, an agent or a session may spend; runs that waited for room go on. Without whose: the tenant.',
    settings: [...REMOTE, 'config'],
    flags: {
      ...whose,
      day: { value: 'CAP', about: 'Of a day (UTC): 5usd, 200000tokens, both with a comma between, or none.' },
      month: { value: 'CAP', about: 'Of a month.' },
      total: { value: 'CAP', about: 'In all.' },
      'if-revision': { value: 'N', about: 'Only where the budget is at this revision.' },
      json,
    },
    load: async () => (await budgets()).set,
  },
};
