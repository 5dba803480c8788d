export type { ShellOptions } from './place.ts';
export { shell } from './shell.ts';
