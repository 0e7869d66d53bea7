import type { PartitionId, Term, Timestamp } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Change } from '../log/commit.ts';
import { decodeChanges, encodeChanges } from '../log/encoding.ts';
import { readLayouts } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { hasKeysToCopies } from '../schema/keys-to-copies.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { changedLocks } from '../transaction/footprint.ts';
import { isCopyLock, type Lock } from '../transaction/lock.ts';
import { type Holder, LockTable } from '../transaction/lock-table.ts';

/** The tables of prepared transactions: `_atoll_prepared` and `_atoll_prepared_changes` (bookkeeping.ts). */

/** Changes in one value (chosen: half of what a value may have). */
const PIECE_BYTES = 1024 * 1024;
/** What a transaction over several partitions may change in one (chosen: it is in memory as a whole). */
const CHANGES_BYTES_MAX = 16 * 1024 * 1024;

export interface Prepared extends Holder {
  readonly term: Term;
  readonly preparedAt: Timestamp;
  readonly locks: readonly Lock[];
}

/** @throws AtollError `too-large` */
export function insertPrepared(port: SqlitePort, prepared: Prepared, changes: readonly Change[]): void {
  const bytes = changes.length === 0 ? new Uint8Array() : encodeChanges(changes);
  if (bytes.length > CHANGES_BYTES_MAX) {
    throw new AtollError(
      'too-large',
      `the transaction changes ${bytes.length} bytes of one partition, ${CHANGES_BYTES_MAX} are allowed over several ` +
        'partitions: change fewer rows at a time, or say "atomicity":"partition"',
    );
  }
  const { transaction, anchor, term, startedMs, preparedAt, locks } = prepared;
  port.query(
    'INSERT INTO _atoll_prepared VALUES (?, ?, ?, ?, ?, ?, ?)',
    transaction,
    anchor,
    term,
    startedMs,
    preparedAt,
    JSON.stringify(locks),
    bytes.slice(0, PIECE_BYTES),
  );
  for (let start = PIECE_BYTES, piece = 1; start < bytes.length; start += PIECE_BYTES, piece++) {
    port.query(
      'INSERT INTO _atoll_prepared_changes VALUES (?, ?, ?)',
      transaction,
      piece,
      bytes.slice(start, start + PIECE_BYTES),
    );
  }
}

const PREPARED = 'SELECT transaction_id, anchor, term, started_ms, prepared_at, locks FROM _atoll_prepared';

/** The oldest prepare first. */
export function readPrepared(port: SqlitePort): Prepared[] {
  return port.query(`${PREPARED} ORDER BY prepared_at`).rows.map(preparedOf);
}

/**
 * Those that may count as committed at `at` or before: the commit timestamp, which is not known yet, is never below that
 * of the prepare.
 */
export function preparedBefore(port: SqlitePort, at: Timestamp): Prepared[] {
  return port.query(`${PREPARED} WHERE prepared_at <= ?`, at).rows.map(preparedOf);
}

/** Null when it is not prepared here, or no longer. */
export function readPreparedOne(port: SqlitePort, transaction: string): Prepared | null {
  const [row] = port.query(`${PREPARED} WHERE transaction_id = ?`, transaction).rows;
  return row === undefined ? null : preparedOf(row);
}

function preparedOf(row: readonly PortValue[]): Prepared {
  return {
    transaction: String(row[0]),
    anchor: Number(row[1]) as PartitionId,
    term: Number(row[2]) as Term,
    startedMs: Number(row[3]),
    preparedAt: String(row[4]) as Timestamp,
    locks: JSON.parse(String(row[5])) as Lock[],
  };
}

export function hasPrepared(port: SqlitePort): boolean {
  return port.query('SELECT 1 FROM _atoll_prepared LIMIT 1').rows.length > 0;
}

export function readPreparedChanges(port: SqlitePort, transaction: string): Change[] {
  const [row] = port.query('SELECT changes FROM _atoll_prepared WHERE transaction_id = ?', transaction).rows;
  const first = row?.[0] as Uint8Array;
  const bytes = first.length < PIECE_BYTES ? first : joined([first, ...readPieces(port, transaction)]);
  return bytes.length === 0 ? [] : decodeChanges(bytes);
}

function readPieces(port: SqlitePort, transaction: string): Uint8Array[] {
  const { rows } = port.query(
    'SELECT changes FROM _atoll_prepared_changes WHERE transaction_id = ? ORDER BY piece',
    transaction,
  );
  return rows.map(([piece]) => piece as Uint8Array);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

export function deletePrepared(port: SqlitePort, transaction: string): void {
  port.query('DELETE FROM _atoll_prepared_changes WHERE transaction_id = ?', transaction);
  port.query('DELETE FROM _atoll_prepared WHERE transaction_id = ?', transaction);
}

/** The locks that the file's prepared transactions hold. */
export function readLocks(port: SqlitePort, schema: Schema): LockTable {
  const table = new LockTable();
  for (const prepared of readPrepared(port))
    table.add(prepared, [...prepared.locks, ...missingCopyLocks(port, schema, prepared)]);
  return table;
}

/** Before version 6 of the RPC, rows that refer to reference tables were prepared without a lock of these: freezes kept all keyed writes out. */
function missingCopyLocks(port: SqlitePort, schema: Schema, { transaction, locks }: Prepared): Lock[] {
  if (locks.some(isCopyLock) || !hasKeysToCopies(schema)) return [];
  return changedLocks(readPreparedChanges(port, transaction), readLayouts(port), schema).filter(isCopyLock);
}
