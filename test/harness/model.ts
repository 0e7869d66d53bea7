import { dump } from '../../src/core/log/dump.ts';
import { unguardTrigger } from '../../src/core/log/guard.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../src/core/schema/catalogue.ts';
import type { SchemaChange } from '../../src/core/schema/change.ts';
import { isInternalName } from '../../src/core/schema/introspect.ts';
import { SqliteError, type SqlitePort } from '../../src/core/sqlite/port.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import type { AtollError } from '../../src/protocol/error.ts';
import type { Write } from './workload.ts';

/** What the cluster should hold: one plain SQLite with all rows of all tables. */
export class Model {
  readonly port = new NodeSqlitePort(':memory:', { synchronous: 'OFF', restricted: false });
  catalogue: Catalogue = EMPTY_CATALOGUE;
  /** SQLite's schema by version. */
  readonly shapes = new Map<number, string>([[0, shapeOf(this.port)]]);
  /** Fingerprint of the reference tables by feed index. */
  readonly reference = new Map<number, string>();
  /** Ids ever generated, by table. */
  readonly #generated = new Map<number, Set<number>>();

  change(change: SchemaChange): void {
    for (const statement of change.statements) this.port.query(statement);
    this.catalogue = change.catalogue;
    this.shapes.set(change.version, shapeOf(this.port));
  }

  apply(write: Write, ids: readonly number[]): void {
    let known = this.#generated.get(write.table.id);
    if (known === undefined) {
      known = new Set();
      this.#generated.set(write.table.id, known);
    }
    for (const id of ids) {
      if (known.has(id)) throw new Error(`the id ${id} of ${write.table.name} was generated twice`);
      known.add(id);
    }
    this.port.query(write.model(ids));
  }

  /** What one SQLite accepts is not refused. */
  expectRefusal(write: Write, error: AtollError): void {
    if (error.code !== 'constraint') return;
    // Ids that were to be generated are any that are free.
    const ids = /RETURNING/.test(write.sql) ? [2 ** 53 - 9, 2 ** 53 - 8, 2 ** 53 - 7] : [];
    let accepted = true;
    try {
      this.port.transaction(() => {
        this.port.query(write.model(write.sql.split('), (').length >= 3 ? ids : ids.slice(0, 1)));
        throw new Error('undo');
      });
    } catch (thrown) {
      if (thrown instanceof SqliteError) accepted = false;
    }
    if (accepted) throw new Error(`refused: ${write.sql}: ${error.message}`);
  }

  rows(): Map<string, string[]> {
    return rowsOf(this.port, this.catalogue);
  }
}

/** Rows of every table, each as text, sorted. */
export function rowsOf(port: SqlitePort, catalogue: Catalogue): Map<string, string[]> {
  return new Map(
    dump(port, catalogue.tables).map(({ table, rows }) => [
      table,
      rows.map((row) => row.map(shown).join('|')).sort(),
    ]),
  );
}

function shown(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? 'r-0' : `r${value}`;
  if (typeof value === 'object' && value !== null) {
    const bytes = value instanceof Uint8Array ? value : (value as { bytes: Uint8Array }).bytes;
    return `${value instanceof Uint8Array ? 'b' : 'x'}${bytes.join(',')}`;
  }
  return `${typeof value}${String(value)}`;
}

/** The users' part of SQLite's own schema. */
export function shapeOf(port: SqlitePort): string {
  return port
    .query('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name')
    .rows.filter(([, name, table]) => !isInternalName(String(name)) && !isInternalName(String(table)))
    .map(([type, name, , sql]) => `${type} ${name} ${type === 'trigger' ? unguardTrigger(String(sql)) : sql}`)
    .join('\n');
}
