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
};
