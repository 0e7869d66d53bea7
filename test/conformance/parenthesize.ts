import type { Node } from '../../src/core/sql/ast.ts';
import { parseScript } from '../../src/core/sql/parse.ts';
import { type Edit, splice } from '../../src/core/sql/splice.ts';
import { walk } from '../../src/core/sql/walk.ts';

const EXPRESSIONS = new Set<Node['kind']>([
  'literal',
  'current-time',
  'parameter',
  'column',
  'unary',
  'binary',
  'like',
  'null-test',
  'between',
  'in',
  'exists',
  'subquery',
  'function',
  'cast',
  'collate',
  'case',
  'raise',
]);

export interface Parenthesized {
  readonly sql: string;
  readonly pairs: number;
}

/**
 * The statement with explicit parentheses around every expression. It must mean the same: that holds only if every
 * span and every precedence is right. Left alone: row values, a DEFAULT without parentheses, and `asOf`.
 */
export function parenthesize(sql: string): Parenthesized {
  const edits: Edit[] = [];
  for (const { statement } of parseScript(sql))
    walk(statement, {
      enter: (node) => {
        if (node.kind === 'default' && !node.parenthesized) return 'skip';
        if (node.kind === 'as-of') return 'skip';
        if (EXPRESSIONS.has(node.kind)) edits.push({ start: node.start, end: node.start, text: '(' });
        return undefined;
      },
      leave: (node) => {
        if (EXPRESSIONS.has(node.kind)) edits.push({ start: node.end, end: node.end, text: ')' });
      },
    });
  return { sql: splice(sql, edits), pairs: edits.length / 2 };
}
