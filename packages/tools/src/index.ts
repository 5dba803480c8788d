export { ask } from './ask.ts';
export { ToolOptionsError } from './failure.ts';
export type { ToolFailureCode } from './failure.ts';
export { files } from './files/index.ts';
export type { FilesOptions } from './files/index.ts';
export { LIMITS } from './limits.ts';
export { sleep } from './sleep.ts';
export { todo } from './todo.ts';
export type { TodoItem } from './todo.ts';
