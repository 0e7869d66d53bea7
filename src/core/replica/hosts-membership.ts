import { freeHostRange } from '../network/host-ranges.ts';
import { proposeAgainMs } from '../network/joining.ts';
import type { HostEvent } from '../network/status.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type AgentRow, isoOf, raise, type StatusChange } from './hosts-rows.ts';

/** What the beginning and the end of a membership change besides the status, in the transaction that is open. */

/** The host is a member: it gets an identifier range, and partition 0 as its first replica. */
export function admit(port: SqlitePort, agent: AgentRow, reason: string, now: number): StatusChange {
  const change = raise(port, agent, 'accepted', reason, now);
  if (change.kind === 'refused') return change;
  decideProposal(port, agent.host, 'accepted', now);
  const range = freeHostRange(takenRanges(port));
  port.query(
    `UPDATE atoll_host_profiles SET joined_at = ?, served_at = NULL, draining_since = NULL, refusals = 0, retry_at = NULL,
     id_start = ?, id_end = ? WHERE host = ?`,
    isoOf(now),
    range?.start ?? null,
    range?.end ?? null,
    agent.host,
  );
  giveReplica(port, 0, agent.host);
  return change;
}

/** The host is no member, and must wait before it proposes itself again: the longer, the more often this happened. */
export function turnAway(port: SqlitePort, agent: AgentRow, reason: string, now: number): StatusChange {
  const change = raise(port, agent, 'refused', reason, now);
  if (change.kind === 'refused') return change;
  decideProposal(port, agent.host, 'refused', now);
  const refusals = agent.refusals + 1;
  port.query(
    'UPDATE atoll_host_profiles SET refusals = ?, retry_at = ? WHERE host = ?',
    refusals,
    isoOf(now + proposeAgainMs(refusals)),
    agent.host,
  );
  return change;
}

/** The host is a member no more: its identifier range, its replicas and what was measured of it are given up. */
export function dismiss(
  port: SqlitePort,
  agent: AgentRow,
  event: Extract<HostEvent, 'removed' | 'away-too-long'>,
  reason: string | null,
  now: number,
): StatusChange {
  const change = raise(port, agent, event, reason, now);
  if (change.kind === 'refused') return change;
  decideProposal(port, agent.host, 'refused', now);
  port.query(
    'UPDATE atoll_host_profiles SET id_start = NULL, id_end = NULL, draining_since = NULL WHERE host = ?',
    agent.host,
  );
  port.query('DELETE FROM atoll_replicas WHERE host = ?', agent.host);
  port.query('DELETE FROM atoll_replica_progress WHERE host = ?', agent.host);
  port.query('DELETE FROM atoll_latencies WHERE host = ?1 OR other = ?1', agent.host);
  return change;
}

export function giveReplica(port: SqlitePort, partition: number, host: string): void {
  port.query(`INSERT OR IGNORE INTO atoll_replicas VALUES (?, ?, 'learner')`, partition, host);
  port.query(
    `INSERT OR IGNORE INTO atoll_replica_progress VALUES (?, ?, 'loading', 0, NULL, NULL, NULL)`,
    partition,
    host,
  );
}

export function takeReplica(port: SqlitePort, partition: number, host: string): void {
  port.query('DELETE FROM atoll_replicas WHERE partition = ? AND host = ?', partition, host);
  port.query('DELETE FROM atoll_replica_progress WHERE partition = ? AND host = ?', partition, host);
}

function decideProposal(port: SqlitePort, host: string, state: 'accepted' | 'refused', now: number): void {
  port.query(
    `UPDATE atoll_host_proposals SET state = ?, decided_at = ? WHERE host = ? AND state = 'open'`,
    state,
    isoOf(now),
    host,
  );
}

function takenRanges(port: SqlitePort): { start: number; end: number }[] {
  const { rows } = port.query(
    `SELECT id_start, id_end FROM atoll_host_profiles WHERE id_start IS NOT NULL
     UNION ALL SELECT id_start, id_end FROM atoll_partitions`,
  );
  return rows.map(([start, end]) => ({ start: Number(start), end: Number(end) }));
}
