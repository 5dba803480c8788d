import { createGateway } from '@perdure/gateway';
import { listen } from '@perdure/gateway/listen';
import { silentLogger, system } from '@perdure/runtime';
import type { Host } from '@perdure/runtime';

/** Serves a host on a free loopback port while `work` runs. */
export async function overHttp<T>(host: Host, work: (url: string) => Promise<T>): Promise<T> {
  const gateway = createGateway({ api: host, logger: silentLogger, ...system });
  const server = await listen(gateway, { host: '127.0.0.1', port: 0 });
  try {
    return await work(server.url);
  } finally {
    await server.close({ graceMs: 1_000 });
  }
}
