export type { Gateway, GatewayOptions } from './gateway.ts';
export type { Env } from './routes.ts';
export { createGateway } from './gateway.ts';
export type { ListenErrorCode } from './bind.ts';
export { ListenError } from './bind.ts';
export type { Listening } from './listen.ts';
export { isLoopback } from './access.ts';
export { LIMITS } from './limits.ts';
export type { InternalListener, Serving } from './nodes/listener.ts';
