export { CATALOG_MODELS } from './catalog.ts';
export type { UsdPerMillion } from './catalog.ts';
export type { FailureCode } from './failures.ts';
export { LIMITS } from './limits.ts';
export { ModelConfigError } from './openai-chat/endpoint.ts';
export type { EndpointRecord, Quirks } from './openai-chat/endpoint.ts';
export { createModelSource } from './source.ts';
export type { ModelSourceOptions, PriceRecord } from './source.ts';
