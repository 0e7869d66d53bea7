import type { SqlitePort } from '../../src/core/sqlite/port.ts';

interface Entry {
  readonly partition: number;
  readonly kind: string;
  readonly timestamp: string;
  readonly commitTimestamp: string | null;
}

/** Entries of the system partition's log that the others follow. */
const FED = `SELECT transaction_id, commit_id FROM _atoll_commits
  WHERE transaction_id IS NOT NULL AND payload LIKE '{"feed":%'`;
/** Of another partition: the entry that follows one of them, and what it has applied of transactions before that. */
const EARLY = `SELECT a.commit_id FROM _atoll_commits AS a JOIN _atoll_commits AS f
  ON f.payload LIKE '{"system":%' AND json_extract(f.payload, '$.system') = CAST(?2 AS INTEGER)
  WHERE a.transaction_id = ?1 AND a.kind = 'apply' AND a.commit_id < f.commit_id`;

const END = new Set(['apply', 'abort', 'decide']);

/**
 * What the logs of all partitions must agree on when all has come to rest: each prepare has one end; what was applied
 * was decided on, once, at one moment above its prepares; log time rises. @throws what is wrong
 */
export function checkLogs(ports: readonly SqlitePort[]): void {
  const transactions = new Map<string, Entry[]>();
  for (const [partition, port] of ports.entries()) {
    const { rows } = port.query(
      'SELECT kind, timestamp, transaction_id, commit_timestamp FROM _atoll_commits ORDER BY commit_id',
    );
    let last = '';
    for (const [kind, time, id, commit] of rows) {
      const timestamp = String(time);
      if (timestamp <= last)
        throw new Error(`log time: partition ${partition} has ${timestamp} after ${last}`);
      last = timestamp;
      if (commit !== null && timestamp < String(commit))
        throw new Error(`log time: partition ${partition} has ${timestamp} for what counts from ${commit}`);
      if (id === null) continue;
      const entry = { partition, kind: String(kind), timestamp, commitTimestamp: commit as string | null };
      const own = transactions.get(String(id));
      if (own === undefined) transactions.set(String(id), [entry]);
      else own.push(entry);
    }
  }
  checkFollowed(ports);
  for (const [id, entries] of transactions) {
    const wrong = wrongWith(entries);
    if (wrong === null) continue;
    const shown = entries.map(({ partition, kind, timestamp }) => `${partition} ${kind} ${timestamp}`);
    throw new Error(`log: transaction ${id}: ${wrong}: ${shown.join(', ')}`);
  }
}

/** Rows must not be there without rows of reference tables that were written with them. @throws what is wrong */
function checkFollowed(ports: readonly SqlitePort[]): void {
  const [system, ...others] = ports;
  for (const [id, index] of system?.query(FED).rows ?? [])
    for (const [at, port] of others.entries()) {
      const [early] = port.query(EARLY, id as string, index as number).rows;
      if (early !== undefined)
        throw new Error(
          `log: partition ${at + 1} has applied ${id} in ${early[0]}, before what it follows with it`,
        );
    }
}

function wrongWith(entries: readonly Entry[]): string | null {
  const of = (kind: string) => entries.filter((entry) => entry.kind === kind);
  const [decisions, applied, prepares] = [of('decide'), of('apply'), of('prepare')];
  if (decisions.length > 1) return 'it was decided on twice';
  const [decision] = decisions;
  if (decision === undefined)
    return applied.length > 0 ? 'it was applied without a decision' : unended(entries);
  if (applied.some(({ commitTimestamp }) => commitTimestamp !== decision.commitTimestamp))
    return 'it counts from different moments';
  const moment = decision.commitTimestamp ?? decision.timestamp;
  if (prepares.some(({ timestamp }) => timestamp >= moment)) return 'it counts from before a prepare';
  return unended(entries);
}

/** A prepare that was on its way for long comes after the abort, which nobody remembers: it is aborted once more. */
function unended(entries: readonly Entry[]): string | null {
  for (const [partition, own] of Map.groupBy(entries, (entry) => entry.partition)) {
    let isPrepared = false;
    let isDone = false;
    for (const { kind } of own) {
      if (kind === 'prepare') {
        if (isDone) return `partition ${partition} prepared it after its end`;
        isPrepared = true;
      } else if (END.has(kind)) {
        if (isDone || (kind === 'abort' && !isPrepared))
          return `partition ${partition} has ended it once too often`;
        isDone = kind !== 'abort';
        isPrepared = false;
      }
    }
    if (isPrepared) return `partition ${partition} has not ended it`;
  }
  return null;
}
