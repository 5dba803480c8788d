import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { createPlace } from './process.ts';

const skip = spawnSync('strace', ['-V'], { stdio: 'ignore' }).status !== 0 ? 'needs strace' : false;

test(
  'a server whose disk fails a flush opens its data anew and goes on, and loses nothing it accepted',
  { skip },
  async (t) => {
    const place = createPlace();
    t.after(async () => place.leave());
    const server = place.start(['up', '--port', '0']);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(await server.printed(/runs at http\S+/))?.[0] ?? '';
    const ask = async (path: string, body: unknown): Promise<Response> =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const accepted = (await (await ask('/v1/sessions', { input: 'say before' })).json()) as { session: { id: string } };

    const fault = ['-f', '-p', String(server.pid), '-o', '/dev/null', '-e', 'inject=fsync,fdatasync:error=EIO:when=1'];
    const strace = spawn('strace', fault, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => strace.once('exit', resolve));
    t.after(() => strace.kill('SIGINT'));
    await new Promise((resolve) => strace.stderr.once('data', resolve));
    const refused = await ask('/v1/sessions', { input: 'say during' });
    assert.equal(refused.status, 503, 'what could not be flushed is not acknowledged');
    strace.kill('SIGINT');
    await ended;

    const again = await server.printed(/opened anew[^]*runs at http\S+|runs at http[^]*runs at http\S+/);
    const next = /http:\/\/127\.0\.0\.1:\d+/g;
    const address = [...again.matchAll(next)].at(-1)?.[0] ?? '';
    const kept = await fetch(`${address}/v1/sessions/${accepted.session.id}`);
    assert.equal(kept.status, 200);
    const run = await fetch(`${address}/v1/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'say after', wait: true }),
    });
    const { run: end } = (await run.json()) as { run: { text: string } };
    assert.equal(end.text, 'after');
  },
);
