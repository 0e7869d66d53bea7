import { asciiLower } from '../../base/ascii.ts';
import { assert, present } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import type { Schema } from '../../core/schema/catalogue.ts';
import type { ForeignKey, Table } from '../../core/schema/table.ts';
import { parseStatement } from '../../core/sql/parse.ts';
import { splice } from '../../core/sql/splice.ts';
import { quoteName } from '../../core/sqlite/quote.ts';
import type { ExportedDefinition } from '../../protocol/export.ts';
import type { NetworkInformation } from '../../protocol/network.ts';

/** The text of a dump around its rows. `sqlite3` loads it, and Atoll reads its own clauses out of the comments. */

/** How far a replica was that answers in its leader's place. */
export interface Standing {
  readonly partition: PartitionId;
  readonly commit: number;
  /** Unix milliseconds; null before the first commit. */
  readonly time: number | null;
}

/** `standings`: empty if the leaders answer. */
export function opening(
  { database, schemaVersion, history }: NetworkInformation,
  now: Date,
  standings: readonly Standing[],
): string {
  return `-- Atoll export of ${database}, schema version ${schemaVersion}, history ${history}, begun ${now.toISOString()}
-- Partitions are read one after the other, in pages: a page of rows is of one moment, the whole is not. What is
-- written meanwhile may be here or not. A dump without the COMMIT at its end is not whole.
${standings.length === 0 ? '' : outOfReach(standings)}PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
`;
}

/** Replicas that answer from here on, as far as they are. */
export function outOfReach(standings: readonly Standing[]): string {
  const lines = standings.map(({ partition, commit, time }) => {
    const at = time === null ? '' : `, ${new Date(time).toISOString()}`;
    return `-- Partition ${partition}: up to commit ${commit}${at}.\n`;
  });
  return `-- Leaders are out of reach: from here on replicas of the host that was asked answer instead of them. What was committed
-- after the commits below is not here, and of what went to several partitions some may be here and some not.
${lines.join('')}`;
}

export function closing(): string {
  return 'COMMIT;\n';
}

/** Parents before the tables that refer to them, where they do not do so in a circle; else as created. */
export function tablesInOrder(schema: Schema): Table[] {
  const ordered = new Set<Table>();
  const begun = new Set<Table>();
  const visit = (table: Table): void => {
    if (begun.has(table)) return;
    begun.add(table);
    for (const { parent } of schema.foreignKeysOf(table)) {
      const found = schema.table(parent);
      if (found !== undefined) visit(found);
    }
    ordered.add(table);
  };
  for (const table of schema.catalogue.tables) visit(table);
  return [...ordered];
}

export function tableStatement(
  table: Table,
  over: readonly ForeignKey[],
  definitions: readonly ExportedDefinition[],
): string {
  const definition = present(
    definitions.find((each) => each.type === 'table' && asciiLower(each.name) === asciiLower(table.name)),
    () => `${table.name} has a definition`,
  );
  const clause = clauseOf(table);
  return `${withForeignKeys(definition.sql, over).trimEnd()}${clause === null ? '' : `\n/*atoll ${clause} */`};\n`;
}

/** The definition with foreign keys over partitions in it, which the partitions' own SQLite does not know of. */
function withForeignKeys(sql: string, keys: readonly ForeignKey[]): string {
  if (keys.length === 0) return sql;
  const { statement } = parseStatement(sql);
  assert(statement.kind === 'create-table', 'a table is defined by CREATE TABLE');
  const end = present([...statement.columns, ...statement.constraints].at(-1), 'a table has columns').end;
  const list = (names: readonly string[]) => `(${names.map(quoteName).join(', ')})`;
  const text = keys.map(
    ({ columns, parent, parentColumns, onDelete, onUpdate }) =>
      `, FOREIGN KEY ${list(columns)} REFERENCES ${quoteName(parent)} ${list(parentColumns)} ON DELETE ${onDelete} ON UPDATE ${onUpdate}`,
  );
  return splice(sql, [{ start: end, end, text: text.join('') }]);
}

/** Null where nothing else than what Atoll does by itself can be said: a table without a key goes by its rowid. */
function clauseOf({ placement, columns }: Table): string | null {
  if (placement.kind === 'reference') return 'REFERENCE';
  const isColumn = (name: string) => columns.some((column) => asciiLower(column.name) === asciiLower(name));
  if (!placement.key.every(isColumn)) return null;
  return `PARTITION BY (${placement.key.map(quoteName).join(', ')})`;
}

/** Without them no foreign key over partitions can refer to what they make unique. */
export function indexesBeforeRows(
  schema: Schema,
  definitions: readonly ExportedDefinition[],
): readonly ExportedDefinition[] {
  return definitions.filter(({ type, table, sql }) => {
    const parent = type === 'index' && /^\s*CREATE\s+UNIQUE\b/i.test(sql) ? schema.table(table) : undefined;
    return parent !== undefined && schema.referencesTo(parent).length > 0;
  });
}

/** Indexes behind the rows, where building them is cheapest; views before the triggers that may stand on them. */
export function definitionsAfterRows(definitions: readonly ExportedDefinition[]): string {
  const order = ['index', 'view', 'trigger'] as const;
  return order
    .flatMap((type) => definitions.filter((each) => each.type === type))
    .map(({ sql }) => `${sql};\n`)
    .join('');
}
