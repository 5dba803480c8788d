import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from './define.ts';
import { LIMITS } from './limits.ts';

const DESCRIPTION = `Keeps your list of what is to be done in this conversation. Give the whole list each time: it takes the \
place of the one before, and people see it. Use it for work of several steps: write the list first, set one item to \
in_progress when you begin it, and to completed when it is done and not before. At most ${LIMITS.todoItems} items.`;

const input = z.strictObject({
  items: z
    .array(
      z.strictObject({
        text: z.string().trim().min(1).max(LIMITS.todoChars).describe('What is to be done, in one line.'),
        status: z.enum(['pending', 'in_progress', 'completed']),
      }),
    )
    .max(LIMITS.todoItems),
});

export type TodoItem = z.output<typeof input>['items'][number];

const MARKS: Record<TodoItem['status'], string> = { pending: '[ ]', in_progress: '[>]', completed: '[x]' };

/**
 * The tool `todo`: a session's own list of what is to be done. Nothing is kept beside the log: the newest result is the
 * list, in its `details` as data (`{items: TodoItem[]}`) and in its content as a model and a person read it. So it is as
 * durable as the session, is in a fork what it was there, and is erased with it. Pure: the same list again is the same
 * list.
 */
export function todo(): ToolDefinition {
  return definePure({
    name: 'todo',
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.parkTimeoutMs,
    run: ({ items }) => Promise.resolve({ content: shown(items), details: { items } }),
  });
}

function shown(items: readonly TodoItem[]): string {
  if (items.length === 0) return 'The list is empty.';
  const left = items.filter(({ status }) => status !== 'completed').length;
  const lines = items.map(({ text, status }) => `${MARKS[status]} ${text.replaceAll(/\s+/g, ' ')}`);
  return [...lines, left === 0 ? 'All is done.' : `${left} of ${items.length} left.`].join('\n');
}
