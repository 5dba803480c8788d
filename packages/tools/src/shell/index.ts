export { jobs } from './jobs.ts';
export type { ShellOptions } from './place.ts';
export { shell } from './shell.ts';
