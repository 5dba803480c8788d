/**
 * The floor: what a round costs with nothing around it. Two streamed calls to the same provider over undici, each event
 * parsed, and 8 rows in four grouped SQLite FULL commits, in a thread of their own. It recovers nothing and serves nobody.
 */
import { Worker } from 'node:worker_threads';
import { Pool } from 'undici';

export type Floor = {
  /** One round; `messages` is the request's JSON text of earlier messages. */
  round(messages: string): Promise<void>;
  close(): Promise<void>;
};

const ROW = JSON.stringify({ seq: 1, at: 1_700_000_000_000, kind: 'turn.settled', data: { text: 'x'.repeat(280) } });

/** Commits what arrived while the last commit ran, as one group. */
const COMMITTER = `
const { parentPort, workerData } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
const db = new DatabaseSync(workerData);
db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)');
const insert = db.prepare('INSERT INTO rows (body) VALUES (?)');
const begin = db.prepare('BEGIN IMMEDIATE');
const commit = db.prepare('COMMIT');
parentPort.on('message', (group) => {
  if (group === null) { db.close(); process.exit(0); }
  begin.run();
  for (const row of group) insert.run(row);
  commit.run();
  parentPort.postMessage(0);
});`;

export function createFloor(origin: string, file: string): Floor {
  const pool = new Pool(origin, { connections: 64, pipelining: 1 });
  const worker = new Worker(COMMITTER, {
    eval: true,
    workerData: file,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  let waiting: { rows: string[]; done: () => void }[] = [];
  let underway: (() => void)[] | null = null;
  const flush = (): void => {
    if (underway !== null || waiting.length === 0) return;
    const group = waiting;
    waiting = [];
    underway = group.map(({ done }) => done);
    worker.postMessage(group.flatMap(({ rows }) => rows));
  };
  worker.on('message', () => {
    const done = underway ?? [];
    underway = null;
    flush();
    for (const resolve of done) resolve();
  });
  const commit = async (rows: string[]): Promise<void> =>
    new Promise((done) => {
      waiting.push({ rows, done });
      if (waiting.length === 1) queueMicrotask(flush);
    });
  return {
    async round(messages) {
      const first = `${messages}${messages === '' ? '' : ','}{"role":"user","content":"What is 2 + 3?"}`;
      await commit([ROW, ROW]);
      await call(pool, first);
      await commit([ROW, ROW]);
      await commit([ROW, ROW]);
      const answer =
        '{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"add","arguments":"{\\"a\\":2,\\"b\\":3}"}}]}';
      await call(pool, `${first},${answer},{"role":"tool","tool_call_id":"call_1","content":"5"}`);
      await commit([ROW, ROW]);
    },
    async close() {
      await pool.destroy();
      worker.postMessage(null);
      await new Promise((resolve) => worker.once('exit', resolve));
    },
  };
}

async function call(pool: Pool, messages: string): Promise<string> {
  const body = `{"model":"bench","stream":true,"messages":[${messages}]}`;
  const response = await pool.request({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json' },
    body,
  });
  let rest = '';
  let text = '';
  for await (const data of response.body) {
    rest += String(data);
    const events = rest.split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      if (event === 'data: [DONE]') continue;
      const parsed = JSON.parse(event.slice(6)) as { choices: { delta: { content?: string } }[] };
      text += parsed.choices[0]?.delta.content ?? '';
    }
  }
  return text;
}
