/** Requests to Restate: a few bytes each, many of them, over connections that stay open. */
import * as plain from 'node:http';
import * as secure from 'node:https';
import type { Timers } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';

export type Answer = { status: number; text: string };

const KEPT = { keepAlive: true, maxSockets: LIMITS.connections };
const agents = { 'http:': new plain.Agent(KEPT), 'https:': new secure.Agent(KEPT) } as const;

export type Asked = {
  timers: Timers;
  token?: string | undefined;
  headers?: { [name: string]: string };
  body?: unknown;
};

/** Rejects where nobody answers within the time of a request. */
export async function ask(method: 'GET' | 'POST' | 'PATCH', url: string, asked: Asked): Promise<Answer> {
  const { timers, token, headers, body } = asked;
  const isSecure = url.startsWith('https:');
  const content = body === undefined ? undefined : JSON.stringify(body);
  return new Promise<Answer>((resolve, reject) => {
    const options = {
      method,
      agent: agents[isSecure ? 'https:' : 'http:'],
      headers: {
        ...(content === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
    };
    const request = (isSecure ? secure : plain).request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        timer.cancel();
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    const fail = (error: Error): void => {
      timer.cancel();
      reject(error);
    };
    const timer = timers.set(LIMITS.requestMs, () => request.destroy(new Error('no answer in time')));
    request.on('error', fail);
    request.end(content);
  });
}
