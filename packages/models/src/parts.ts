import type { Part } from '@perdure/runtime/ports';

/** The text of a message; what this package cannot send yet leaves a visible mark instead of a silent gap. */
export function textOf(parts: readonly Part[]): string {
  return parts.map(markOf).join('\n');
}

function markOf(part: Part): string {
  if (part.type === 'text') return part.text;
  return part.type === 'image' ? `[image ${part.mediaType}]` : `[file ${part.name}, ${part.mediaType}]`;
}
