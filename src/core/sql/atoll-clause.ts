import type { AppendOnly, AtollClause, PartitionBy, Reference } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseNames } from './name.ts';
import * as T from './token.ts';

/** Atoll's clauses of CREATE TABLE, as many as stand here, bare or in comments that open with `atoll`. */
export function parseAtollClauses(cursor: Cursor): AtollClause[] {
  const clauses: AtollClause[] = [];
  for (;;) {
    if (cursor.kind === T.ATOLL_OPEN) {
      clauses.push(...parseComment(cursor));
      continue;
    }
    const clause = parseAtollClause(cursor);
    if (clause === null) return clauses;
    clauses.push(clause);
  }
}

/**
 * The clauses of one comment. One of them spans the whole comment and the others nothing at its end, so that cutting
 * out every clause's span leaves SQLite's own text. PARTITION BY is that one, since its columns must lie inside.
 */
function parseComment(cursor: Cursor): AtollClause[] {
  const { start } = cursor;
  cursor.advance();
  const clauses: AtollClause[] = [];
  for (let clause = parseAtollClause(cursor); clause !== null; clause = parseAtollClause(cursor)) {
    clauses.push(clause);
  }
  if (clauses.length === 0) cursor.fail('PARTITION BY', 'REFERENCE', 'APPEND ONLY');
  cursor.expect(T.ATOLL_CLOSE);
  const { end } = cursor;
  clauses.sort((a, b) => Number(b.kind === 'partition-by') - Number(a.kind === 'partition-by'));
  return clauses.map((clause, index) => ({ ...clause, start: index === 0 ? start : end, end }));
}

/** One clause without a comment around it, or null. */
export function parseAtollClause(cursor: Cursor): AtollClause | null {
  const { start } = cursor;
  if (cursor.take(T.PARTITION)) {
    cursor.expect(T.BY);
    const columns = parseNames(cursor);
    return { kind: 'partition-by', start, end: cursor.end, columns } satisfies PartitionBy;
  }
  if (cursor.isWord('REFERENCE')) {
    cursor.advance();
    return { kind: 'reference', start, end: cursor.end } satisfies Reference;
  }
  if (cursor.isWord('APPEND')) {
    cursor.advance();
    if (!cursor.isWord('ONLY')) cursor.fail('ONLY');
    cursor.advance();
    return { kind: 'append-only', start, end: cursor.end } satisfies AppendOnly;
  }
  return null;
}
