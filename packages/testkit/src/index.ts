export { storeSuite } from './store-suite.ts';
export type { OpenedStore, StoreSuiteOptions } from './store-suite.ts';
export { append, appendAfter, bodyOf, EMPTY_HEAD, indexOf, runRow } from './store-suite/world.ts';
export type { AppendParts } from './store-suite/world.ts';
