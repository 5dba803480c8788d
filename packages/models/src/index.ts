export { createDemo, demoInfo } from './demo.ts';
export { LIMITS } from './limits.ts';
export { createModelSource } from './source.ts';
export type { ModelSourceOptions } from './source.ts';
