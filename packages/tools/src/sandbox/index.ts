export { createBare } from './bare.ts';
export { createBubblewrap } from './bubblewrap.ts';
export type { BubblewrapOptions } from './bubblewrap.ts';
