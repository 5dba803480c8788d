import type { AccountId, AccountRow, Amount, LedgerOp, OpenAccount, Shortage } from '@perdure/runtime/ports';
import { StoreError } from './errors.ts';

/** `spent` and `reserved` include what the accounts below it spent and reserved since it was opened. */
export type Account = AccountRow;
/** A reservation belongs to the session that made it. Once closed, by a settlement or a release, it stays so. */
export type Reservation = { key: string; account: AccountId; amount: Amount; open: boolean };

/** What the operations are booked against: accounts of the tenant, reservations of the session. */
export type Books = {
  account(id: AccountId): Account | undefined;
  reservation(key: string): Reservation | undefined;
};
export type BookedRows = { accounts: Map<AccountId, Account>; reservations: Map<string, Reservation> };
export type Booking = { ok: true; rows: BookedRows } | { ok: false; shortage: Shortage };

/**
 * Books the operations of one append, in order, and returns the rows to write; it writes nothing itself, so a refusal
 * leaves no trace. A key that was reserved, settled or released before counts as done. Throws `invalid_append` for an
 * account or a key that was never opened: budgets must not be evaded by a misspelt name.
 */
export function book(ops: readonly LedgerOp[], books: Books): Booking {
  const rows: BookedRows = { accounts: new Map(), reservations: new Map() };
  const accountOf = (id: AccountId): Account => {
    const changed = rows.accounts.get(id);
    if (changed !== undefined) return changed;
    const stored = books.account(id);
    if (stored === undefined) throw new StoreError('invalid_append', `account ${id} was never opened`);
    const copy = { ...stored, spent: { ...stored.spent }, reserved: { ...stored.reserved } };
    rows.accounts.set(id, copy);
    return copy;
  };
  const line = (id: AccountId): Account[] => {
    const accounts: Account[] = [];
    for (let next: AccountId | null = id; next !== null; next = accounts.at(-1)?.parent ?? null) {
      accounts.push(accountOf(next));
    }
    return accounts;
  };
  const reservationOf = (key: string): Reservation | undefined => rows.reservations.get(key) ?? books.reservation(key);

  for (const op of ops) {
    if (op.op === 'open') {
      openAccount(op, books, rows, accountOf);
    } else if (op.op === 'reserve') {
      if (reservationOf(op.key) !== undefined) continue;
      const accounts = line(op.account);
      const shortage = shortageOf(accounts, op.amount);
      if (shortage !== null) return { ok: false, shortage };
      for (const account of accounts) add(account.reserved, op.amount, 1);
      rows.reservations.set(op.key, { key: op.key, account: op.account, amount: { ...op.amount }, open: true });
    } else {
      const reservation = reservationOf(op.key);
      if (reservation === undefined) throw new StoreError('invalid_append', `nothing was reserved under ${op.key}`);
      if (!reservation.open) continue;
      for (const account of line(reservation.account)) {
        add(account.reserved, reservation.amount, -1);
        if (op.op === 'settle') add(account.spent, op.amount, 1);
      }
      rows.reservations.set(op.key, { ...reservation, open: false });
    }
  }
  return { ok: true, rows };
}

function openAccount(
  op: Extract<LedgerOp, { op: 'open' }>,
  books: Books,
  rows: BookedRows,
  accountOf: (id: AccountId) => Account,
): void {
  if (rows.accounts.has(op.account) || books.account(op.account) !== undefined) {
    accountOf(op.account).caps = { ...op.caps };
    return;
  }
  if (op.parent !== null) accountOf(op.parent);
  rows.accounts.set(op.account, {
    id: op.account,
    parent: op.parent,
    caps: { ...op.caps },
    spent: { ...op.spent },
    reserved: { tokens: 0, nanoUsd: 0 },
  });
}

/** The rows of accounts that no session opens; none where one is there and is to be kept. */
export function openedRows(
  accounts: readonly OpenAccount[],
  keep: boolean,
  stored: (id: AccountId) => Account | undefined,
): Account[] {
  const none = { tokens: 0, nanoUsd: 0 };
  return accounts.flatMap(({ account: id, parent, caps }) => {
    const known = stored(id);
    if (known === undefined) return [{ id, parent, caps: { ...caps }, spent: { ...none }, reserved: { ...none } }];
    return keep ? [] : [{ ...known, caps: { ...caps } }];
  });
}

/** The nearest account that the amount would take past a cap, tokens before money. */
function shortageOf(accounts: readonly Account[], amount: Amount): Shortage | null {
  for (const { id, caps, spent, reserved } of accounts) {
    const freeTokens = (caps.tokens ?? Infinity) - spent.tokens - reserved.tokens;
    if (amount.tokens > freeTokens) {
      return { account: id, limit: 'tokens', needed: amount.tokens, free: Math.max(0, freeTokens) };
    }
    const freeMoney = (caps.nanoUsd ?? Infinity) - spent.nanoUsd - reserved.nanoUsd;
    if (amount.nanoUsd > freeMoney) {
      return { account: id, limit: 'money', needed: amount.nanoUsd, free: Math.max(0, freeMoney) };
    }
  }
  return null;
}

function add(to: Amount, amount: Amount, sign: 1 | -1): void {
  to.tokens += sign * amount.tokens;
  to.nanoUsd += sign * amount.nanoUsd;
}
