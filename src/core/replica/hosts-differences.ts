import type { ReplicaDifference, ReplicaState } from '../network/heartbeat.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type AgentRow, note } from './hosts-rows.ts';
import { writeReplicaState } from './hosts-samples.ts';

/**
 * A host has found that a replica's rows are not the leader's: notes it in the host's history, once, and in `states` that
 * it is not in sync before the host says that it has been made anew. In the transaction that is open.
 */
export function noteDifference(
  port: SqlitePort,
  { host, status }: Pick<AgentRow, 'host' | 'status'>,
  { partition, at, tables }: ReplicaDifference,
  states: Map<number, ReplicaState>,
  now: number,
): void {
  const state = states.get(partition);
  if (state === undefined) return;
  const reason = `its replica of partition ${partition} was not the leader's as of commit ${at}: ${tables.join(', ')}`;
  const known = `SELECT 1 FROM atoll_host_events WHERE host = ? AND event = 'differed' AND reason = ?`;
  if (port.query(known, host, reason).rows.length > 0) return;
  note(port, { host, event: 'differed', before: status, after: status, reason }, now);
  if (state !== 'in-sync') return;
  states.set(partition, 'behind');
  writeReplicaState(port, host, partition, 'behind');
}
