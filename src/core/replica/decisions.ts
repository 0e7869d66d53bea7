import type { PartitionId, Timestamp } from '../../base/brand.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** The table of decisions, `_atoll_decisions` (bookkeeping.ts): transactions that this partition has decided to commit. */

export interface Decision {
  readonly transaction: string;
  readonly commitTimestamp: Timestamp;
  /** Who has something to apply, and has not confirmed that it has. */
  readonly participants: readonly PartitionId[];
}

export function insertDecision(
  port: SqlitePort,
  { transaction, commitTimestamp, participants }: Decision,
): void {
  port.query(
    'INSERT INTO _atoll_decisions VALUES (?, ?, ?)',
    transaction,
    commitTimestamp,
    JSON.stringify(participants),
  );
}

export function readDecisions(port: SqlitePort): Decision[] {
  const { rows } = port.query('SELECT transaction_id, commit_timestamp, participants FROM _atoll_decisions');
  return rows.map(([transaction, commitTimestamp, participants]) => ({
    transaction: String(transaction),
    commitTimestamp: String(commitTimestamp) as Timestamp,
    participants: JSON.parse(String(participants)) as PartitionId[],
  }));
}

/** Null: it was not decided here to commit it, or everybody has applied it. */
export function readDecision(port: SqlitePort, transaction: string): Timestamp | null {
  const [row] = port.query(
    'SELECT commit_timestamp FROM _atoll_decisions WHERE transaction_id = ?',
    transaction,
  ).rows;
  return row === undefined ? null : (String(row[0]) as Timestamp);
}

/** Every participant of these has confirmed: nobody will ask. */
export function deleteDecisions(port: SqlitePort, transactions: readonly string[]): void {
  port.query(
    'DELETE FROM _atoll_decisions WHERE transaction_id IN (SELECT value FROM json_each(?))',
    JSON.stringify(transactions),
  );
}
