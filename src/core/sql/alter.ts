import type { AlterAction, AlterTable } from './ast.ts';
import { parseAtollClause } from './atoll-clause.ts';
import { parseCheck, parseOnConflict } from './column-constraint.ts';
import { parseColumnDefinition } from './create-table.ts';
import type { Cursor } from './cursor.ts';
import { parseName, parseQualifiedName } from './name.ts';
import * as T from './token.ts';

/** https://www.sqlite.org/lang_altertable.html, and Atoll's PARTITION BY and REFERENCE. */
export function parseAlterTable(cursor: Cursor): AlterTable {
  const { start } = cursor;
  cursor.expectAll(T.ALTER, T.TABLE);
  const table = parseQualifiedName(cursor);
  const action = parseAction(cursor);
  return { kind: 'alter-table', start, end: cursor.end, table, action };
}

function parseAction(cursor: Cursor): AlterAction {
  const { start } = cursor;
  switch (cursor.kind) {
    case T.RENAME:
      return parseRename(cursor, start);
    case T.ADD:
      return parseAdd(cursor, start);
    case T.DROP: {
      cursor.advance();
      const constraint = cursor.take(T.CONSTRAINT);
      if (!constraint) cursor.take(T.COLUMN);
      const name = parseName(cursor);
      return { kind: constraint ? 'drop-constraint' : 'drop-column', start, end: cursor.end, name };
    }
    case T.ALTER:
      return parseAlterColumn(cursor, start);
    default: {
      const clause = parseAtollClause(cursor);
      if (clause === null) return cursor.fail('RENAME', 'ADD', 'DROP', 'ALTER', 'PARTITION BY', 'REFERENCE');
      if (clause.kind === 'append-only')
        return cursor.reject('APPEND ONLY is set when a table is created', clause);
      return clause;
    }
  }
}

function parseRename(cursor: Cursor, start: number): AlterAction {
  cursor.expect(T.RENAME);
  if (cursor.take(T.TO)) {
    const to = parseName(cursor);
    return { kind: 'rename-table', start, end: cursor.end, to };
  }
  cursor.take(T.COLUMN);
  const from = parseName(cursor);
  cursor.expect(T.TO);
  const to = parseName(cursor);
  return { kind: 'rename-column', start, end: cursor.end, from, to };
}

function parseAdd(cursor: Cursor, start: number): AlterAction {
  cursor.expect(T.ADD);
  if (cursor.kind === T.CONSTRAINT || cursor.kind === T.CHECK) {
    const checkStart = cursor.start;
    const name = cursor.take(T.CONSTRAINT) ? parseName(cursor) : null;
    const check = parseCheck(cursor, checkStart, name, true);
    return { kind: 'add-check', start, end: cursor.end, check };
  }
  cursor.take(T.COLUMN);
  const column = parseColumnDefinition(cursor);
  return { kind: 'add-column', start, end: cursor.end, column };
}

function parseAlterColumn(cursor: Cursor, start: number): AlterAction {
  cursor.expect(T.ALTER);
  cursor.take(T.COLUMN);
  const column = parseName(cursor);
  if (cursor.take(T.DROP)) {
    cursor.expectAll(T.NOT, T.NULL);
    return { kind: 'drop-not-null', start, end: cursor.end, column };
  }
  cursor.expectAll(T.SET, T.NOT, T.NULL);
  const onConflict = parseOnConflict(cursor);
  return { kind: 'set-not-null', start, end: cursor.end, column, onConflict };
}
