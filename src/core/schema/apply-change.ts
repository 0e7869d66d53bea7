import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { createLog, dropLog, refreshLog } from '../log/capture.ts';
import { guardTrigger } from '../log/guard.ts';
import { parseStatement } from '../sql/parse.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { type Catalogue, storedTables } from './catalogue.ts';
import type { SchemaChange } from './change.ts';
import { dropTable, withoutForeignKeys } from './drop-table.ts';
import { checkForeignKeys } from './foreign-key-check.ts';
import { isInternalName } from './introspect.ts';
import { hasSameShape } from './same-schema.ts';
import type { Table } from './table.ts';
import type { UniqueIndex } from './unique-index.ts';

/**
 * Makes a change that was decided, in the transaction that is open. CHECK constraints were judged when it was tried: one may read the clock
 * or chance, and say something else by now.
 */
export function applySchemaChange(port: SqlitePort, before: Catalogue, change: SchemaChange): void {
  port.query('PRAGMA ignore_check_constraints = ON');
  try {
    trySchemaChange(port, before, change);
  } finally {
    // PRAGMAs do not roll back.
    port.query('PRAGMA ignore_check_constraints = OFF');
  }
}

/**
 * Makes the change in a partition, in a transaction that is undone: log triggers out of the way, the statements, then the log for
 * tables in their new shape.
 *
 * @throws AtollError or SqliteError when this partition's rows do not allow it
 */
export function trySchemaChange(port: SqlitePort, before: Catalogue, change: SchemaChange): void {
  const after = new Map(storedTables(change.catalogue).map((table) => [table.id, table]));
  const rebuilt = new Set(change.rebuilt);
  const reshaped = storedTables(before).filter(
    (table) => rebuilt.has(table.id) || !hasSameShape(table, after.get(table.id)),
  );
  for (const table of change.mustBeEmpty) {
    if (port.query(`SELECT 1 FROM ${quoteName(table)} LIMIT 1`).rows.length > 0) {
      throw new AtollError(
        'unsupported',
        `${table} has rows: its partition key and its ids can change only while it is empty`,
      );
    }
  }
  refuseIndexOnRows(port, before, change.catalogue);
  for (const table of reshaped) dropLog(port, table.id);
  for (const statement of change.statements) run(port, statement);
  const known = new Set(storedTables(before).map((table) => table.id));
  for (const table of reshaped) {
    const now = after.get(table.id);
    if (now !== undefined) createLog(port, now);
  }
  const shaped = new Set(reshaped.map((table) => table.id));
  for (const table of storedTables(change.catalogue)) {
    if (!known.has(table.id)) createLog(port, table);
    else if (!shaped.has(table.id) && hasNewTriggers(before, change.catalogue, table))
      refreshLog(port, table.id);
  }
  if (before.restoring === undefined) refuseReferencesOfRows(port, before, change.catalogue);
  // Other tables' rows are as the last change left them: a check reads the whole table.
  const changed = changedTables(before, change.catalogue);
  for (const { id, name } of change.catalogue.tables) if (rebuilt.has(id)) changed.add(asciiLower(name));
  for (const table of change.catalogue.tables) {
    const family = [table.name, ...table.foreignKeys.map(({ parent }) => parent)];
    const concerned = family.some((name) => changed.has(asciiLower(name)));
    if (concerned) checkForeignKeys(port, table);
  }
}

/** An index over partitions begins empty, so its table must too, or else it must be known that rows lack entries. */
function refuseIndexOnRows(port: SqlitePort, before: Catalogue, after: Catalogue): void {
  const [index] = indexesOnRows(port, before, after).filter(({ state }) => state === undefined);
  if (index === undefined) return;
  const owner = before.tables.find(({ id }) => id === index.of);
  if (!isCreatedAlone(index, after)) {
    const { name, rowidColumn } = owner ?? {};
    if (index.columns.length > 1 || index.columns[0] !== rowidColumn) {
      throw new AtollError(
        'needs-global-index',
        `${name} has rows, and UNIQUE (${index.columns.join(', ')}), which does not contain its partition key, is new or has other values than ` +
          'before: leave it out of the table, and CREATE UNIQUE INDEX afterwards',
      );
    }
    throw new AtollError(
      'needs-global-index',
      `${name} has rows, and a foreign key is to refer to its id (${index.columns.join(', ')}), which is not its partition key: ` +
        'it can be added only while the table is empty',
    );
  }
  throw new AtollError(
    'needs-global-index',
    `UNIQUE (${index.columns.join(', ')}) does not contain the partition key of its table, which has rows: it is to be built ` +
      'over them first',
  );
}

/** New indexes over partitions of tables that have rows here. A restore fills its indexes when all rows are in. */
export function indexesOnRows(
  port: SqlitePort,
  before: Catalogue,
  { uniques = [] }: Catalogue,
): readonly UniqueIndex[] {
  if (before.restoring !== undefined) return [];
  const there = new Set(before.uniques?.map(({ table }) => table.id));
  return uniques.filter(({ of, table }) => {
    // By the name that it has before the statements.
    const owner = before.tables.find(({ id }) => id === of);
    if (there.has(table.id) || owner === undefined) return false;
    return port.query(`SELECT 1 FROM ${quoteName(owner.name)} LIMIT 1`).rows.length > 0;
  });
}

/** Whether a CREATE INDEX has made it: then it can be built over rows, and dropped by itself where that fails. */
export function isCreatedAlone({ of, columns }: UniqueIndex, { tables }: Catalogue): boolean {
  const shape = (names: readonly (string | null)[]) =>
    JSON.stringify(names.map((name) => name && asciiLower(name)));
  const owner = tables.find(({ id }) => id === of);
  const named =
    owner?.indexes.filter((index) => index.unique && shape(index.columns) === shape(columns)) ?? [];
  // A constraint in the table's definition is an index too, by SQLite's own name.
  return named.length > 0 && named.every(({ name }) => !isInternalName(name));
}

/** The change, with indexes that begin without entries of rows that are there. */
export function withFilling(change: SchemaChange, indexes: readonly TableId[]): SchemaChange {
  if (indexes.length === 0) return change;
  const uniques = change.catalogue.uniques?.map((index) =>
    indexes.includes(index.table.id) ? { ...index, state: 'filling' as const } : index,
  );
  return { ...change, catalogue: { ...change.catalogue, ...(uniques && { uniques }) } };
}

/** An index of references begins empty, so no row may refer to anything: a column that is added with the key is NULL. */
function refuseReferencesOfRows(port: SqlitePort, before: Catalogue, after: Catalogue): void {
  const there = new Set(before.references?.map(({ table }) => table.id));
  for (const { of, columns, table } of after.references ?? []) {
    const child = after.tables.find(({ id }) => id === of);
    if (there.has(table.id) || child === undefined) continue;
    const refers = columns.map((column) => `${quoteName(column)} IS NOT NULL`).join(' AND ');
    const { rows } = port.query(`SELECT 1 FROM ${quoteName(child.name)} WHERE ${refers} LIMIT 1`);
    if (rows.length === 0) continue;
    throw new AtollError(
      'unsupported',
      `${child.name} has rows, and (${columns.join(', ')}) is to refer to rows in other partitions: that can be added while it is NULL in all rows`,
    );
  }
}

/** SQLite fires the trigger first that was created last: a new user trigger must not come before the log's. */
function hasNewTriggers(before: Catalogue, after: Catalogue, { name }: Table): boolean {
  const triggersOn = ({ triggers }: Catalogue): string =>
    JSON.stringify(triggers.filter((trigger) => asciiLower(trigger.table) === asciiLower(name)));
  return triggersOn(before) !== triggersOn(after);
}

/** Names, in lower case, of tables that are new, gone, or defined otherwise than before. */
function changedTables(before: Catalogue, after: Catalogue): Set<string> {
  const definitions = ({ tables }: Catalogue): Set<string> =>
    new Set(tables.map((table) => JSON.stringify(table)));
  const [old, now] = [definitions(before), definitions(after)];
  const changed = [...old.symmetricDifference(now)].map((text) => (JSON.parse(text) as Table).name);
  return new Set(changed.map(asciiLower));
}

function run(port: SqlitePort, source: string): void {
  const { statement } = parseStatement(source);
  if (statement.kind === 'insert') {
    withoutForeignKeys(port, () => port.query(source));
  } else if (statement.kind === 'drop' && statement.object === 'TABLE') {
    const table = statement.name.name.name;
    dropTable(port, table, () => port.query(source));
  } else {
    // User triggers are stored with a condition that silences them while the log is applied.
    port.query(statement.kind === 'create-trigger' ? guardTrigger(source) : source);
  }
}
