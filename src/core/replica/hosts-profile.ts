import type { HostOffer } from '../network/joining.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { type AgentRow, isoOf, note } from './hosts-rows.ts';

/** What agents say of themselves, in the transaction that is open. */

export function insertAgent(port: SqlitePort, offer: HostOffer, now: number): void {
  const { host, name, publicKey, addresses } = offer;
  const at = isoOf(now);
  port.query(`INSERT INTO atoll_hosts VALUES (?, 'agent', 'proposal')`, host);
  port.query(
    `INSERT INTO atoll_host_profiles(host, name, public_key, addresses, proposed_at, status_since, refusals)
     VALUES (?, ?, ?, ?, ?, ?, 0)`,
    host,
    name,
    publicKey,
    JSON.stringify(addresses),
    at,
    at,
  );
  port.query(
    `INSERT INTO atoll_host_metrics(host, free_bytes, total_bytes, held_bytes, cpu_rating, clock_skew_ms, score, retries)
     VALUES (?, ?, ?, 0, ?, ?, 0, 0)`,
    host,
    offer.freeBytes,
    offer.totalBytes,
    offer.cpuRating,
    offer.time - now,
  );
  note(port, { host, event: 'proposed', before: null, after: 'proposal', reason: null }, now);
}

/** What a host that is known says anew; its key never changes. */
export function updateProfile(port: SqlitePort, agent: AgentRow, offer: HostOffer, now: number): void {
  if (offer.name !== agent.name) {
    port.query('UPDATE atoll_host_profiles SET name = ? WHERE host = ?', offer.name, agent.host);
  }
  noteAddresses(port, agent, offer.addresses, now);
}

/** False if they are the same. */
export function noteAddresses(
  port: SqlitePort,
  { host, status, addresses: former }: AgentRow,
  addresses: readonly string[],
  now: number,
): boolean {
  const text = JSON.stringify(addresses);
  if (text === JSON.stringify(former)) return false;
  port.query('UPDATE atoll_host_profiles SET addresses = ? WHERE host = ?', text, host);
  const reason = addresses.join(', ') || 'none: through a host that holds its socket';
  note(port, { host, event: 'new-address', before: status, after: status, reason }, now);
  return true;
}
