export { postgresMissing, startPostgres } from './postgres.ts';
export type { PostgresOptions, PostgresService } from './postgres.ts';
