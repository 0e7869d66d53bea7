import type { TableConstraint } from './ast.ts';
import { parseCheck, parseOnConflict } from './column-constraint.ts';
import type { Cursor } from './cursor.ts';
import { parseName, parseNames } from './name.ts';
import { parseReferences } from './references.ts';
import { parseOrderingTerms } from './term.ts';
import * as T from './token.ts';

/** One constraint of the table, with its CONSTRAINT name: https://www.sqlite.org/syntax/table-constraint.html */
export function parseTableConstraint(cursor: Cursor): TableConstraint {
  const { start } = cursor;
  const name = cursor.take(T.CONSTRAINT) ? parseName(cursor) : null;
  switch (cursor.kind) {
    case T.PRIMARY: {
      cursor.expectAll(T.PRIMARY, T.KEY, T.OPEN);
      const columns = parseOrderingTerms(cursor);
      const autoincrement = cursor.take(T.AUTOINCREMENT);
      cursor.expect(T.CLOSE);
      const onConflict = parseOnConflict(cursor);
      const { end } = cursor;
      return { kind: 'primary-key-table', start, end, name, columns, autoincrement, onConflict };
    }
    case T.UNIQUE: {
      cursor.expectAll(T.UNIQUE, T.OPEN);
      const columns = parseOrderingTerms(cursor);
      cursor.expect(T.CLOSE);
      const onConflict = parseOnConflict(cursor);
      return { kind: 'unique-table', start, end: cursor.end, name, columns, onConflict };
    }
    case T.CHECK:
      return parseCheck(cursor, start, name, true);
    case T.FOREIGN: {
      cursor.expectAll(T.FOREIGN, T.KEY);
      const columns = parseNames(cursor);
      const references = parseReferences(cursor);
      return { kind: 'foreign-key-table', start, end: cursor.end, name, columns, references };
    }
    default:
      if (name === null) return cursor.fail('PRIMARY KEY', 'UNIQUE', 'CHECK', 'FOREIGN KEY');
      return { kind: 'empty-constraint', start, end: name.end, name };
  }
}
