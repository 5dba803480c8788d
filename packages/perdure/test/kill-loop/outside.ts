/** The world outside: it remembers every request, and deduplicates on the key that comes with it. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ToolName } from './tasks.ts';
import { happened } from './tasks.ts';

export type Dispatch = {
  tool: ToolName;
  key: string;
  session: string;
  run: string;
  call: string;
  attempt: number;
  /** Which process of the server sent it. */
  life: number;
  args: { order: string; afterMs: number };
};

export type Outside = {
  url: string;
  dispatches: readonly Dispatch[];
  of(session: string, call: string): Dispatch[];
  /** From now on replies come at once. */
  hurry(): void;
  close(): Promise<void>;
};

/** An effect happens when its request has arrived whole; the reply comes `afterMs` later. */
export async function createOutside(): Promise<Outside> {
  const dispatches: Dispatch[] = [];
  let isHurried = false;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://outside');
    if (request.method === 'GET') {
      const seen = dispatches.some(({ key }) => key === url.searchParams.get('key'));
      response.end(JSON.stringify({ seen }));
      return;
    }
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const dispatch = JSON.parse(Buffer.concat(pieces).toString()) as Dispatch;
    dispatches.push(dispatch);
    await delay(isHurried ? 0 : dispatch.args.afterMs, undefined, { ref: false });
    response.end(JSON.stringify({ text: happened(dispatch.tool, dispatch.args.order) }));
  };
  const server = createServer((request, response) => {
    // Whoever was killed in the middle of a request has not sent it.
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dispatches,
    of: (session, call) => dispatches.filter((one) => one.session === session && one.call === call),
    hurry: () => {
      isHurried = true;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
