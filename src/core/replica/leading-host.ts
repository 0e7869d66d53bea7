import { EDGE } from '../network/votes.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/**
 * The host that leads every partition, the system partition with them: the edge, or, in a cluster that was recovered from
 * agents' copies, one of the agents. It has no profile: it proposes itself to nobody.
 */
export function leadingHost(port: SqlitePort): string {
  const [[host] = []] = port.query(`SELECT host FROM atoll_replicas WHERE role = 'leader' LIMIT 1`).rows;
  return host === undefined ? EDGE : String(host);
}
