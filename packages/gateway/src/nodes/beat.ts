import type { Timers } from '@perdure/runtime/ports';
import type { WebSocket } from 'ws';
import { LIMITS } from '../limits.ts';

/** Breaks the connection when nothing is heard of the other side between two pings: a cut line says nothing by itself. */
export function beat(webSocket: WebSocket, timers: Timers): { cancel(): void } {
  let isHeard = true;
  const heard = (): void => {
    isHeard = true;
  };
  for (const sign of ['pong', 'ping', 'message'] as const) webSocket.on(sign, heard);
  const look = (): void => {
    if (!isHeard) return webSocket.terminate();
    isHeard = false;
    if (webSocket.readyState === webSocket.OPEN) webSocket.ping();
    timer = timers.set(LIMITS.nodeHeartbeatMs, look);
  };
  let timer = timers.set(LIMITS.nodeHeartbeatMs, look);
  return { cancel: () => timer.cancel() };
}
