/** What a workspace is called that was not given a name. */
import { basename } from 'node:path';
import { workspaceNameSchema } from '@perdure/contract';

/** The folder's own name, as far as it is one for a workspace. */
export function nameFor(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/^[._-]+|[._-]+$/g, '')
    .slice(0, 64);
  return workspaceNameSchema.safeParse(name).success ? name : 'workspace';
}
