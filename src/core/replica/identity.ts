import { present } from '../../base/assert.ts';
import type { Epoch, PartitionId } from '../../base/brand.ts';
import type { WireRange } from '../../protocol/network.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** Who this replica is. Written once by an explicit creation, then only by logged `config` entries. */
export interface Identity {
  readonly database: string;
  readonly partition: PartitionId;
  /** Changes when the database is restored or recovered. */
  readonly history: string;
  /** Node id in this replica's timestamps. */
  readonly node: string;
  readonly epoch: Epoch;
  /** Token ranges owned; empty for the system partition. */
  readonly ranges: readonly WireRange[];
  /** Generated ids: from `start` up to, not including, `end`; both below 2^53. */
  readonly identifiers: { readonly start: number; readonly end: number };
}

export const IDENTITY_DDL = `CREATE TABLE _atoll_identity (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  identity TEXT NOT NULL -- JSON, core/replica/identity.ts
)`;

export function readIdentity(port: SqlitePort): Identity {
  const row = port.query('SELECT identity FROM _atoll_identity').rows[0];
  return JSON.parse(String(present(row, 'a created replica has an identity')[0]));
}

export function writeIdentity(port: SqlitePort, identity: Identity): void {
  port.query('INSERT OR REPLACE INTO _atoll_identity VALUES (1, ?)', JSON.stringify(identity));
}
