export type { Balancer } from './balancer.ts';
export { startBalancer } from './balancer.ts';
export { startPooler } from './pooler.ts';
export type { Pooler, PoolerOptions } from './pooler.ts';
export { postgresMissing, startPostgres } from './postgres.ts';
export type { PostgresOptions, PostgresService } from './postgres.ts';
export { startRelay } from './relay.ts';
export type { Relay } from './relay.ts';
