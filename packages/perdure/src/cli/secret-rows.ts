/** Rows of the table on secrets and the keys of providers. */
import type { SettingName } from '../settings.ts';
import type { Command } from './table.ts';

const REMOTE: readonly SettingName[] = ['url', 'token', 'data', 'store'];
const json = { json: { value: null, about: 'Prints JSON: one document, or one event a line.' } } as const;
const secrets = async () => import('./commands/secrets.ts');
const auth = async () => import('./commands/auth.ts');

export const SECRET_ROWS: { readonly [name: string]: Command } = {
  'secrets set': {
    args: ['NAME'],
    about:
      'Keeps a secret, sealed: its value comes by standard input, or is typed unseen. Bound, it is given there alone.',
    settings: REMOTE,
    flags: {
      host: { value: 'HOST', many: true, about: 'Only for addresses of this host; *.example.com: of those below it.' },
      tool: { value: 'TOOL', many: true, about: 'Only for this tool.' },
      command: { value: 'PROGRAM', many: true, about: 'Only for commands of this program in the shell.' },
      ...json,
    },
    load: async () => (await secrets()).set,
  },
  'secrets list': {
    args: [],
    about: 'Lists secrets with what they are bound to; never their values.',
    settings: REMOTE,
    flags: json,
    load: async () => (await secrets()).list,
  },
  'secrets rotate': {
    args: [],
    about: 'Seals all secrets with a new key, or with the first of those that are given, while they are used.',
    settings: REMOTE,
    flags: json,
    load: async () => (await secrets()).rotate,
  },
  'secrets delete': {
    args: ['NAME'],
    about: 'Deletes a secret for good.',
    settings: REMOTE,
    flags: json,
    load: async () => (await secrets()).remove,
  },
  'auth login': {
    args: ['PROVIDER'],
    about: 'Keeps the key of a provider of models, sealed: it comes by standard input, or is typed unseen.',
    settings: [...REMOTE, 'config'],
    flags: json,
    load: async () => (await auth()).login,
  },
  'auth status': {
    args: [],
    about: 'Says which key is used for each provider, and where it comes from.',
    settings: [...REMOTE, 'config'],
    flags: json,
    load: async () => (await auth()).status,
  },
  'auth logout': {
    args: ['PROVIDER'],
    about: 'Deletes the key of a provider that is kept here.',
    settings: [...REMOTE, 'config'],
    flags: json,
    load: async () => (await auth()).logout,
  },
};
