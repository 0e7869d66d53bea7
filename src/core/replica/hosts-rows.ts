import { present } from '../../base/assert.ts';
import { type HostEvent, type HostStatus, type Transition, transition } from '../network/status.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import type { System } from './system.ts';

/** Rows of hosts in the system partition, in the transaction that is open. */

/** Events kept for each host (chosen: a host that flaps shows how, and the log is not filled by it). */
const EVENTS_MAX = 64;

/** An agent, from `atoll_hosts` and `atoll_host_profiles`. Times in unix ms. */
export interface AgentRow {
  readonly host: string;
  readonly status: HostStatus;
  readonly name: string | null;
  readonly publicKey: string;
  readonly addresses: readonly string[];
  readonly range: { readonly start: number; readonly end: number } | null;
  readonly joinedAt: number | null;
  readonly servedAt: number | null;
  readonly statusSince: number;
  readonly draining: boolean;
  /** In a row. */
  readonly refusals: number;
  readonly retryAt: number | null;
}

export const isoOf = (time: number): string => new Date(time).toISOString();

export function timeOf(value: PortValue | undefined): number | null {
  return value === null || value === undefined ? null : Date.parse(String(value));
}

export const numberOf = (value: PortValue | undefined): number | null =>
  value === null || value === undefined ? null : Number(value);

/** One transaction with an entry of the log; without one if nothing was changed. */
export function change<T>(system: System, now: number, body: (port: SqlitePort) => T): T {
  const { port } = system.replica;
  return port.transaction(() => {
    const result = body(port);
    system.replica.append('write', null, now);
    return result;
  });
}

const AGENTS = `SELECT h.host, h.status, p.name, p.public_key, p.addresses, p.id_start, p.id_end, p.joined_at, p.served_at,
  p.status_since, p.draining_since, p.refusals, p.retry_at
  FROM atoll_hosts h JOIN atoll_host_profiles p ON p.host = h.host`;

/** Every agent that ever proposed itself, by id. */
export function readAgents(port: SqlitePort): AgentRow[] {
  return port.query(`${AGENTS} ORDER BY h.host`).rows.map(agentOf);
}

export function readAgent(port: SqlitePort, host: string): AgentRow | null {
  const row = port.query(`${AGENTS} WHERE h.host = ?`, host).rows[0];
  return row === undefined ? null : agentOf(row);
}

function agentOf(row: readonly PortValue[]): AgentRow {
  const [host, status, name, key, addresses, start, end, joined, served, since, draining, refusals, retry] =
    row;
  return {
    host: String(host),
    status: String(status) as HostStatus,
    name: name === null ? null : String(name),
    publicKey: String(key),
    addresses: JSON.parse(String(addresses)),
    range: start === null ? null : { start: Number(start), end: Number(end) },
    joinedAt: timeOf(joined),
    servedAt: timeOf(served),
    statusSince: present(timeOf(since), 'a status has a beginning'),
    draining: draining !== null,
    refusals: Number(refusals),
    retryAt: timeOf(retry),
  };
}

/** What an event made of a host; `before` and `after` may be equal. */
export type StatusChange =
  | { readonly kind: 'done'; readonly before: HostStatus; readonly after: HostStatus }
  | Extract<Transition, { kind: 'refused' }>;

/** Turns a host's status by the table, and notes it in its history. */
export function raise(
  port: SqlitePort,
  { host, status }: Pick<AgentRow, 'host' | 'status'>,
  event: HostEvent,
  reason: string | null,
  now: number,
): StatusChange {
  const next = transition(status, event);
  if (next.kind === 'refused') return next;
  if (next.status !== status) {
    port.query('UPDATE atoll_hosts SET status = ? WHERE host = ?', next.status, host);
    port.query('UPDATE atoll_host_profiles SET status_since = ? WHERE host = ?', isoOf(now), host);
    note(port, { host, event, before: status, after: next.status, reason }, now);
  }
  return { kind: 'done', before: status, after: next.status };
}

export interface HostNote {
  readonly host: string;
  /** A HostEvent, or what else is worth remembering: `new-address`, `draining`, `differed`. */
  readonly event: string;
  readonly before: HostStatus | null;
  readonly after: HostStatus;
  readonly reason: string | null;
}

export function note(port: SqlitePort, { host, event, before, after, reason }: HostNote, now: number): void {
  const last = port.query('SELECT max(number) FROM atoll_host_events WHERE host = ?', host).rows[0]?.[0];
  const number = Number(last ?? 0) + 1;
  port.query(
    'INSERT INTO atoll_host_events VALUES (?, ?, ?, ?, ?, ?, ?)',
    host,
    number,
    event,
    before,
    after,
    reason,
    isoOf(now),
  );
  port.query('DELETE FROM atoll_host_events WHERE host = ? AND number <= ?', host, number - EVENTS_MAX);
}

/** When each agent was last heard from, as far as the tables know; unix ms. */
export function readSeen(port: SqlitePort): Map<string, number> {
  const { rows } = port.query('SELECT host, seen_at FROM atoll_host_metrics WHERE seen_at IS NOT NULL');
  return new Map(rows.map(([host, seen]) => [String(host), Date.parse(String(seen))]));
}
