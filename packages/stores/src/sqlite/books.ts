import type { OpenAccount } from '@perdure/runtime/ports';
import type { Account, BookedRows, Reservation } from '../ledger.ts';
import { openedRows } from '../ledger.ts';
import { integer, type Sql, text } from './schema.ts';

export function accountsOf(sql: Sql, tid: number): (id: string) => Account | undefined {
  return (id) => {
    const row = sql('SELECT * FROM accounts WHERE tid = ? AND id = ?').get(tid, id);
    if (row === undefined) return undefined;
    const { capTokens, capNanoUsd, parent } = row;
    return {
      id,
      parent: typeof parent === 'string' ? parent : null,
      caps: {
        ...(typeof capTokens === 'number' ? { tokens: capTokens } : {}),
        ...(typeof capNanoUsd === 'number' ? { nanoUsd: capNanoUsd } : {}),
      },
      spent: { tokens: integer(row['spentTokens']), nanoUsd: integer(row['spentNanoUsd']) },
      reserved: { tokens: integer(row['reservedTokens']), nanoUsd: integer(row['reservedNanoUsd']) },
    };
  };
}

export function reservationsOf(sql: Sql, sid: number): (key: string) => Reservation | undefined {
  return (key) => {
    const row = sql('SELECT * FROM reservations WHERE sid = ? AND key = ?').get(sid, key);
    if (row === undefined) return undefined;
    return {
      key,
      account: text(row['account']),
      amount: { tokens: integer(row['tokens']), nanoUsd: integer(row['nanoUsd']) },
      open: row['open'] !== 0,
    };
  };
}

export function writeBooks(sql: Sql, tid: number, sid: number, { accounts, reservations }: BookedRows): void {
  writeAccounts(sql, tid, accounts.values());
  for (const { key, account, amount, open } of reservations.values()) {
    // A closed one only has to be remembered as closed.
    const [name, tokens, nanoUsd] = open ? [account, amount.tokens, amount.nanoUsd] : ['', 0, 0];
    sql('INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?, ?)').run(
      sid,
      key,
      name,
      tokens,
      nanoUsd,
      open ? 1 : 0,
    );
  }
}

/** Opens accounts of no session's, or changes their caps. */
export function writeOpened(sql: Sql, tid: number, accounts: readonly OpenAccount[], keep: boolean): undefined {
  writeAccounts(sql, tid, openedRows(accounts, keep, accountsOf(sql, tid)));
}

function writeAccounts(sql: Sql, tid: number, accounts: Iterable<Account>): undefined {
  for (const { id, parent, caps, spent, reserved } of accounts) {
    sql('INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      tid,
      id,
      parent,
      caps.tokens ?? null,
      caps.nanoUsd ?? null,
      spent.tokens,
      spent.nanoUsd,
      reserved.tokens,
      reserved.nanoUsd,
    );
  }
}
