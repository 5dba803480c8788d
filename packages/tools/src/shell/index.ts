export { jobs } from './jobs.ts';
export type { MountedShellOptions, ShellOptions } from './place.ts';
export { shell } from './shell.ts';
