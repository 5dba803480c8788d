/** How processes that share a store hear each other: loaded by those that do. */
export { listenInternally } from './listener.ts';
export { reachNodes } from './link.ts';
