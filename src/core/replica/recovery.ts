import { assert } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import { dropLog } from '../log/capture.ts';
import { changeStamp } from '../log/layout.ts';
import { readHead } from '../log/tables.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import { quoteName } from '../sqlite/quote.ts';
import { BOOKKEEPING, writeProgress } from './bookkeeping.ts';
import { type Identity, writeIdentity } from './identity.ts';
import { forgetLeaderName } from './leading-host.ts';
import type { Replica } from './replica.ts';
import type { System } from './system.ts';
import { HOST_TABLES, SYSTEM_TABLES } from './system-tables.ts';

/**
 * The way out: copies of partitions become a cluster of their own, with another history and another host that leads. What
 * the former leader did after a copy was made is not in it, and this must never be mistaken for the same timeline.
 */

/**
 * Generated ids that are passed over, as the former leader may have issued some that no copy knows of (chosen: at
 * 100,000 a second it takes a copy that is four months old to meet one).
 */
export const RECOVERY_GAP = 2 ** 40;

export interface Recovery {
  /** The new one. */
  readonly history: string;
  /** Host id of the agent that will lead every partition. */
  readonly host: string;
  /** End of the system partition's feed, which all have reached. */
  readonly feedIndex: number;
}

type Range = Identity['identifiers'];

/** What is left of a range whose ids below `mark` are issued: the gap is a half at most. */
export function rangeAfterLoss({ start, end }: Range, mark: number, gap = RECOVERY_GAP): Range {
  const from = Math.max(start, mark);
  assert(from <= end, 'a mark in its range');
  return { start: from + Math.min(gap, Math.floor((end - from) / 2)), end };
}

/** Of a partition that has no copy: nobody knows how many ids it has issued. */
export function rangeOfLost({ start, end }: Range, given = 0): Range {
  return { start: Math.max(given, start + Math.floor((end - start) / 2)), end };
}

/**
 * Above all ids in a range that rows of this copy have, in tables where clients may give them: the copy of the partition that
 * generates ids there may be older, and not know of its mark. 0: there are none.
 */
export function aboveGivenIds({ port, schema }: Replica, { start, end }: Range): number {
  const tops = schema.catalogue.tables.flatMap((table) => {
    const column = looseIdColumn(table);
    if (column === null) return [];
    const id = quoteName(column);
    const sql = `SELECT max(${id}) FROM ${quoteName(table.name)} WHERE ${id} BETWEEN ? AND ?`;
    const largest = port.query(sql, start, end - 1).rows[0]?.[0] ?? null;
    return largest === null ? [] : [Number(largest) + 1];
  });
  return Math.max(0, ...tops);
}

/**
 * A partition's copy, at the end of the feed, becomes one of the new cluster. Gives its ids, which are above `given`: see
 * {@link aboveGivenIds}, of all copies.
 */
export function recoverPartition(replica: Replica, recovery: Recovery, now: number, given = 0): Range {
  assert(!replica.isSystem, 'the system partition has more to change');
  const more = () => writeProgress(replica.port, 'system_index', recovery.feedIndex);
  return change(replica, recovery, now, more, given);
}

/** What the system partition must know of each partition. */
export interface RecoveredPartition {
  readonly partition: PartitionId;
  readonly identifiers: Range;
}

/** The same for the system partition, when all others are recovered: the hosts of the former cluster are gone. */
export function recoverSystem(
  system: System,
  recovery: Recovery,
  partitions: readonly RecoveredPartition[],
  now: number,
): void {
  const { replica } = system;
  const { port } = replica;
  withdrawUndecided(system, now);
  system.recordApplied(
    replica.schema.version,
    partitions.map(({ partition }) => partition),
    now,
  );
  change(replica, recovery, now, () => {
    const { history, host } = recovery;
    port.query(`INSERT OR REPLACE INTO _atoll_settings VALUES ('history', ?)`, history);
    for (const { name } of HOST_TABLES) port.query(`DELETE FROM ${name}`);
    port.query('DELETE FROM atoll_hosts');
    port.query('DELETE FROM atoll_replicas');
    forgetLeaderName(port);
    port.query(`INSERT INTO atoll_hosts VALUES (?, 'agent', 'write')`, host);
    for (const { partition, identifiers } of partitions) {
      port.query(`INSERT INTO atoll_replicas VALUES (?, ?, 'leader')`, partition, host);
      port.query(
        `UPDATE atoll_partitions SET status = 'write', id_start = ?, id_end = ? WHERE partition = ?`,
        identifiers.start,
        identifiers.end,
        partition,
      );
    }
  });
}

/** Whoever was deciding a schema change is gone. */
export function withdrawUndecided(system: System, now: number): void {
  const undecided = system.undecided();
  if (undecided !== null) system.withdraw(undecided, 'the cluster was lost before it was decided', now);
}

function change(replica: Replica, recovery: Recovery, now: number, more: () => void, given = 0): Range {
  const { port, identity } = replica;
  const { lastCommitId, lastTimestamp } = readHead(port);
  const [[mark] = []] = port.query('SELECT max(mark) FROM _atoll_marks').rows;
  const identifiers = rangeAfterLoss(identity.identifiers, Math.max(Number(mark ?? 0), given));
  try {
    port.transaction(() => {
      more();
      writeProgress(port, 'hold', null);
      // Without a mark of its own a table begins where the range does.
      port.query('DELETE FROM _atoll_marks');
      port.query('DELETE FROM _atoll_followers');
      port.query('DELETE FROM _atoll_staged');
      writeIdentity(port, { ...identity, history: recovery.history, identifiers });
      const former = { history: identity.history, commit: lastCommitId, time: lastTimestamp };
      replica.append('config', JSON.stringify({ recovered: recovery.history, former }), now);
    });
  } finally {
    replica.reload();
  }
  return identifiers;
}

/**
 * Makes a copy of the recovered system partition's file a partition without rows, in the place of one that has no copy: the
 * schema and the reference tables are there as everywhere, and its log begins where that of the system partition is.
 */
export function emptyPartitionFrom(
  replica: Replica,
  lost: Omit<Identity, 'history' | 'node' | 'database'>,
  feedIndex: number,
): void {
  assert(replica.isSystem, 'users have no rows in the system partition but those of reference tables');
  const { port, identity } = replica;
  port.transaction(() => {
    for (const { id, name } of SYSTEM_TABLES) {
      dropLog(port, id);
      port.query(`DROP TABLE ${name}`);
    }
    for (const { name } of BOOKKEEPING) port.query(`DELETE FROM ${name}`);
    writeProgress(port, 'system_index', feedIndex);
    writeIdentity(port, { ...identity, ...lost, node: `p${lost.partition}` });
    // The log's images are of the system partition.
    port.query(`UPDATE _atoll_head SET
      base_term = coalesce((SELECT term FROM _atoll_commits WHERE commit_id = last_commit_id), base_term),
      base_timestamp = last_timestamp, first_commit_id = last_commit_id + 1, last_seq = 0,
      suspect = 0`);
    port.query('DELETE FROM _atoll_commits');
    port.query('DELETE FROM _atoll_log');
    port.query('DELETE FROM _atoll_layouts WHERE retired_seq IS NOT NULL');
    changeStamp(port);
  });
}
