/** The thread that verifies: it re-reads whole logs on a connection of its own and answers with what is wrong. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { DamageReport } from '@perdure/runtime/ports';
import { checkOrphans, checkSession, compareWithJournal, expectedHeads } from './check.ts';
import { readJournal } from './journal.ts';
import { DATABASE, spanOf, integer, statements } from './schema.ts';

type Question = { directory: string; tenant: string; session: string | null };

function verify({ directory, tenant, session }: Question): DamageReport[] {
  // The journal before the data: each commit it names is there by then.
  const journal = readJournal(directory);
  const db = new DatabaseSync(join(directory, DATABASE), { readOnly: true });
  try {
    db.exec('BEGIN');
    const sql = statements(db);
    const asked = (name: string): boolean => session === null || session === name;
    const reports: DamageReport[] = [];
    for (const head of expectedHeads(sql, journal)) {
      if (head.tenant !== tenant || !asked(head.session)) continue;
      const problem = compareWithJournal(sql, head);
      if (problem !== null) reports.push({ session: head.session, ...problem });
    }
    const tid = sql('SELECT tid FROM tenants WHERE name = ?').get(tenant)?.['tid'];
    if (tid === undefined) return reports;
    const { from, to } = spanOf(integer(tid));
    const sessions = sql('SELECT sid, id, seq, hash FROM sessions WHERE sid > ? AND sid < ? ORDER BY sid');
    for (const row of sessions.iterate(from, to)) {
      if (asked(String(row['id']))) reports.push(...checkSession(sql, row));
    }
    if (session === null) reports.push(...checkOrphans(sql, from, to));
    return reports;
  } finally {
    db.close();
  }
}

parentPort?.postMessage(verify(workerData));
