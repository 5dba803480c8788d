import { WorkspaceError } from '@perdure/runtime/ports';
import { ToolFailure } from '../../failure.ts';

const CODES = {
  no_workspace: 'not_found',
  read_only: 'not_writable',
  damaged: 'not_readable',
  invalid_tree: 'invalid_path',
} as const;

/** What a workspace refuses, in the words of a tool. */
export async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WorkspaceError) throw new ToolFailure(CODES[error.code], `${error.message}.`);
    throw error;
  }
}
