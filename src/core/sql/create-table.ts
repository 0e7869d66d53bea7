import type {
  AtollClause,
  ColumnConstraint,
  ColumnDefinition,
  CreateTable,
  TableConstraint,
  TableOption,
} from './ast.ts';
import { parseAtollClauses } from './atoll-clause.ts';
import { parseColumnConstraint } from './column-constraint.ts';
import { type Cursor, isName } from './cursor.ts';
import { parseName, parseQualifiedName, parseTypeName, takeIdentifier } from './name.ts';
import { parseSelect } from './select.ts';
import { parseTableConstraint } from './table-constraint.ts';
import * as T from './token.ts';

/** IF NOT EXISTS, when it is there. */
export function parseIfNotExists(cursor: Cursor): boolean {
  if (!cursor.take(T.IF)) return false;
  cursor.expectAll(T.NOT, T.EXISTS);
  return true;
}

/** CREATE [TEMP] TABLE, from TABLE on: https://www.sqlite.org/lang_createtable.html */
export function parseCreateTable(cursor: Cursor, start: number, temporary: boolean): CreateTable {
  cursor.expect(T.TABLE);
  const ifNotExists = parseIfNotExists(cursor);
  const name = parseQualifiedName(cursor);
  const columns: ColumnDefinition[] = [];
  let constraints: TableConstraint[] = [];
  let options: TableOption[] = [];
  let clauses: AtollClause[] = [];
  let select = null;
  if (cursor.take(T.OPEN)) {
    do columns.push(parseColumnDefinition(cursor));
    while (cursor.take(T.COMMA) && !startsTableConstraint(cursor.kind));
    if (cursor.kind !== T.CLOSE) constraints = parseTableConstraints(cursor);
    cursor.expect(T.CLOSE);
    clauses = parseAtollClauses(cursor);
    options = parseTableOptions(cursor);
    if (options.length > 0) clauses.push(...parseAtollClauses(cursor));
  } else {
    clauses = parseAtollClauses(cursor);
    cursor.expect(T.AS);
    select = parseSelect(cursor);
    clauses.push(...parseAtollClauses(cursor));
  }
  checkClauses(cursor, clauses);
  return {
    kind: 'create-table',
    start,
    end: cursor.end,
    temporary,
    ifNotExists,
    name,
    columns,
    constraints,
    options,
    clauses,
    select,
  };
}

function checkClauses(cursor: Cursor, clauses: readonly AtollClause[]): void {
  const placements = clauses.filter((clause) => clause.kind !== 'append-only');
  const second = placements[1];
  if (second !== undefined) cursor.reject('a table has one PARTITION BY or REFERENCE', second);
}

/** `name type constraints`. */
export function parseColumnDefinition(cursor: Cursor): ColumnDefinition {
  const { start } = cursor;
  const name = parseName(cursor);
  const type = parseTypeName(cursor);
  const constraints: ColumnConstraint[] = [];
  for (;;) {
    const constraint = parseColumnConstraint(cursor);
    if (constraint === null) break;
    constraints.push(constraint);
  }
  return { kind: 'column-definition', start, end: cursor.end, name, type, constraints };
}

function startsTableConstraint(kind: number): boolean {
  return (
    kind === T.CONSTRAINT || kind === T.PRIMARY || kind === T.UNIQUE || kind === T.CHECK || kind === T.FOREIGN
  );
}

/** SQLite takes them without commas too. */
function parseTableConstraints(cursor: Cursor): TableConstraint[] {
  const constraints: TableConstraint[] = [];
  do constraints.push(parseTableConstraint(cursor));
  while (cursor.take(T.COMMA) || startsTableConstraint(cursor.kind));
  return constraints;
}

function parseTableOptions(cursor: Cursor): TableOption[] {
  const options: TableOption[] = [];
  // A comma before the first is one of SQLite's own leniences.
  if (!cursor.take(T.COMMA) && cursor.kind !== T.WITHOUT && !isName(cursor.kind)) return options;
  do options.push(parseTableOption(cursor));
  while (cursor.take(T.COMMA));
  return options;
}

function parseTableOption(cursor: Cursor): TableOption {
  const { start } = cursor;
  const without = cursor.take(T.WITHOUT);
  if (!isName(cursor.kind)) cursor.fail(...(without ? ['ROWID'] : ['WITHOUT ROWID', 'STRICT']));
  const word = takeIdentifier(cursor);
  const { end } = cursor;
  const written = cursor.sql.slice(word.start, word.end).toUpperCase();
  if (written !== (without ? 'ROWID' : 'STRICT')) {
    cursor.reject(`unknown table option: ${cursor.sql.slice(word.start, word.end)}`, word);
  }
  return { kind: 'table-option', start, end, option: without ? 'WITHOUT ROWID' : 'STRICT' };
}
