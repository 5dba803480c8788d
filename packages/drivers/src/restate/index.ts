export { EngineUnavailable } from './admin.ts';
export type { RestateOptions } from './driver.ts';
export { createRestateDriver } from './driver.ts';
export type { Handler, Listen, Listening } from './endpoint.ts';
export { listenOn } from './endpoint.ts';
export { EngineMissing } from './sdk.ts';
export type { RestateServer, RestateServerOptions } from './server.ts';
export { restateMissing, startRestateServer } from './server.ts';
