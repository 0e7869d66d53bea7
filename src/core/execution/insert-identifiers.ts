import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { Column, Table } from '../schema/table.ts';
import type { Insert, Values } from '../sql/ast.ts';
import { truthValue } from '../sql/name.ts';
import type { Edit } from '../sql/splice.ts';
import { SqliteError } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';

/**
 * Where generated ids go in an INSERT. Ids are never left to SQLite's max + 1: that would hand a deleted
 * row's id out again, and the same id in two partitions.
 *
 * `rows`: this many VALUES rows may need an id. `select`: as many as the SELECT yields, of those that it gives none itself if it `gives` some.
 */
export type IdentifierPlan =
  | { readonly kind: 'rows'; readonly needs: readonly IdentifierNeed[] }
  | {
      readonly kind: 'select';
      readonly gives: boolean;
      /** Wraps the SELECT so that its rows, or those of them that it gives no id itself, get `first` and those that follow. */
      readonly selectEdits: (ids: TakenIds) => readonly Edit[];
      /** Wraps the SELECT so that it counts the rows that need an id. */
      readonly countEdits: () => readonly Edit[];
      /** Wraps the SELECT so that it yields the ids that it gives itself. */
      readonly givenEdits: () => readonly Edit[];
    };

/**
 * A row's id: always generated, given by that parameter unless it is NULL, or given by the statement (`value`
 * where it can be read off).
 */
export type IdentifierNeed = GeneratedNeed | { readonly kind: 'given'; readonly value: number | null };

export type GeneratedNeed = {
  /** Index of the VALUES row. */
  readonly row: number;
  /** Puts `id`, an expression, in place. */
  readonly edits: (id: string) => readonly Edit[];
} & (
  | { readonly kind: 'generate' }
  | { readonly kind: 'parameter'; readonly index: number }
  /** Its value is not known before it is evaluated. */
  | { readonly kind: 'expression' }
);

export interface InsertIdentifiers {
  readonly plan: IdentifierPlan;
  /** Edits that every execution needs: the column that carries the id. */
  readonly edits: readonly Edit[];
}

/** Ids taken for a SELECT that was counted. It is evaluated once more to be inserted, and may yield other rows then: `random()`, the clock. */
export interface TakenIds {
  readonly count: number;
  /** The first of ids that follow each other; or the parameter that is bound to all of them, as {@link idList} puts them. */
  readonly ids: { readonly first: number } | { readonly parameter: number };
}

/** Digits of the largest id that is issued: ids are safe integers. */
const ID_DIGITS = 16;

/** What a SELECT's rows are called while ids are put beside them; a user's names never begin so. */
const SOURCE = '_atoll_source';

/** Ids in one blob, in which SQLite finds the n-th at once: in a text it would count characters. */
export function idList(ids: readonly number[]): Uint8Array {
  const digits = ids.map((id) => String(id).padStart(ID_DIGITS, '0')).join('');
  return Uint8Array.from(digits, (digit) => digit.charCodeAt(0));
}

/** SQL for the n-th of them, from 1. */
function idAt({ ids }: TakenIds, n: string): string {
  if ('first' in ids) return `${ids.first} + ${n} - 1`;
  const digits = `substr(?${ids.parameter}, (${n}) * ${ID_DIGITS} - ${ID_DIGITS - 1}, ${ID_DIGITS})`;
  // Behind the last one there are none, and SQLite chooses.
  return `CAST(CAST(nullif(${digits}, x'') AS TEXT) AS INTEGER)`;
}

/** Null when the statement's table generates no ids: WITHOUT ROWID, or a view. */
export function insertIdentifiers(insert: Insert, table: Table, source: string): InsertIdentifiers | null {
  if (table.rowidName === null) return null;
  const idName = table.rowidColumn ?? table.rowidName;
  if (insert.source === null) {
    const at = defaultValuesSpan(insert, source);
    const edits = (id: string): Edit[] => [{ ...at, text: `(${quoteName(idName)}) VALUES (${id})` }];
    return {
      plan: { kind: 'rows', needs: [{ kind: 'generate', row: 0, edits }] },
      edits: [],
    };
  }
  const position = idPosition(insert, table);
  const edits = position === null ? [columnEdit(insert, table, idName)] : [];
  const { body, compounds, limit } = insert.source;
  const width = (insert.columns ?? storedColumns(table)).length;
  if (body.kind === 'values' && compounds.length === 0 && limit === null && insert.source.with === null) {
    // SQLite refuses it, in its own words for what was written.
    if (body.rows.some(({ items }) => items.length !== width))
      return { plan: { kind: 'rows', needs: [] }, edits: [] };
    return { plan: { kind: 'rows', needs: needsOf(body, position) }, edits };
  }
  return {
    plan: {
      kind: 'select',
      gives: position !== null,
      selectEdits: (ids) => selectEdits(insert.source, ids, position, width),
      countEdits: () => countEdits(insert.source, position, width),
      givenEdits: () => givenEdits(insert.source, present(position, 'it gives ids'), width),
    },
    edits,
  };
}

/** Where it gives none itself, no more rows are inserted than ids were taken for: any other would get somebody else's. */
function selectEdits(
  select: Insert['source'],
  taken: TakenIds,
  position: number | null,
  width: number,
): Edit[] {
  const names = namesOf(width);
  if (position === null) {
    const list = [idAt(taken, 'row_number() OVER ()'), ...names];
    const limit = `WHERE true LIMIT ${taken.count}`;
    return wrapped(select, names, `SELECT ${list.join(', ')} FROM ${SOURCE} ${limit}`);
  }
  const missing = `sum(c${position} IS NULL) OVER (ROWS UNBOUNDED PRECEDING)`;
  const list = names.map((name, index) =>
    index === position ? `coalesce(${name}, ${idAt(taken, missing)})` : name,
  );
  return wrapped(select, names, `SELECT ${list.join(', ')} FROM ${SOURCE} WHERE true`);
}

/** Whether the SELECT has more or fewer columns than the INSERT, which SQLite says of a name that nobody has written. */
export function isWrongWidth(error: unknown): boolean {
  return error instanceof SqliteError && error.message.startsWith(`table ${SOURCE} has `);
}

function countEdits(select: Insert['source'], position: number | null, width: number): Edit[] {
  const missing = position === null ? 'true' : `c${position} IS NULL`;
  return wrapped(select, namesOf(width), `SELECT count(*) FROM ${SOURCE} WHERE ${missing}`);
}

function givenEdits(select: Insert['source'], position: number, width: number): Edit[] {
  const id = `c${position}`;
  return wrapped(select, namesOf(width), `SELECT ${id} FROM ${SOURCE} WHERE ${id} IS NOT NULL`);
}

function namesOf(width: number): string[] {
  return Array.from({ length: width }, (_, index) => `c${index}`);
}

function wrapped(select: Insert['source'], names: readonly string[], then: string): Edit[] {
  const { start, end } = present(select, 'a SELECT gives the rows');
  return [
    { start, end: start, text: `WITH ${SOURCE}(${names.join(', ')}) AS (` },
    { start: end, end, text: `\n) ${then}` },
  ];
}

/** Index of the id among the inserted columns, or null when it is not among them. */
function idPosition(insert: Insert, table: Table): number | null {
  if (insert.columns !== null) {
    const aliases = idAliases(table);
    const index = insert.columns.findIndex((column) => aliases.has(asciiLower(column.name)));
    return index < 0 ? null : index;
  }
  if (table.rowidColumn === null) return null;
  return storedColumns(table).findIndex((column) => column.name === table.rowidColumn);
}

/** What an INSERT without a column list gives. */
function storedColumns(table: Table): readonly Column[] {
  return table.columns.filter((column) => column.generated === 'no');
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
  const names = [idName, ...storedColumns(table).map((column) => column.name)].map(quoteName);
  return { start: insert.table.end, end: insert.table.end, text: ` (${names.join(', ')})` };
}

function needsOf(values: Values, position: number | null): IdentifierNeed[] {
  return values.rows.map((row, place): IdentifierNeed => {
    if (position === null) {
      // Behind the row's parenthesis: an item's span leaves out parentheses of its own.
      const at = row.start + 1;
      return { kind: 'generate', row: place, edits: (id) => [{ start: at, end: at, text: `${id}, ` }] };
    }
    const item = present(row.items[position], 'as many values as columns');
    const { start, end } = item;
    if (item.kind === 'literal' && item.type !== 'null') {
      const value = Number(item.value);
      return { kind: 'given', value: Number.isSafeInteger(value) ? value : null };
    }
    const truth = truthValue(item);
    if (truth !== null) return { kind: 'given', value: truth ? 1 : 0 };
    if (item.kind === 'literal')
      return { kind: 'generate', row: place, edits: (id) => [{ start, end, text: id }] };
    // Any other expression may turn out NULL.
    const edits = (id: string): Edit[] => [
      { start, end: start, text: 'coalesce(' },
      { start: end, end, text: `, ${id})` },
    ];
    return item.kind === 'parameter'
      ? { kind: 'parameter', row: place, index: item.index, edits }
      : { kind: 'expression', row: place, edits };
  });
}

/** DEFAULT VALUES has no node of its own: it stands between the table and what follows. */
function defaultValuesSpan(insert: Insert, source: string): { start: number; end: number } {
  const withoutComments = source.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, (comment) =>
    ' '.repeat(comment.length),
  );
  const found = /\bDEFAULT\s+VALUES\b/iy;
  const start = withoutComments.slice(insert.table.end).search(/\bDEFAULT\s+VALUES\b/i) + insert.table.end;
  found.lastIndex = start;
  const match = present(found.exec(withoutComments), 'an INSERT without a source says DEFAULT VALUES');
  return { start, end: start + match[0].length };
}
