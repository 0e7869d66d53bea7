import { readHead } from '../log/tables.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { System } from './system.ts';

/**
 * Version of the network information: id of the last commit of the system partition that may have changed it. All may,
 * but for *quiet* ones, which write down samples of heartbeats alone; else routers would fetch it, and gossip would
 * spread it, every few seconds.
 */

/** Setting: from commit `version + 1` up to `through` all are quiet. Worth nothing once the log has gone on. */
const SETTING = 'quiet';

interface Quiet {
  readonly version: number;
  readonly through: number;
}

export function networkVersion(port: SqlitePort): number {
  const { lastCommitId } = readHead(port);
  const [[text] = []] = port.query('SELECT value FROM _atoll_settings WHERE name = ?', SETTING).rows;
  if (text === undefined) return lastCommitId;
  const quiet = JSON.parse(String(text)) as Quiet;
  return quiet.through === lastCommitId ? quiet.version : lastCommitId;
}

/** One transaction with an entry of the log that leaves the network information's version as it is. */
export function changeQuietly(system: System, now: number, body: (port: SqlitePort) => void): void {
  const { port } = system.replica;
  port.transaction(() => {
    const quiet: Quiet = { version: networkVersion(port), through: readHead(port).lastCommitId + 1 };
    body(port);
    port.query('INSERT OR REPLACE INTO _atoll_settings VALUES (?, ?)', SETTING, JSON.stringify(quiet));
    system.replica.append('write', null, now);
  });
}

/** When the last schema change was decided, Unix ms; 0 before the first. */
export function schemaChangedMs(port: SqlitePort): number {
  const at = port.query('SELECT max(decided_at) FROM atoll_migrations').rows[0]?.[0];
  return typeof at === 'string' ? Date.parse(at) : 0;
}
