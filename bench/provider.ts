/** The fake provider of the benchmark, a process of its own: a tool call for a message, a text for a tool's answer. */
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'bench', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const usage = `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'bench', choices: [], usage: { prompt_tokens: 120, completion_tokens: 20, total_tokens: 140, prompt_tokens_details: { cached_tokens: 0 } } })}\n\n`;

const call = (part: object): object => ({ tool_calls: [{ index: 0, ...part }] });
const CALLS = [
  chunk({ role: 'assistant', content: null }),
  chunk(call({ id: 'call_1', type: 'function', function: { name: 'add', arguments: '' } })),
  chunk(call({ function: { arguments: '{"a":2,' } })),
  chunk(call({ function: { arguments: '"b":3}' } })),
  chunk({}, 'tool_calls'),
  usage,
  'data: [DONE]\n\n',
];
const TEXT = [
  chunk({ role: 'assistant', content: '' }),
  ...'The sum of two and three is five .'.split(' ').map((word) => chunk({ content: `${word} ` })),
  chunk({}, 'stop'),
  usage,
  'data: [DONE]\n\n',
];
/** Two writes an answer: it streams, and its size is the same for everybody. */
const halves = (events: string[]): [Buffer, Buffer] => [
  Buffer.from(events.slice(0, 3).join('')),
  Buffer.from(events.slice(3).join('')),
];
const [CALLS_A, CALLS_B] = halves(CALLS);
const [TEXT_A, TEXT_B] = halves(TEXT);
/**
 * A token every 10 to 30 ms, about as fast as models talk, each saying when it was written: by the clock that all processes
 * of a machine share. Streams do not talk in step.
 */
const TICKS = 100;
const pauseMs = (): number => 10 + Math.random() * 20;
const now = (): number => performance.timeOrigin + performance.now();

function tick(response: ServerResponse): void {
  let left = TICKS;
  response.write(chunk({ role: 'assistant', content: '' }));
  const next = (): void => {
    if (left-- > 0) {
      response.write(chunk({ content: `<${now().toFixed(3)}>` }));
      setTimeout(next, pauseMs());
      return;
    }
    response.end(`${chunk({}, 'stop')}${usage}data: [DONE]\n\n`);
  };
  setTimeout(next, pauseMs());
}

const TIMED = Buffer.from('"model":"timed"');
const TOOL = Buffer.from('"role":"tool"');
const USER = Buffer.from('"role":"user"');

const server = createServer((request, response) => {
  let tail: Buffer = Buffer.alloc(0);
  request.on('data', (data: Buffer) => {
    tail = data.length >= 4096 ? data : Buffer.concat([tail, data]);
  });
  request.on('end', () => {
    const answered = tail.lastIndexOf(TOOL) > tail.lastIndexOf(USER);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (tail.includes(TIMED)) return tick(response);
    response.write(answered ? TEXT_A : CALLS_A);
    response.end(answered ? TEXT_B : CALLS_B);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
