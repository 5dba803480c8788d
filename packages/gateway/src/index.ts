export type { Env, Gateway, GatewayOptions } from './gateway.ts';
export { createGateway } from './gateway.ts';
export type { ListenErrorCode, Listening } from './listen.ts';
export { ListenError, listen } from './listen.ts';
export { isLoopback } from './access.ts';
export { LIMITS } from './limits.ts';
export type { InternalListener, Serving } from './nodes/listener.ts';
export { listenInternally } from './nodes/listener.ts';
export { reachNodes } from './nodes/link.ts';
