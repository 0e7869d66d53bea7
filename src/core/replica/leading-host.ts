import { EDGE } from '../network/votes.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/**
 * The host that leads every partition, the system partition with them: the edge, or an agent, in a cluster that it has founded
 * itself or that was recovered from agents' copies. It has no profile: it proposes itself to nobody.
 */
export function leadingHost(port: SqlitePort): string {
  const [[host] = []] = port.query(`SELECT host FROM atoll_replicas WHERE role = 'leader' LIMIT 1`).rows;
  return host === undefined ? EDGE : String(host);
}

export function kindOfLeader(host: string): 'edge' | 'agent' {
  return host === EDGE ? 'edge' : 'agent';
}

/** As there is no profile to have it, its name is a setting. */
const SETTING = 'leader_name';

/** What its operator calls it; null: its id says enough. */
export function leaderName(port: SqlitePort): string | null {
  const [[name] = []] = port.query('SELECT value FROM _atoll_settings WHERE name = ?', SETTING).rows;
  return name === undefined || name === null ? null : String(name);
}

/** In the transaction that is open. */
export function writeLeaderName(port: SqlitePort, name: string): void {
  port.query('INSERT OR REPLACE INTO _atoll_settings VALUES (?, ?)', SETTING, name);
}

/** Another host leads from now on. In the transaction that is open. */
export function forgetLeaderName(port: SqlitePort): void {
  port.query('DELETE FROM _atoll_settings WHERE name = ?', SETTING);
}
