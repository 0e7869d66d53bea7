import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { Table } from '../schema/table.ts';
import type { Insert, Values } from '../sql/ast.ts';
import type { Edit } from '../sql/splice.ts';
import { quoteName } from '../sqlite/quote.ts';

/**
 * Where generated ids go in an INSERT. Ids are never left to SQLite's max + 1: that would hand a deleted
 * row's id out again, and the same id in two partitions.
 *
 * `rows`: this many VALUES rows may need an id. `select`: as many as the SELECT yields.
 */
export type IdentifierPlan =
  | { readonly kind: 'rows'; readonly needs: readonly IdentifierNeed[] }
  | { readonly kind: 'select' };

/** A row's id: always generated, given by that parameter unless it is NULL, or given by the statement. */
export type IdentifierNeed = GeneratedNeed | { readonly kind: 'given' };

export type GeneratedNeed = {
  /** Index of the VALUES row. */
  readonly row: number;
  readonly edit: (id: string) => Edit;
} & ({ readonly kind: 'generate' } | { readonly kind: 'parameter'; readonly index: number });

export interface InsertIdentifiers {
  readonly plan: IdentifierPlan;
  /** Edits that every execution needs: the column that carries the id. */
  readonly edits: readonly Edit[];
  /** For `select`: wraps the SELECT so that row n gets `first + n`. */
  readonly selectEdits: (first: string) => readonly Edit[];
}

/** Null when the statement's table generates no ids: WITHOUT ROWID, or a view. */
export function insertIdentifiers(insert: Insert, table: Table, source: string): InsertIdentifiers | null {
  if (table.rowidName === null) return null;
  const idName = table.rowidColumn ?? table.rowidName;
  const position = idPosition(insert, table);
  const noSelect = (): readonly Edit[] => [];
  if (insert.source === null) {
    const at = defaultValuesSpan(insert, source);
    const edit = (id: string): Edit => ({ ...at, text: `(${quoteName(idName)}) VALUES (${id})` });
    return {
      plan: { kind: 'rows', needs: [{ kind: 'generate', row: 0, edit }] },
      edits: [],
      selectEdits: noSelect,
    };
  }
  const edits = position === null ? [columnEdit(insert, table, idName)] : [];
  const { body, compounds, limit } = insert.source;
  if (body.kind === 'values' && compounds.length === 0 && limit === null && insert.source.with === null) {
    return { plan: { kind: 'rows', needs: needsOf(body, position) }, edits, selectEdits: noSelect };
  }
  if (position !== null) return null; // The SELECT gives the ids itself; the plan has decided whether it may.
  const { start, end } = insert.source;
  const selectEdits = (first: string): readonly Edit[] => [
    { start, end: start, text: `SELECT ${first} + row_number() OVER () - 1, * FROM (` },
    { start: end, end, text: '\n) WHERE true' },
  ];
  return { plan: { kind: 'select' }, edits, selectEdits };
}

/** Index of the id among the inserted columns, or null when it is not among them. */
function idPosition(insert: Insert, table: Table): number | null {
  if (insert.columns !== null) {
    const aliases = idAliases(table);
    const index = insert.columns.findIndex((column) => aliases.has(asciiLower(column.name)));
    return index < 0 ? null : index;
  }
  if (table.rowidColumn === null) return null;
  const stored = table.columns.filter((column) => column.generated === 'no');
  return stored.findIndex((column) => column.name === table.rowidColumn);
}

function idAliases(table: Table): Set<string> {
  const taken = new Set(table.columns.map((column) => asciiLower(column.name)));
  const aliases = ['rowid', '_rowid_', 'oid'].filter((name) => !taken.has(name));
  return new Set(table.rowidColumn === null ? aliases : [...aliases, asciiLower(table.rowidColumn)]);
}

function columnEdit(insert: Insert, table: Table, idName: string): Edit {
  if (insert.columns !== null) {
    const first = present(insert.columns[0], 'a written column list is not empty');
    return { start: first.start, end: first.start, text: `${quoteName(idName)}, ` };
  }
  const stored = table.columns.filter((column) => column.generated === 'no');
  const names = [idName, ...stored.map((column) => column.name)].map(quoteName);
  return { start: insert.table.end, end: insert.table.end, text: ` (${names.join(', ')})` };
}

function needsOf(values: Values, position: number | null): IdentifierNeed[] {
  return values.rows.map((row, place): IdentifierNeed => {
    if (position === null) {
      const first = present(row.items[0], 'a VALUES row has an item');
      return {
        kind: 'generate',
        row: place,
        edit: (id) => ({ start: first.start, end: first.start, text: `${id}, ` }),
      };
    }
    const item = row.items[position];
    if (item === undefined) return { kind: 'given' }; // SQLite will refuse the row: too few values.
    const edit = (id: string): Edit => ({ start: item.start, end: item.end, text: id });
    if (item.kind === 'literal' && item.type === 'null') return { kind: 'generate', row: place, edit };
    return item.kind === 'parameter'
      ? { kind: 'parameter', row: place, index: item.index, edit }
      : { kind: 'given' };
  });
}

/** DEFAULT VALUES has no node of its own: it stands between the table and what follows. */
function defaultValuesSpan(insert: Insert, source: string): { start: number; end: number } {
  const found = /\bDEFAULT\b[\s\S]*?\bVALUES\b/iy;
  found.lastIndex = insert.table.end;
  const start = source.slice(insert.table.end).search(/\bDEFAULT\b/i) + insert.table.end;
  found.lastIndex = start;
  const match = present(found.exec(source), 'an INSERT without a source says DEFAULT VALUES');
  return { start, end: start + match[0].length };
}
