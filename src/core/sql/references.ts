import type { Deferrable, References, ReferentialAction } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseName, parseOptionalNames } from './name.ts';
import * as T from './token.ts';

/** REFERENCES and all that belongs to it: https://www.sqlite.org/syntax/foreign-key-clause.html */
export function parseReferences(cursor: Cursor): References {
  const { start } = cursor;
  cursor.expect(T.REFERENCES);
  const table = parseName(cursor);
  const columns = parseOptionalNames(cursor);
  let onDelete: ReferentialAction | null = null;
  let onUpdate: ReferentialAction | null = null;
  for (;;) {
    if (cursor.take(T.MATCH)) {
      parseName(cursor); // parsed and ignored, as in SQLite
    } else if (cursor.take(T.ON)) {
      if (cursor.take(T.DELETE)) onDelete = parseAction(cursor);
      else if (cursor.take(T.UPDATE)) onUpdate = parseAction(cursor);
      else if (cursor.take(T.INSERT)) parseAction(cursor);
      else cursor.fail('DELETE', 'UPDATE');
    } else {
      break;
    }
  }
  const deferrable = startsDeferrable(cursor) ? parseDeferrable(cursor) : null;
  const { end } = cursor;
  return { kind: 'references', start, end, table, columns, onDelete, onUpdate, deferrable };
}

function parseAction(cursor: Cursor): ReferentialAction {
  if (cursor.take(T.SET)) {
    if (cursor.take(T.NULL)) return 'SET NULL';
    cursor.expect(T.DEFAULT);
    return 'SET DEFAULT';
  }
  if (cursor.take(T.CASCADE)) return 'CASCADE';
  if (cursor.take(T.RESTRICT)) return 'RESTRICT';
  if (!cursor.take(T.NO)) cursor.fail('SET NULL', 'SET DEFAULT', 'CASCADE', 'RESTRICT', 'NO ACTION');
  cursor.expect(T.ACTION);
  return 'NO ACTION';
}

/** [NOT] DEFERRABLE here? */
export function startsDeferrable(cursor: Cursor): boolean {
  return cursor.kind === T.DEFERRABLE || (cursor.kind === T.NOT && cursor.peek(1) === T.DEFERRABLE);
}

/** [NOT] DEFERRABLE [INITIALLY …]. */
export function parseDeferrable(cursor: Cursor): Deferrable {
  const { start } = cursor;
  const not = cursor.take(T.NOT);
  cursor.expect(T.DEFERRABLE);
  let initially: Deferrable['initially'] = null;
  if (cursor.take(T.INITIALLY)) {
    if (cursor.take(T.DEFERRED)) initially = 'DEFERRED';
    else if (cursor.take(T.IMMEDIATE)) initially = 'IMMEDIATE';
    else cursor.fail('DEFERRED', 'IMMEDIATE');
  }
  return { kind: 'deferrable', start, end: cursor.end, not, initially };
}
