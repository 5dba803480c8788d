import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ModerationEmulator = { url: string; requests(): number; close(): Promise<void> };

const CATEGORIES = ['harassment', 'hate', 'illicit', 'self-harm', 'sexual', 'violence'];

/**
 * OpenAI's moderation as its documentation shows it (https://platform.openai.com/docs/api-reference/moderations): a text is
 * flagged in each category that it names. A request that is not one is a 400, another key a 401; `fails` comes instead of
 * an answer, `hang` never answers.
 */
export async function createModerationEmulator({
  key,
  fails,
}: {
  key: string;
  fails?: number | 'hang';
}): Promise<ModerationEmulator> {
  let count = 0;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      count += 1;
      if (fails === 'hang') return;
      const answer = (status: number, body: unknown): void => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      };
      const isMeant = request.method === 'POST' && request.url === '/v1/moderations';
      const asked = read(Buffer.concat(pieces).toString());
      if (fails !== undefined) answer(fails, { error: { message: 'as asked', type: 'server_error' } });
      else if (request.headers.authorization !== `Bearer ${key}`) answer(401, { error: { message: 'another key' } });
      else if (!isMeant || asked === null) answer(400, { error: { message: 'not a moderation' } });
      else answer(200, judged(asked));
    });
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

type Asked = { model: string; input: string };

function read(text: string): Asked | null {
  try {
    const { model, input } = JSON.parse(text) as Partial<Asked>;
    return typeof model === 'string' && typeof input === 'string' ? { model, input } : null;
  } catch {
    return null;
  }
}

function judged({ model, input }: Asked): unknown {
  const categories = Object.fromEntries(CATEGORIES.map((name) => [name, input.includes(name)]));
  const scores = Object.fromEntries(CATEGORIES.map((name) => [name, input.includes(name) ? 0.9 : 0.01]));
  const flagged = Object.values(categories).includes(true);
  return { id: 'modr-1', model, results: [{ flagged, categories, category_scores: scores }] };
}
