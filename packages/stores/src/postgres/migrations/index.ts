/**
 * The schema's versions, as data: each is run once, in order, and what was run is never changed (its checksum is kept in
 * the database). `{s}` stands for the schema.
 */
import { tables, walls } from './001-tables.ts';
import { appending } from './002-append.ts';
import { ports } from './003-ports.ts';
import { handOver } from './004-hand-over.ts';
import { estimates } from './005-estimates.ts';
import { sets } from './006-sets.ts';
import { fences } from './007-fences.ts';
import { room } from './008-room.ts';
import { fewer } from './009-fewer.ts';
import { lists } from './010-lists.ts';

export type Migration = {
  id: number;
  name: string;
  sql: string;
  /** Checksums of what earlier builds ran in its place: what differs in it, a later migration makes the same. */
  also?: readonly string[];
};

/** Before plans were made independent of statistics; 007 replaces the function. */
const EARLIER_SETS = 'b8d9578eac5f372aa691f5e5ebf7c5f51c7b224fbdb63918dc06a1db190c4de2';

export const MIGRATIONS: readonly Migration[] = [
  { id: 1, name: 'tables', sql: tables + walls },
  { id: 2, name: 'append', sql: appending },
  { id: 3, name: 'ports', sql: ports },
  { id: 4, name: 'hand-over', sql: handOver },
  { id: 5, name: 'estimates', sql: estimates },
  { id: 6, name: 'sets', sql: sets, also: [EARLIER_SETS] },
  { id: 7, name: 'fences', sql: fences },
  { id: 8, name: 'room', sql: room },
  { id: 9, name: 'fewer', sql: fewer },
  { id: 10, name: 'lists', sql: lists },
];
