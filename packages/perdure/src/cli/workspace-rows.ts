/** The commands of workspaces. */
import { JSON_FLAG, REMOTE } from './flags.ts';
import type { Command } from './table.ts';

const json = { json: JSON_FLAG };
const workspaces = async () => import('./commands/workspace.ts');

export const WORKSPACE_ROWS: { readonly [name: string]: Command } = {
  'workspace push': {
    args: ['DIR', 'NAME?'],
    about: 'Brings a folder into a workspace, which sessions can mount. Only what is missing there is sent.',
    settings: REMOTE,
    flags: {
      exclude: {
        value: 'PATTERN',
        many: true,
        about: 'Leaves out what fits, as a line of .perdureignore does: *.log, build/, !keep.log.',
      },
      force: { value: null, about: 'The workspace becomes as the folder is, whatever was changed there.' },
      ...json,
    },
    load: async () => (await workspaces()).push,
  },
  'workspace pull': {
    args: ['NAME', 'DIR'],
    about: 'Brings a workspace into a folder. What was changed in the folder stays, and is never overwritten unasked.',
    settings: REMOTE,
    flags: {
      exclude: { value: 'PATTERN', many: true, about: 'Leaves out what fits; what stands there is not touched.' },
      force: { value: null, about: 'Takes what the workspace has, also where the folder was changed.' },
      ...json,
    },
    load: async () => (await workspaces()).pull,
  },
  'workspace diff': {
    args: ['A', 'B'],
    about: 'Says what differs between two of: a workspace, a folder (./DIR), a tree (tree:DIGEST).',
    settings: REMOTE,
    flags: {
      exclude: { value: 'PATTERN', many: true, about: 'Of a folder, leaves out what fits.' },
      ...json,
    },
    load: async () => (await workspaces()).diff,
  },
  'workspace undo': {
    args: ['SESSION.RUN'],
    about: 'Puts back what a run changed in workspaces; refused where others have changed the same since.',
    settings: REMOTE,
    flags: json,
    load: async () => (await workspaces()).undo,
  },
  'workspace list': {
    args: [],
    about: 'Lists workspaces.',
    settings: REMOTE,
    flags: json,
    load: async () => (await workspaces()).list,
  },
  'workspace delete': {
    args: ['NAME'],
    about: 'Takes a workspace away: sessions that have it mounted find nothing there.',
    settings: REMOTE,
    flags: json,
    load: async () => (await workspaces()).remove,
  },
};
