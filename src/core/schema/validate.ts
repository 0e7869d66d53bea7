import { asciiLower } from '../../base/ascii.ts';
import { AtollError } from '../../protocol/error.ts';
import { type Catalogue, Schema } from './catalogue.ts';
import { definesConflicts } from './conflict-clause.ts';
import { reachableRowid } from './placement.ts';
import type { ForeignKey, Index, Table } from './table.ts';
import { holdsLocally } from './unique-index.ts';
import { isOver } from './written-key.ts';

/** A result of all columns and their types must fit SQLite's 100 columns, and the log four more (imposed). */
export const COLUMNS_MAX = 96;

/**
 * What a catalogue must satisfy beyond SQLite's own rules, so that partitions can each enforce it alone.
 *
 * @throws AtollError that says what to change
 */
export function validateCatalogue(catalogue: Catalogue): void {
  const schema = new Schema(catalogue);
  for (const table of catalogue.tables) {
    if (table.columns.length > COLUMNS_MAX) {
      throw new AtollError(
        'too-large',
        `${table.name} has ${table.columns.length} columns; a table may have ${COLUMNS_MAX}`,
      );
    }
    reachableRowid(table);
    for (const index of table.indexes) validateUnique(table, index);
    for (const foreignKey of table.foreignKeys) validateForeignKey(schema, table, foreignKey);
  }
  for (const { table, of, columns } of catalogue.references ?? []) {
    if (table.columns.length <= COLUMNS_MAX) continue;
    const child = catalogue.tables.find(({ id }) => id === of);
    throw new AtollError(
      'too-large',
      `${child?.name} (${columns.join(', ')}): the foreign key and the row's own key have more than ${COLUMNS_MAX} columns`,
    );
  }
}

/**
 * Each partition enforces UNIQUE by itself, which is enough exactly when equal values share a partition. Else there is an
 * index over partitions for it (unique-index.ts), of plain columns, since its entries are made of row images.
 */
function validateUnique(table: Table, index: Index): void {
  if (!index.unique || table.placement.kind === 'reference') return;
  if (holdsLocally(index, table.placement.key)) return;
  const stored = new Set(
    table.columns.filter(({ generated }) => generated === 'no').map(({ name }) => asciiLower(name)),
  );
  const plain = index.columns.every((name) => name !== null && stored.has(asciiLower(name)));
  const what = uniqueText(table, index);
  const key = table.placement.key.join(', ');
  if (!plain || index.partial) {
    throw new AtollError(
      'needs-global-index',
      `${what} does not contain the partition key (${key}) and has WHERE, an expression, a generated column or another collation than its column, ` +
        `so it would hold in each partition only; add ${key} to it, or index plain columns`,
    );
  }
  if (definesConflicts(table)) {
    throw new AtollError(
      'unsupported',
      `${what} does not contain the partition key (${key}): rows in its way may be in other partitions, ` +
        `so ON CONFLICT in the definition of ${table.name} cannot be kept; leave it out`,
    );
  }
}

function uniqueText(table: Table, index: Index): string {
  const shown = index.columns.map((name) => name ?? 'an expression').join(', ');
  return `${table.name}: UNIQUE or PRIMARY KEY (${shown})`;
}

function validateForeignKey(schema: Schema, table: Table, foreignKey: ForeignKey): void {
  const parent = schema.table(foreignKey.parent);
  const name = `${table.name} (${foreignKey.columns.join(', ')}) REFERENCES ${foreignKey.parent}`;
  if (parent === undefined) {
    throw new AtollError('no-such-table', `${name}: there is no such table; create it first`);
  }
  const { rowidColumn } = table;
  const setsId =
    rowidColumn !== null &&
    foreignKey.columns.some((column) => asciiLower(column) === asciiLower(rowidColumn)) &&
    [foreignKey.onDelete, foreignKey.onUpdate].some((action) => /^SET/i.test(action));
  if (setsId) {
    throw new AtollError(
      'unsupported',
      `${name}: SET NULL and SET DEFAULT would set the id ${rowidColumn}, which SQLite cannot; take CASCADE or RESTRICT`,
    );
  }
  if (parent.placement.kind === 'reference') return;
  if (table.placement.kind === 'reference') {
    throw new AtollError(
      'unsupported',
      `${name}: a reference table cannot refer to a partitioned one; partition it too`,
    );
  }
  // A key that is new and over partitions is kept by a hidden table (reference-index.ts): SQLite does not know of it.
  if (!isOver(foreignKey, table, parent)) return;
  throw new AtollError(
    'unsupported',
    `${name}: it was made for rows that are in one partition, and would join rows over partitions now; ` +
      `create ${table.name} anew, partitioned so`,
  );
}
