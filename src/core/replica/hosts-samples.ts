import type { Heartbeat, ReplicaReport, ReplicaState } from '../network/heartbeat.ts';
import {
  freshReliability,
  type Reliability,
  type ReliabilityRun,
  UNAVAILABLE_SCORE,
} from '../network/reliability.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { isoOf, numberOf, timeOf } from './hosts-rows.ts';

/** Rows of what is measured of hosts, in the transaction that is open. */

/** The newest that a host has said, and when. */
export interface Pulse {
  readonly seenAt: number;
  readonly skewMs: number;
  readonly beat: Heartbeat;
}

export function writeMetrics(port: SqlitePort, host: string, { seenAt, skewMs, beat }: Pulse): void {
  port.query(
    `UPDATE atoll_host_metrics SET seen_at = ?, free_bytes = ?, total_bytes = ?, held_bytes = ?, cpu_rating = ?,
     clock_skew_ms = ? WHERE host = ?`,
    isoOf(seenAt),
    beat.freeBytes,
    beat.totalBytes,
    beat.heldBytes,
    beat.cpuRating,
    skewMs,
    host,
  );
}

export function writeReliability(port: SqlitePort, host: string, state: Reliability): void {
  port.query(
    'UPDATE atoll_host_metrics SET score = ?, scored_at = ?, retries = ?, next_try_at = ? WHERE host = ?',
    state.score,
    isoOf(state.atMs),
    state.retries,
    isoOf(state.nextTryMs),
    host,
  );
  const [oldest] = state.history;
  if (oldest === undefined) return;
  port.query('DELETE FROM atoll_reliability WHERE host = ? AND since_at < ?', host, isoOf(oldest.sinceMs));
  // Runs that are as they were cost no entry of the log.
  for (const { outcome, sinceMs, lastMs, count, score } of state.history) {
    port.query(
      `INSERT INTO atoll_reliability VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET outcome = excluded.outcome, last_at = excluded.last_at, count = excluded.count, score = excluded.score
       WHERE count <> excluded.count OR outcome <> excluded.outcome`,
      host,
      isoOf(sinceMs),
      outcome,
      isoOf(lastMs),
      count,
      score,
    );
  }
}

/** As it was last written; null for a host that nothing was measured of. */
export function readReliability(port: SqlitePort, host: string, unavailable: boolean): Reliability | null {
  const [[score, at, retries, next] = []] = port.query(
    'SELECT score, scored_at, retries, next_try_at FROM atoll_host_metrics WHERE host = ?',
    host,
  ).rows;
  const atMs = timeOf(at);
  // What made it unavailable may not have been written down before the monitor ended: then its next answer is enough.
  if (atMs === null)
    return unavailable ? { ...freshReliability(0), score: UNAVAILABLE_SCORE, unavailable } : null;
  const { rows } = port.query(
    'SELECT outcome, since_at, last_at, count, score FROM atoll_reliability WHERE host = ? ORDER BY since_at',
    host,
  );
  const history = rows.map(([outcome, since, last, count, scored]) => ({
    outcome: String(outcome) as ReliabilityRun['outcome'],
    sinceMs: Date.parse(String(since)),
    lastMs: Date.parse(String(last)),
    count: Number(count),
    score: Number(scored),
  }));
  return {
    score: Number(score),
    atMs,
    unavailable,
    retries: Number(retries),
    nextTryMs: timeOf(next) ?? atMs,
    history,
  };
}

export function writeLatency(port: SqlitePort, host: string, other: string, ms: number, at: number): void {
  port.query('INSERT OR REPLACE INTO atoll_latencies VALUES (?, ?, ?, ?)', host, other, ms, isoOf(at));
}

/** States of the replicas that a host shall have, by partition. */
export function readReplicaStates(port: SqlitePort, host: string): Map<number, ReplicaState> {
  const { rows } = port.query('SELECT partition, state FROM atoll_replica_progress WHERE host = ?', host);
  return new Map(rows.map(([partition, state]) => [Number(partition), String(state) as ReplicaState]));
}

/** Nothing where the replica was taken from the host meanwhile, or was given to it anew and is loading. */
export function writeProgressSample(
  port: SqlitePort,
  host: string,
  { partition, matched, leaderLast, lagMs }: ReplicaReport,
  at: number,
): void {
  port.query(
    `UPDATE atoll_replica_progress SET matched = ?, leader_last = ?, lag_ms = ?, reported_at = ?
     WHERE partition = ? AND host = ? AND state <> 'loading'`,
    matched,
    leaderLast,
    Math.round(lagMs),
    isoOf(at),
    partition,
    host,
  );
}

export function writeReplicaState(
  port: SqlitePort,
  host: string,
  partition: number,
  state: ReplicaState,
): void {
  port.query(
    'UPDATE atoll_replica_progress SET state = ? WHERE partition = ? AND host = ?',
    state,
    partition,
    host,
  );
}

/** Whatever the host's replica had is gone, or that of all its replicas (`partition` null): it loads them anew. */
export function writeReplicaLost(port: SqlitePort, host: string, partition: number | null): void {
  port.query(
    `UPDATE atoll_replica_progress SET state = 'loading', matched = 0, leader_last = NULL, lag_ms = NULL, reported_at = NULL
     WHERE host = ?1 AND partition = coalesce(?2, partition)`,
    host,
    partition,
  );
}

/** A learner, with what was last written of it. */
export interface ProgressRow {
  readonly partition: number;
  readonly host: string;
  readonly state: ReplicaState;
  readonly matched: number;
  readonly leaderLast: number | null;
  readonly lagMs: number | null;
}

export function readProgressRows(port: SqlitePort): ProgressRow[] {
  const { rows } = port.query(
    'SELECT partition, host, state, matched, leader_last, lag_ms FROM atoll_replica_progress ORDER BY host, partition',
  );
  return rows.map(([partition, host, state, matched, last, lag]) => ({
    partition: Number(partition),
    host: String(host),
    state: String(state) as ReplicaState,
    matched: Number(matched),
    leaderLast: numberOf(last),
    lagMs: numberOf(lag),
  }));
}
