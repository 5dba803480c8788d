/** The commands, as data: what they are called, what they take, and where their code is. Help and parsing read it. */
import type { SettingName } from '../settings.ts';
import type { Run } from './context.ts';
import { JSON_FLAG, MOUNT, REMOTE } from './flags.ts';
import { SECRET_ROWS } from './secret-rows.ts';
import { WAIT_ROWS } from './wait-rows.ts';
import { POLICY_ROWS } from './policy-rows.ts';
import { WORKSPACE_ROWS } from './workspace-rows.ts';

export type Flag = {
  /** The value as help shows it; null: the flag stands alone. */
  value: string | null;
  /** It may be given more than once. */
  many?: true;
  about: string;
};
export type Command = {
  /** What follows the name, as help shows it; `?` behind a name makes it optional. */
  args: readonly string[];
  about: string;
  /** Settings that may be given as flags. */
  settings: readonly SettingName[];
  flags: { readonly [name: string]: Flag };
  load: () => Promise<Run>;
};

const json = { json: JSON_FLAG };
const sessions = async () => import('./commands/sessions.ts');
const forks = async () => import('./commands/forks.ts');
const transfers = async () => import('./commands/transfers.ts');
const agents = async () => import('./commands/agents.ts');
const budgets = async () => import('./commands/budget.ts');
const models = async () => import('./commands/models.ts');
const whose = {
  tenant: { value: null, about: 'That of all sessions together.' },
  agent: { value: 'NAME', about: 'That of all sessions with this agent.' },
  session: { value: 'ID', about: 'That of one session.' },
} as const;
const watching = {
  timeout: { value: 'SECONDS', about: 'Stops watching after so long; the run goes on.' },
  'max-events': { value: 'N', about: 'Stops watching after so many events; the run goes on.' },
} as const;

export const COMMANDS: { readonly [name: string]: Command } = {
  init: {
    args: ['DIR?'],
    about: 'Writes a project that works: an agent as a folder, tools, a test. Here, or into a new folder.',
    settings: [],
    flags: json,
    load: async () => (await import('./commands/init.ts')).init,
  },
  dev: {
    args: [],
    about: 'Starts the server, and starts it anew when a file of the project changes; sessions go on.',
    settings: ['port', 'host', 'data', 'store', 'engine', 'restate', 'config', 'token'],
    flags: {},
    load: async () => (await import('./commands/dev.ts')).dev,
  },
  'dev check': {
    args: [],
    about: 'Loads the project and ends: 0 where it can be served. dev asks for it before it restarts.',
    settings: ['port', 'host', 'data', 'store', 'engine', 'restate', 'config', 'token'],
    flags: {},
    load: async () => (await import('./commands/dev.ts')).check,
  },
  up: {
    args: [],
    about: 'Starts the server on the data folder, and goes on with what was unfinished.',
    settings: ['port', 'host', 'data', 'store', 'engine', 'restate', 'config', 'token'],
    flags: {},
    load: async () => (await import('./commands/up.ts')).up,
  },
  gateway: {
    args: [],
    about: 'Takes requests and shows streams of a store that processes share (--store postgres://...); workers work.',
    settings: ['port', 'host', 'data', 'store', 'engine', 'restate', 'config', 'token'],
    flags: {},
    load: async () => (await import('./commands/gateway.ts')).gateway,
  },
  worker: {
    args: [],
    about: 'Works on the sessions of a store that processes share (--store postgres://...); clients talk to gateways.',
    settings: ['data', 'store', 'engine', 'restate', 'config'],
    flags: {
      agents: { value: 'NAMES', many: true, about: 'Only sessions with these agents, named with commas between.' },
      queue: { value: 'QUEUE', many: true, about: 'Only agents of this queue; by default of the queue default.' },
    },
    load: async () => (await import('./commands/worker.ts')).worker,
  },
  run: {
    args: ['MESSAGE'],
    about: 'Sends a message and follows the run to its end. Without a server it runs in this process.',
    settings: [...REMOTE, 'config'],
    flags: {
      agent: { value: 'NAME', about: 'The agent; by default the first one that is defined.' },
      session: { value: 'ID|KEY', about: 'A session that is there, or a key that opens or finds one.' },
      model: {
        value: 'MODEL[,MODEL]',
        about: 'The model of this run, and those that are tried after it; a session that it opens keeps it.',
      },
      attach: { value: 'FILE', many: true, about: 'Sends an image or a file along; may be given more than once.' },
      mount: MOUNT,
      quiet: { value: null, about: 'Prints the final answer only.' },
      ...json,
      ...watching,
    },
    load: async () => (await import('./commands/run.ts')).run,
  },
  chat: {
    args: [],
    about:
      'Talks with an agent, on the last session or a new one. Without a command, at a terminal, perdure does this.',
    settings: [...REMOTE, 'config'],
    flags: {
      agent: { value: 'NAME', about: 'The agent of a new session; by default the first one that is defined.' },
      session: { value: 'ID|KEY', about: 'A session that is there, or a key that opens or finds one.' },
      mount: MOUNT,
    },
    load: async () => (await import('./chat/index.ts')).chat,
  },
  'sessions list': {
    args: [],
    about: 'Lists sessions, newest first.',
    settings: REMOTE,
    flags: {
      agent: { value: 'NAME', about: 'Only sessions with this agent.' },
      status: { value: 'STATUS', about: 'Only idle, running, waiting, closed or quarantined ones.' },
      ...json,
    },
    load: async () => (await sessions()).list,
  },
  'sessions show': {
    args: ['SESSION'],
    about: 'Shows a session with its conversation.',
    settings: REMOTE,
    flags: json,
    load: async () => (await sessions()).show,
  },
  'sessions watch': {
    args: ['SESSION'],
    about: 'Follows a session live, from its beginning.',
    settings: REMOTE,
    flags: { ...json, ...watching },
    load: async () => (await sessions()).watch,
  },
  'sessions cancel': {
    args: ['SESSION'],
    about: 'Cancels the run that is active in a session.',
    settings: REMOTE,
    flags: json,
    load: async () => (await sessions()).cancel,
  },
  'sessions context': {
    args: ['SESSION', 'KEY?', 'CONTENT?'],
    about: 'Lists the context slots of a session, shows one, or sets one: every request carries it.',
    settings: REMOTE,
    flags: {
      delete: { value: null, about: 'Takes the slot away.' },
      'if-revision': { value: 'N', about: 'Only where the slot is at this revision; 0: only where there is none.' },
      ...json,
    },
    load: async () => (await import('./commands/context.ts')).context,
  },
  'sessions compact': {
    args: ['SESSION'],
    about: 'Has the conversation so far summarised: models read the summary from then on, and the log keeps it all.',
    settings: REMOTE,
    flags: json,
    load: async () => (await sessions()).compact,
  },
  'sessions fork': {
    args: ['SESSION'],
    about: 'Makes a session that begins as this one was; what was open there ends, and never runs in it.',
    settings: [...REMOTE, 'config'],
    flags: {
      at: { value: 'SEQ', about: 'Where: the seq of the last entry both share. By default the last there is.' },
      model: { value: 'MODEL', about: 'Runs of the fork use this model.' },
      instructions: { value: 'TEXT', about: 'Runs of the fork have these instructions.' },
      effort: { value: 'LEVEL', about: 'minimal, low, medium or high.' },
      temperature: { value: 'N', about: 'From 0 to 2.' },
      submission: { value: 'ID', about: 'Asked for again with the same one, it is the same fork.' },
      ...json,
    },
    load: async () => (await forks()).fork,
  },
  'sessions diff': {
    args: ['SESSION', 'OTHER'],
    about: 'Sets two sessions side by side: from where they differ, in what, and what each took.',
    settings: REMOTE,
    flags: json,
    load: async () => (await forks()).diff,
  },
  'sessions export': {
    args: ['SESSION'],
    about: 'Writes a session into a file: its log, its content, all it needs to go on elsewhere.',
    settings: REMOTE,
    flags: {
      out: { value: 'FILE', about: 'The file, which must not be there yet; without it, standard output.' },
      move: { value: null, about: 'Seals the session first: it goes on where the file is imported, and no more here.' },
      to: { value: 'NAME', about: 'With --move: what is told here of where it has gone.' },
      ...json,
    },
    load: async () => (await transfers()).exportTo,
  },
  'sessions import': {
    args: ['FILE'],
    about: 'Brings an exported session: one that was moved goes on here, any other becomes a fork.',
    settings: REMOTE,
    flags: json,
    load: async () => (await transfers()).importFrom,
  },
  'sessions verify': {
    args: ['SESSION?'],
    about: 'Reads the log of a session, or all logs, again and says whether they are whole.',
    settings: REMOTE,
    flags: json,
    load: async () => (await transfers()).verify,
  },
  'sessions close': {
    args: ['SESSION'],
    about: 'Closes a session for good: it takes no more messages.',
    settings: REMOTE,
    flags: json,
    load: async () => (await sessions()).close,
  },
  'sessions delete': {
    args: ['SESSION'],
    about: 'Erases the content of a session that is closed or quarantined, for good.',
    settings: REMOTE,
    flags: json,
    load: async () => (await sessions()).remove,
  },
  'sessions readmit': {
    args: ['SESSION'],
    about: 'Lifts the quarantine of a session: it is tried again, and parked again if it fails again.',
    settings: REMOTE,
    flags: json,
    load: async () => (await sessions()).readmit,
  },
  search: {
    args: ['QUERY'],
    about:
      'Searches what was said in all sessions, newest first: every word, and "words in quotes" that follow each other.',
    settings: REMOTE,
    flags: {
      agent: { value: 'NAME', about: 'Only sessions with this agent.' },
      limit: { value: 'N', about: 'At most so many; by default 20.' },
      cursor: { value: 'CURSOR', about: 'Goes on where an earlier search ended.' },
      ...json,
    },
    load: async () => (await import('./commands/search.ts')).search,
  },
  ...WAIT_ROWS,
  ...WORKSPACE_ROWS,
  'budget show': {
    args: [],
    about: 'Shows what may be spent in a day, a month (UTC) and in all, and what of it is spent and reserved.',
    settings: [...REMOTE, 'config'],
    flags: { ...whose, ...json },
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
      ...json,
    },
    load: async () => (await budgets()).set,
  },
  ...POLICY_ROWS,
  'agents list': {
    args: [],
    about: 'Lists the agents that are defined.',
    settings: REMOTE,
    flags: json,
    load: async () => (await agents()).list,
  },
  'agents show': {
    args: ['NAME'],
    about: 'Shows an agent with its tools, limits and policies.',
    settings: REMOTE,
    flags: json,
    load: async () => (await agents()).show,
  },
  'models list': {
    args: [],
    about: 'Lists the models of the catalog and of the configuration: prices in US dollars for a million tokens.',
    settings: REMOTE,
    flags: { ready: { value: null, about: 'Only those that can be used as things are.' }, ...json },
    load: async () => (await models()).list,
  },
  ...SECRET_ROWS,
  explain: {
    args: ['SESSION.RUN'],
    about: 'Says what a run is doing or waits for, and why.',
    settings: REMOTE,
    flags: json,
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  status: {
    args: [],
    about: 'Says which server commands talk to, and what it has to do.',
    settings: REMOTE,
    flags: json,
    load: async () => (await import('./commands/status.ts')).status,
  },
  preflight: {
    args: [],
    about:
      'Looks at what is unfinished with these agents and this build, and says what would be otherwise. Calls nothing.',
    settings: ['config', 'data', 'store'],
    flags: json,
    load: async () => (await import('./commands/preflight.ts')).checkFlight,
  },
  doctor: {
    args: [],
    about: 'Shows each setting with where it comes from, and looks for what would go wrong.',
    settings: ['port', 'host', 'data', 'store', 'engine', 'restate', 'config', 'token', 'url'],
    flags: json,
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  migrate: {
    args: [],
    about: 'Brings the schema of a store in Postgres up to date. Run it once no older build is at work on it.',
    settings: ['store', 'config'],
    flags: {
      check: { value: null, about: 'Changes nothing: 0 where the schema is up to date, 1 where it is not.' },
      ...json,
    },
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  connect: {
    args: ['URL?'],
    about: 'Remembers a server, so that commands talk to it from any folder. Without URL it says which one.',
    settings: ['token'],
    flags: {
      forget: { value: null, about: 'Forgets it: commands find the server of their data folder again.' },
      ...json,
    },
    load: async () => (await import('./commands/connect.ts')).connect,
  },
  simulate: {
    args: [],
    about: 'Crash-tests the agents of a configuration: deaths at every point, promises and your invariants checked.',
    settings: ['config'],
    flags: {
      seeds: { value: 'N', about: 'Runs with several faults, after each fault was tried alone (default 100).' },
      from: { value: 'SEED', about: 'The first seed (default 1).' },
      'real-effects': { value: null, about: 'Runs tools that act although no simulation says what they act on.' },
      ...json,
    },
    load: async () => (await import('./commands/simulate.ts')).simulate,
  },
  docs: {
    args: ['TOPIC?'],
    about: 'Shows a guide, or lists them.',
    settings: [],
    flags: json,
    load: async () => (await import('./commands/docs.ts')).docs,
  },
  help: {
    args: ['COMMAND...?'],
    about: 'Shows this, or the help of one command.',
    settings: [],
    flags: {},
    load: async () => (await import('./commands/help.ts')).help,
  },
  version: {
    args: [],
    about: 'Prints the version.',
    settings: [],
    flags: {},
    load: async () => (await import('./commands/version.ts')).showVersion,
  },
};
