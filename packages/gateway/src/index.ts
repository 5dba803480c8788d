export type { Env, Gateway, GatewayOptions } from './gateway.ts';
export { createGateway } from './gateway.ts';
export type { ListenErrorCode, Listening } from './listen.ts';
export { ListenError, listen } from './listen.ts';
export { isLoopback } from './access.ts';
export { LIMITS } from './limits.ts';
