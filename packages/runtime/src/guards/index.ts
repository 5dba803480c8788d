/** Guards that are ready to be used. */
export { canary } from './canary.ts';
export { injectionPatterns } from './injection-patterns.ts';
export { moderation } from './moderation.ts';
export type { GuardAction } from './secret-patterns.ts';
export { secretPatterns } from './secret-patterns.ts';
export { schemaGuard, sizeGuard } from './shape.ts';
