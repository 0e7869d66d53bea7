import { present } from '../../../src/base/assert.ts';
import type { CommitId, Epoch, PartitionId, SchemaVersion } from '../../../src/base/brand.ts';
import { dump } from '../../../src/core/log/dump.ts';
import { encodeCommit } from '../../../src/core/log/encoding.ts';
import { readCommit } from '../../../src/core/log/read.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import { BOOKKEEPING } from '../../../src/core/replica/bookkeeping.ts';
import { rehearse } from '../../../src/core/replica/rehearse.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { recordSchema } from '../../../src/core/replica/schema-versions.ts';
import { SYSTEM_TABLES } from '../../../src/core/replica/system-tables.ts';
import { trySchemaChange } from '../../../src/core/schema/apply-change.ts';
import type { Catalogue } from '../../../src/core/schema/catalogue.ts';
import type { SchemaChange } from '../../../src/core/schema/change.ts';
import { compileTriggers } from '../../../src/core/schema/compile-triggers.ts';
import { SqliteError, type SqlitePort } from '../../../src/core/sqlite/port.ts';
import { describeTable } from '../log/describe-table.ts';

/** A leader whose schema may be anything that SQLite accepts, and whose time is a counter. */
export class Leader {
  readonly replica: Replica;
  #now = 1_700_000_000_000;

  constructor(port: SqlitePort) {
    this.replica = Replica.create(port, {
      database: 'main',
      partition: 1 as PartitionId,
      history: 'a history',
      node: 'p1',
      epoch: 1 as Epoch,
      ranges: [{ start: 0, end: 2 ** 32 }],
      identifiers: { start: 1, end: 2 ** 40 },
    });
  }

  get port(): SqlitePort {
    return this.replica.port;
  }

  /** One entry of these statements, each of which may fail; none if nothing changed. */
  commit(statements: readonly string[], payload: string | null = null): void {
    this.port.transaction(() => {
      for (const sql of statements) this.#attempt(sql);
      this.replica.append('write', payload, this.#now++);
    });
  }

  /** False if SQLite refuses the change. */
  change(statements: readonly string[]): boolean {
    const { port, replica } = this;
    const before = replica.schema.catalogue;
    try {
      port.transaction(() => {
        const change = planned(port, before, statements);
        trySchemaChange(port, before, change);
        recordSchema(port, change);
        replica.schemaApplied(change.catalogue);
        replica.append('schema', JSON.stringify(change), this.#now++);
      });
      return true;
    } catch (error) {
      replica.reload();
      if (error instanceof SqliteError || (error as Error).name === 'AtollError') return false;
      throw error;
    }
  }

  #attempt(sql: string): void {
    try {
      this.port.transaction(() => {
        this.port.query(sql);
        if (this.port.query('PRAGMA foreign_key_check').rows.length > 0)
          throw new SqliteError('constraint', 'SQLITE_CONSTRAINT_FOREIGNKEY', 'a foreign key is violated');
      });
    } catch (error) {
      if (!(error instanceof SqliteError)) throw error;
    }
  }
}

/** What the statements make of the schema, found by running them; tables keep their ids by name. */
function planned(port: SqlitePort, before: Catalogue, statements: readonly string[]): SchemaChange {
  let { nextTableId } = before;
  const catalogue = rehearse(port, (): Catalogue => {
    const plain: SchemaChange = {
      version: before.version,
      statements,
      mustBeEmpty: [],
      catalogue: { ...before, tables: [] },
    };
    trySchemaChange(port, before, plain);
    const names = port
      .query(
        `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_*' AND name NOT GLOB 'sqlite_*'`,
      )
      .rows.map(([name]) => String(name));
    const tables = names.map((name) => {
      const id = before.tables.find((table) => table.name === name)?.id ?? nextTableId++;
      return describeTable(port, name, id);
    });
    const { triggers } = introspectTriggers(port);
    const catalogue: Catalogue = {
      version: (before.version + 1) as SchemaVersion,
      nextTableId: nextTableId as Catalogue['nextTableId'],
      tables,
      views: [],
      triggers,
    };
    // As a cluster does: nobody could apply or undo rows of a table whose trigger names what is gone.
    compileTriggers(port, catalogue);
    return catalogue;
  });
  return { version: catalogue.version, statements, mustBeEmpty: [], catalogue };
}

function introspectTriggers(port: SqlitePort): Pick<Catalogue, 'triggers'> {
  const { rows } = port.query(
    `SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' AND name NOT GLOB '_atoll_*' ORDER BY rowid`,
  );
  return {
    triggers: rows.map(([name, table, sql]) => ({
      name: String(name),
      table: String(table),
      sql: String(sql),
    })),
  };
}

/** All that two replicas have in common: rows, entries that both have, schema, and what is in memory. */
export function stateOf(replica: Replica, from: number): unknown {
  const { port } = replica;
  const internal = replica.isSystem ? [...BOOKKEEPING, ...SYSTEM_TABLES] : BOOKKEEPING;
  const { lastCommitId, lastTimestamp, suspect } = readHead(port);
  const entries: unknown[] = [];
  for (let id = from; id <= lastCommitId; id++)
    entries.push(encodeCommit(present(readCommit(port, id as CommitId), 'an entry')));
  return {
    rows: dump(port, [...internal, ...replica.schema.catalogue.tables]),
    unlogged: ['_atoll_identity', '_atoll_schema'].map((table) => port.query(`SELECT * FROM ${table}`).rows),
    layouts: port.query(
      'SELECT layout, table_id, definition FROM _atoll_layouts WHERE retired_seq IS NULL ORDER BY layout',
    ).rows,
    schema: port.query(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT GLOB '_atoll_commits*' ORDER BY type, name`,
    ).rows,
    triggers: port.query(`SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid`).rows,
    head: { lastCommitId, lastTimestamp, suspect },
    entries,
    memory: [replica.schema.catalogue, replica.systemIndex, replica.hold, replica.identity],
  };
}
