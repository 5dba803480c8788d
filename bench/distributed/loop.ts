/** The agent loop as peers write it by hand: a streamed model call over the same transport as the floor. */
import { Pool } from 'undici';

export type AskedCall = { id: string; name: string; arguments: string };
export type Message =
  | { role: 'user'; content: string }
  | { role: 'tool'; tool_call_id: string; content: string }
  | { role: 'assistant'; content: string | null; tool_calls?: object[] };
export type Answer = { text: string; calls: AskedCall[]; message: Message };

type Chunk = {
  choices: {
    delta: {
      content?: string | null;
      tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
  }[];
};

export const openPool = (origin: string): Pool => new Pool(origin, { connections: 64, pipelining: 1 });

/** One streamed call; each event is parsed and put together, as an application does. */
export async function ask(pool: Pool, messages: readonly Message[]): Promise<Answer> {
  const response = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'bench', stream: true, messages }),
  });
  let rest = '';
  let text = '';
  const calls: AskedCall[] = [];
  for await (const data of response.body) {
    rest += String(data);
    const events = rest.split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      if (!event.startsWith('data: ') || event === 'data: [DONE]') continue;
      const delta = (JSON.parse(event.slice(6)) as Chunk).choices[0]?.delta;
      text += delta?.content ?? '';
      for (const piece of delta?.tool_calls ?? []) {
        const call = (calls[piece.index] ??= { id: '', name: '', arguments: '' });
        call.id ||= piece.id ?? '';
        call.name ||= piece.function?.name ?? '';
        call.arguments += piece.function?.arguments ?? '';
      }
    }
  }
  const message: Message = { role: 'assistant', content: text === '' ? null : text };
  if (calls.length > 0)
    message.tool_calls = calls.map(({ id, name, arguments: given }) => ({
      id,
      type: 'function',
      function: { name, arguments: given },
    }));
  return { text, calls, message };
}
