import type {
  Assignment,
  ConflictAction,
  Delete,
  Insert,
  Returning,
  Select,
  Update,
  Upsert,
  With,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseOptionalFrom, parseTarget } from './from.ts';
import { parseName, parseNames, parseOptionalNames } from './name.ts';
import { parseResultColumns, parseSelect } from './select.ts';
import { parseLimit, parseOrderBy, parseOrderingTerms, parseWhere } from './term.ts';
import * as T from './token.ts';

const ACTIONS = new Map<number, ConflictAction>([
  [T.ROLLBACK, 'ROLLBACK'],
  [T.ABORT, 'ABORT'],
  [T.FAIL, 'FAIL'],
  [T.IGNORE, 'IGNORE'],
  [T.REPLACE, 'REPLACE'],
]);

/** The action behind OR or ON CONFLICT: https://www.sqlite.org/lang_conflict.html */
export function parseConflictAction(cursor: Cursor): ConflictAction {
  const action = ACTIONS.get(cursor.kind);
  if (action === undefined) return cursor.fail(...ACTIONS.values());
  cursor.advance();
  return action;
}

/** INSERT or REPLACE, its WITH already read. `inTrigger`: a trigger's step takes neither DEFAULT VALUES nor RETURNING. */
export function parseInsert(
  cursor: Cursor,
  start: number,
  withClause: With | null,
  inTrigger: boolean,
): Insert {
  let or: ConflictAction | null = null;
  if (cursor.take(T.REPLACE)) {
    or = 'REPLACE';
  } else {
    cursor.expect(T.INSERT);
    if (cursor.take(T.OR)) or = parseConflictAction(cursor);
  }
  cursor.expect(T.INTO);
  const table = parseTarget(cursor, false);
  const columns = parseOptionalNames(cursor);
  let source = null;
  let upserts: Upsert[] = [];
  if (cursor.kind === T.DEFAULT && !inTrigger) {
    cursor.advance();
    cursor.expect(T.VALUES);
  } else {
    source = parseSelect(cursor);
    upserts = parseUpserts(cursor);
  }
  const returning = inTrigger ? null : parseReturning(cursor);
  const { end } = cursor;
  return { kind: 'insert', start, end, with: withClause, or, table, columns, source, upserts, returning };
}

/** ON CONFLICT clauses; one without a target can only be the last. */
function parseUpserts(cursor: Cursor): Upsert[] {
  const upserts: Upsert[] = [];
  while (cursor.kind === T.ON) {
    const upsert = parseUpsert(cursor);
    upserts.push(upsert);
    if (upsert.target === null) break;
  }
  return upserts;
}

function parseUpsert(cursor: Cursor): Upsert {
  const { start } = cursor;
  cursor.expectAll(T.ON, T.CONFLICT);
  let target = null;
  let targetWhere = null;
  if (cursor.take(T.OPEN)) {
    target = parseOrderingTerms(cursor);
    cursor.expect(T.CLOSE);
    targetWhere = parseWhere(cursor);
  }
  cursor.expect(T.DO);
  let set: Assignment[] | null = null;
  let where = null;
  if (!cursor.take(T.NOTHING)) {
    cursor.expectAll(T.UPDATE, T.SET);
    set = parseAssignments(cursor);
    where = parseWhere(cursor);
  }
  return { kind: 'upsert', start, end: cursor.end, target, targetWhere, set, where };
}

function parseAssignments(cursor: Cursor): Assignment[] {
  const list: Assignment[] = [];
  do {
    const { start } = cursor;
    const row = cursor.kind === T.OPEN;
    const columns = row ? parseNames(cursor) : [parseName(cursor)];
    cursor.expect(T.EQ);
    const value = cursor.grammar.expression(cursor);
    list.push({ kind: 'assignment', start, end: cursor.end, columns, row, value });
  } while (cursor.take(T.COMMA));
  return list;
}

/** RETURNING … if it is there: https://www.sqlite.org/lang_returning.html */
function parseReturning(cursor: Cursor): Returning | null {
  const { start } = cursor;
  if (!cursor.take(T.RETURNING)) return null;
  const columns = parseResultColumns(cursor);
  return { kind: 'returning', start, end: cursor.end, columns };
}

/** UPDATE, its WITH already read. A trigger's step takes no INDEXED BY, RETURNING, ORDER BY or LIMIT. */
export function parseUpdate(
  cursor: Cursor,
  start: number,
  withClause: With | null,
  inTrigger: boolean,
): Update {
  cursor.expect(T.UPDATE);
  const or = cursor.take(T.OR) ? parseConflictAction(cursor) : null;
  const table = parseTarget(cursor, !inTrigger);
  cursor.expect(T.SET);
  const set = parseAssignments(cursor);
  const from = parseOptionalFrom(cursor);
  const where = parseWhere(cursor);
  const returning = inTrigger ? null : parseReturning(cursor);
  const orderBy = inTrigger ? null : parseOrderBy(cursor);
  const limit = inTrigger ? null : parseLimit(cursor);
  const { end } = cursor;
  return {
    kind: 'update',
    start,
    end,
    with: withClause,
    or,
    table,
    set,
    from,
    where,
    returning,
    orderBy,
    limit,
  };
}

/** DELETE, its WITH already read. */
export function parseDelete(
  cursor: Cursor,
  start: number,
  withClause: With | null,
  inTrigger: boolean,
): Delete {
  cursor.expectAll(T.DELETE, T.FROM);
  const table = parseTarget(cursor, !inTrigger);
  const where = parseWhere(cursor);
  const returning = inTrigger ? null : parseReturning(cursor);
  const orderBy = inTrigger ? null : parseOrderBy(cursor);
  const limit = inTrigger ? null : parseLimit(cursor);
  const { end } = cursor;
  return { kind: 'delete', start, end, with: withClause, table, where, returning, orderBy, limit };
}

/** One statement of a trigger's body. */
export function parseTriggerStep(cursor: Cursor): Insert | Update | Delete | Select {
  const { start } = cursor;
  switch (cursor.kind) {
    case T.INSERT:
    case T.REPLACE:
      return parseInsert(cursor, start, null, true);
    case T.UPDATE:
      return parseUpdate(cursor, start, null, true);
    case T.DELETE:
      return parseDelete(cursor, start, null, true);
    case T.SELECT:
    case T.VALUES:
    case T.WITH:
      return parseSelect(cursor);
    default:
      return cursor.fail('INSERT', 'UPDATE', 'DELETE', 'SELECT');
  }
}
