/**
 * A process that appends to many sessions until it is killed, and says on standard output what was acknowledged, line
 * by line: `session seq`. Its first line is `open`; a refusal is a line `refused CODE`, after which that session stops.
 */
import { writeSync } from 'node:fs';
import type { Head } from '@perdure/runtime/ports';
import { openSqliteStore } from '../src/sqlite/index.ts';
import { clock, loadAppend, timers } from './support.ts';

const [directory = '', sessions = '8'] = process.argv.slice(2);
const say = (line: string): void => void writeSync(1, `${line}\n`);

const store = await openSqliteStore({ directory, clock, timers });
const { log } = store.tenant('default');
say('open');

async function grow(session: string): Promise<void> {
  let head: Head = (await log.get(session))?.head ?? { seq: 0, hash: '' };
  for (;;) {
    const result = await log.append(loadAppend(session, head));
    if (!result.ok) {
      say(`refused ${result.code}`);
      return;
    }
    head = result.head;
    say(`${session} ${head.seq}`);
  }
}

await Promise.all(Array.from({ length: Number(sessions) }, (_, at) => grow(`s${at}`)));
const late = await log.append(loadAppend('late', { seq: 0, hash: '' }));
say(`late ${late.ok ? 'ok' : late.code}`);
say(`read ${(await log.read('s0', { after: 0, limit: 1 })).length}`);
await store.close();
say('closed');
