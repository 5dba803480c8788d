import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type FixedEmulator = { url: string; requests(): number; close(): Promise<void> };

/**
 * A provider for benchmarks: answers every request with the same bytes as a finished event stream, once the request
 * has been read, and does nothing else. No checks, no records.
 */
export async function createFixedEmulator(bytes: Uint8Array): Promise<FixedEmulator> {
  let count = 0;
  const headers = ['content-type', 'text/event-stream; charset=utf-8', 'transfer-encoding', 'chunked'];
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    request.on('end', () => {
      count += 1;
      response.writeHead(200, headers);
      response.end(bytes);
    });
    request.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests: () => count,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
