import { parseAlterTable } from './alter.ts';
import type { Explain, Statement } from './ast.ts';
import {
  parseAttach,
  parseBegin,
  parseCommit,
  parseDetach,
  parseDrop,
  parseMaintenance,
  parsePragma,
  parseRelease,
  parseRollback,
  parseSavepoint,
  parseVacuum,
} from './command.ts';
import { parseCreate } from './create.ts';
import type { Cursor } from './cursor.ts';
import { parseDelete, parseInsert, parseUpdate } from './dml.ts';
import { parseOptionalWith, parseWholeSelect } from './select.ts';
import * as T from './token.ts';

/** One statement, without its `;`: https://www.sqlite.org/syntax/sql-stmt.html */
export function parseAnyStatement(cursor: Cursor): Statement {
  const { start } = cursor;
  if (!cursor.take(T.EXPLAIN)) return parsePlain(cursor);
  const queryPlan = cursor.take(T.QUERY);
  if (queryPlan) cursor.expect(T.PLAN);
  const statement = parsePlain(cursor);
  return { kind: 'explain', start, end: cursor.end, queryPlan, statement } satisfies Explain;
}

function parsePlain(cursor: Cursor): Explain['statement'] {
  switch (cursor.kind) {
    case T.WITH:
    case T.SELECT:
    case T.VALUES:
    case T.INSERT:
    case T.REPLACE:
    case T.UPDATE:
    case T.DELETE:
      return parseWithable(cursor);
    case T.CREATE:
      return parseCreate(cursor);
    case T.ALTER:
      return parseAlterTable(cursor);
    case T.DROP:
      return parseDrop(cursor);
    default:
      return parseCommand(cursor);
  }
}

/** The statements that may start with WITH. */
function parseWithable(cursor: Cursor): Explain['statement'] {
  const { start } = cursor;
  const withClause = parseOptionalWith(cursor);
  switch (cursor.kind) {
    case T.INSERT:
    case T.REPLACE:
      return parseInsert(cursor, start, withClause, false);
    case T.UPDATE:
      return parseUpdate(cursor, start, withClause, false);
    case T.DELETE:
      return parseDelete(cursor, start, withClause, false);
    case T.SELECT:
    case T.VALUES:
      return parseWholeSelect(cursor, start, withClause, true);
    default:
      return cursor.fail('SELECT', 'VALUES', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE');
  }
}

function parseCommand(cursor: Cursor): Explain['statement'] {
  switch (cursor.kind) {
    case T.PRAGMA:
      return parsePragma(cursor);
    case T.BEGIN:
      return parseBegin(cursor);
    case T.COMMIT:
    case T.END:
      return parseCommit(cursor);
    case T.ROLLBACK:
      return parseRollback(cursor);
    case T.SAVEPOINT:
      return parseSavepoint(cursor);
    case T.RELEASE:
      return parseRelease(cursor);
    case T.ANALYZE:
      return parseMaintenance(cursor, 'analyze');
    case T.REINDEX:
      return parseMaintenance(cursor, 'reindex');
    case T.VACUUM:
      return parseVacuum(cursor);
    case T.ATTACH:
      return parseAttach(cursor);
    case T.DETACH:
      return parseDetach(cursor);
    default:
      return cursor.fail('a statement');
  }
}
