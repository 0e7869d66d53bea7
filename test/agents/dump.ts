import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What a host notes for itself alone, how far it is, and tables of SQLite and of workerd. */
const OWN = /^(sqlite_|_cf_|_atoll_(head|followers|staged|format|snapshot|commits|log)$)/;

/** Tables of a partition's file, each with its rows in the order of all their values. */
export type Dump = ReadonlyMap<string, readonly string[]>;

export interface FileDump {
  readonly partition: number;
  readonly lastCommit: number;
  readonly tables: Dump;
  /** Entries of the log that are kept, by commit id. */
  readonly commits: ReadonlyMap<number, string>;
}

/** Replicas of an agent that was stopped. */
export function agentDumps(data: string): FileDump[] {
  const directory = join(data, 'main');
  const files = existsSync(directory)
    ? readdirSync(directory).filter((name) => /^\d+\.sqlite$/.test(name))
    : [];
  return files.map((name) => dumpOf(join(directory, name))).filter((dump) => dump !== null);
}

/** Leaders of an edge that was stopped: workerd keeps one file for each object. */
export function edgeDumps(data: string): FileDump[] {
  const storage = join(data, 'storage');
  return readdirSync(storage, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sqlite'))
    .map((name) => dumpOf(join(storage, name)))
    .filter((dump) => dump !== null);
}

/** Null: it is none of Atoll's. */
function dumpOf(file: string): FileDump | null {
  const database = new DatabaseSync(file, { readOnly: true, returnArrays: true });
  const all = (sql: string): unknown[][] => database.prepare(sql).all() as unknown as unknown[][];
  try {
    const names = all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").map(([name]) =>
      String(name),
    );
    if (!names.includes('_atoll_identity')) return null;
    const { partition } = JSON.parse(String(all('SELECT identity FROM _atoll_identity')[0]?.[0]));
    const shown = (row: unknown[]): string => JSON.stringify(row, (_, value) => exactly(value));
    return {
      partition,
      lastCommit: Number(all('SELECT last_commit_id FROM _atoll_head')[0]?.[0]),
      tables: new Map(
        names
          .filter((name) => !OWN.test(name))
          .map((name) => [
            name,
            all(`SELECT ${columns(name)} FROM "${name}"`)
              .map(shown)
              .sort(),
          ]),
      ),
      commits: new Map(
        all('SELECT commit_id, term, timestamp, kind, epoch, schema_version FROM _atoll_commits').map(
          (row) => [Number(row[0]), shown(row)],
        ),
      ),
    };
  } finally {
    database.close();
  }
}

/** `retired_seq` is a place in the replica's own log, whose numbers begin anew with a snapshot. */
function columns(table: string): string {
  return table === '_atoll_layouts' ? 'layout, table_id, definition, retired_seq IS NULL' : '*';
}

function exactly(value: unknown): unknown {
  return value instanceof Uint8Array ? { blob: Buffer.from(value).toString('base64') } : value;
}

/** Where a replica is not as its leader is; empty: it is. The system partition goes on by itself, so there users' tables are compared. */
export function differences(follower: FileDump, leader: FileDump): string[] {
  const where = `partition ${follower.partition}`;
  const isSystem = follower.partition === 0;
  const found: string[] = [];
  for (const name of new Set([...leader.tables.keys(), ...follower.tables.keys()])) {
    if (isSystem && /^_?atoll_/.test(name)) continue;
    const [theirs, ours] = [leader.tables.get(name), follower.tables.get(name)];
    if (theirs === undefined || ours === undefined) found.push(`${where}: only one has table ${name}`);
    else {
      const [less, more] = [without(theirs, ours), without(ours, theirs)];
      if (less.length > 0 || more.length > 0 || ours.length !== theirs.length) {
        found.push(
          `${where}, ${name}: lacks ${less.length} (${less[0]}), has besides ${more.length} (${more[0]})`,
        );
      }
    }
  }
  for (const [id, entry] of follower.commits) {
    const theirs = leader.commits.get(id);
    if (theirs !== undefined && theirs !== entry)
      found.push(`${where}: commit ${id} is ${entry}, not ${theirs}`);
  }
  if (!isSystem && follower.lastCommit !== leader.lastCommit)
    found.push(`${where}: is at commit ${follower.lastCommit} of ${leader.lastCommit}`);
  return found;
}

function without(rows: readonly string[], others: readonly string[]): string[] {
  const set = new Set(others);
  return rows.filter((row) => !set.has(row));
}
