/** What many commands take. */
import type { SettingName } from '../settings.ts';
import type { Flag } from './table.ts';

export const JSON_FLAG: Flag = { value: null, about: 'Prints JSON: one document, or one event a line.' };
export const REMOTE: readonly SettingName[] = ['url', 'token', 'data', 'store'];
export const MOUNT: Flag = {
  value: 'DIR[:PATH][:ro]',
  many: true,
  about:
    'Pushes a folder into its workspace and mounts that, for tools to read and change; perdure workspace pull brings back what changed.',
};
