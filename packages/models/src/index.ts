export { CATALOG_MODELS } from './catalog/info.ts';
export type { Catalog, CatalogRow, UsdPerMillion } from './catalog/row.ts';
export type { FailureCode } from './failures.ts';
export { LIMITS } from './limits.ts';
export { ModelConfigError } from './openai-chat/endpoint.ts';
export type { EndpointRecord, Quirks } from './openai-chat/endpoint.ts';
export { createModelSource } from './source.ts';
export type { ModelSourceOptions, PriceRecord } from './source.ts';
