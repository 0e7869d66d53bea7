import type { ParsedStatement } from './ast.ts';
import { Cursor } from './cursor.ts';
import { SqlSyntaxError } from './error.ts';
import { parseExpression } from './expression.ts';
import { parseSelect } from './select.ts';
import { parseAnyStatement } from './statement.ts';
import * as T from './token.ts';

const GRAMMAR = { expression: parseExpression, select: parseSelect };

/**
 * Every statement of a script, in order; empty ones (`;;`) are left out. Spans are offsets into `sql`.
 *
 * @throws SqlSyntaxError at the first token that fits no rule
 */
export function parseScript(sql: string): ParsedStatement[] {
  const cursor = new Cursor(sql, GRAMMAR);
  const statements: ParsedStatement[] = [];
  for (;;) {
    while (cursor.take(T.SEMICOLON));
    if (cursor.kind === T.EOF) return statements;
    const statement = parseAnyStatement(cursor);
    if (cursor.kind !== T.SEMICOLON && cursor.kind !== T.EOF) cursor.fail();
    const { list: parameters, count: parameterCount } = cursor.takeParameters();
    const { start, end } = statement;
    statements.push({ statement, parameters, parameterCount, start, end });
  }
}

/**
 * The one statement that `sql` holds; `;` and comments around it are fine.
 *
 * @throws SqlSyntaxError if it is not SQL, or holds no statement or several
 */
export function parseStatement(sql: string): ParsedStatement {
  const [first, second] = parseScript(sql);
  if (first === undefined) {
    throw new SqlSyntaxError('no-statement', 'there is no statement', sql, sql.length, sql.length);
  }
  if (second !== undefined) {
    const what = 'expected one statement, found several';
    throw new SqlSyntaxError('several-statements', what, sql, second.start, second.end);
  }
  return first;
}
