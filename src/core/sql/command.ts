import type {
  Attach,
  Begin,
  Commit,
  Detach,
  Drop,
  Pragma,
  PragmaValue,
  Release,
  Rollback,
  Savepoint,
  Vacuum,
} from './ast.ts';
import { type Cursor, isName } from './cursor.ts';
import { parseName, parseQualifiedName, parseSignedNumber, takeIdentifier } from './name.ts';
import * as T from './token.ts';

/** DROP TABLE, INDEX, VIEW, TRIGGER. */
export function parseDrop(cursor: Cursor): Drop {
  const { start } = cursor;
  cursor.expect(T.DROP);
  const object = parseDropObject(cursor);
  let ifExists = false;
  if (cursor.take(T.IF)) {
    cursor.expect(T.EXISTS);
    ifExists = true;
  }
  const name = parseQualifiedName(cursor);
  return { kind: 'drop', start, end: cursor.end, object, ifExists, name };
}

function parseDropObject(cursor: Cursor): Drop['object'] {
  if (cursor.take(T.TABLE)) return 'TABLE';
  if (cursor.take(T.INDEX)) return 'INDEX';
  if (cursor.take(T.VIEW)) return 'VIEW';
  if (cursor.take(T.TRIGGER)) return 'TRIGGER';
  return cursor.fail('TABLE', 'INDEX', 'VIEW', 'TRIGGER');
}

/** `PRAGMA s.name`, `= value`, `(value)`: https://www.sqlite.org/pragma.html#syntax */
export function parsePragma(cursor: Cursor): Pragma {
  const { start } = cursor;
  cursor.expect(T.PRAGMA);
  const name = parseQualifiedName(cursor);
  let value: PragmaValue | null = null;
  if (cursor.take(T.EQ)) {
    value = parsePragmaValue(cursor, false);
  } else if (cursor.take(T.OPEN)) {
    value = parsePragmaValue(cursor, true);
    cursor.expect(T.CLOSE);
  }
  return { kind: 'pragma', start, end: cursor.end, name, value };
}

function parsePragmaValue(cursor: Cursor, call: boolean): PragmaValue {
  const { start, kind } = cursor;
  if (isName(kind) || kind === T.ON || kind === T.DELETE || kind === T.DEFAULT) {
    const { name: text } = takeIdentifier(cursor);
    return { kind: 'pragma-value', start, end: cursor.end, text, call };
  }
  parseSignedNumber(cursor);
  const { end } = cursor;
  const text = cursor.sql.slice(start, end).replaceAll(/[\s+]/g, '');
  return { kind: 'pragma-value', start, end, text, call };
}

/** ANALYZE and REINDEX: an optional name. */
export function parseMaintenance<K extends 'analyze' | 'reindex'>(
  cursor: Cursor,
  kind: K,
): { kind: K; start: number; end: number; name: ReturnType<typeof parseQualifiedName> | null } {
  const { start } = cursor;
  cursor.advance();
  const name = isName(cursor.kind) ? parseQualifiedName(cursor) : null;
  return { kind, start, end: cursor.end, name };
}

/** https://www.sqlite.org/lang_vacuum.html */
export function parseVacuum(cursor: Cursor): Vacuum {
  const { start } = cursor;
  cursor.expect(T.VACUUM);
  const schema = isName(cursor.kind) ? parseName(cursor) : null;
  const into = cursor.take(T.INTO) ? cursor.grammar.expression(cursor) : null;
  return { kind: 'vacuum', start, end: cursor.end, schema, into };
}

/** https://www.sqlite.org/lang_attach.html */
export function parseAttach(cursor: Cursor): Attach {
  const { start } = cursor;
  cursor.expect(T.ATTACH);
  cursor.take(T.DATABASE);
  const file = cursor.grammar.expression(cursor);
  cursor.expect(T.AS);
  const schema = cursor.grammar.expression(cursor);
  const key = cursor.take(T.KEY) ? cursor.grammar.expression(cursor) : null;
  return { kind: 'attach', start, end: cursor.end, file, schema, key };
}

/** https://www.sqlite.org/lang_detach.html */
export function parseDetach(cursor: Cursor): Detach {
  const { start } = cursor;
  cursor.expect(T.DETACH);
  cursor.take(T.DATABASE);
  const schema = cursor.grammar.expression(cursor);
  return { kind: 'detach', start, end: cursor.end, schema };
}

/** https://www.sqlite.org/lang_transaction.html */
export function parseBegin(cursor: Cursor): Begin {
  const { start } = cursor;
  cursor.expect(T.BEGIN);
  let mode: Begin['mode'] = null;
  if (cursor.take(T.DEFERRED)) mode = 'DEFERRED';
  else if (cursor.take(T.IMMEDIATE)) mode = 'IMMEDIATE';
  else if (cursor.take(T.EXCLUSIVE)) mode = 'EXCLUSIVE';
  parseTransactionWord(cursor);
  return { kind: 'begin', start, end: cursor.end, mode };
}

/** COMMIT or END. */
export function parseCommit(cursor: Cursor): Commit {
  const { start } = cursor;
  cursor.advance();
  parseTransactionWord(cursor);
  return { kind: 'commit', start, end: cursor.end };
}

/** TRANSACTION and a name, both without meaning. */
function parseTransactionWord(cursor: Cursor): void {
  if (cursor.take(T.TRANSACTION) && isName(cursor.kind)) parseName(cursor);
}

/** ROLLBACK, or ROLLBACK TO a savepoint: https://www.sqlite.org/lang_savepoint.html */
export function parseRollback(cursor: Cursor): Rollback {
  const { start } = cursor;
  cursor.expect(T.ROLLBACK);
  parseTransactionWord(cursor);
  let savepoint = null;
  if (cursor.take(T.TO)) {
    cursor.take(T.SAVEPOINT);
    savepoint = parseName(cursor);
  }
  return { kind: 'rollback', start, end: cursor.end, savepoint };
}

/** SAVEPOINT name. */
export function parseSavepoint(cursor: Cursor): Savepoint {
  const { start } = cursor;
  cursor.expect(T.SAVEPOINT);
  const name = parseName(cursor);
  return { kind: 'savepoint', start, end: cursor.end, name };
}

/** RELEASE [SAVEPOINT] name. */
export function parseRelease(cursor: Cursor): Release {
  const { start } = cursor;
  cursor.expect(T.RELEASE);
  cursor.take(T.SAVEPOINT);
  const name = parseName(cursor);
  return { kind: 'release', start, end: cursor.end, name };
}
