import type { Affinity, Collation } from '../../schema/table.ts';
import type { ColumnReference, Expression, Select } from '../ast.ts';
import type { Resolved } from './model.ts';
import { refuse } from './refusal.ts';

/** What an expression brings into a comparison. Null: nothing of its own. */
export interface ExpressionClass {
  readonly affinity: Affinity | null;
  readonly collation: Collation | null;
  /** The collation was asked for by COLLATE, so that it beats a column's. */
  readonly explicit: boolean;
}

const NONE: ExpressionClass = { affinity: null, collation: null, explicit: false };

export interface ClassContext {
  resolve(reference: ColumnReference): Resolved;
  /** Inside a result column, where aliases are not known. */
  withoutAliases(): ClassContext;
  /** Of a scalar subquery's first column. */
  selectAffinity(select: Select): Affinity | null;
}

/**
 * https://www.sqlite.org/datatype3.html sections 3.2 (affinity of expressions) and 7.1 (collation); as in
 * sqlite3ExprAffinity and sqlite3ExprCollSeq.
 */
export function classOf(expression: Expression, context: ClassContext): ExpressionClass {
  switch (expression.kind) {
    case 'column': {
      const resolved = context.resolve(expression);
      if (resolved.kind === 'column') {
        return { affinity: resolved.affinity, collation: resolved.collation, explicit: false };
      }
      return resolved.kind === 'alias' ? classOf(resolved.expression, context.withoutAliases()) : NONE;
    }
    case 'collate': {
      const inner = classOf(expression.operand, context);
      return {
        affinity: inner.affinity,
        collation: collationNamed(expression.collation.name),
        explicit: true,
      };
    }
    case 'cast': {
      const inner = classOf(expression.operand, context);
      return { ...inner, affinity: affinityOfType(expression.type?.text ?? '') };
    }
    case 'unary':
      if (expression.operator === '+') return { ...classOf(expression.operand, context), affinity: null };
      return explicitWithin([expression.operand], context);
    case 'subquery':
      return { ...NONE, affinity: context.selectAffinity(expression.select) };
    case 'binary':
      return explicitWithin([expression.left, expression.right], context);
    case 'function':
      return explicitWithin(expression.arguments, context);
    default:
      return NONE;
  }
}

/** A COLLATE anywhere below shows through operators and functions (EP_Collate). */
function explicitWithin(children: readonly Expression[], context: ClassContext): ExpressionClass {
  for (const child of children) {
    const { collation, explicit } = classOf(child, context);
    if (explicit) return { affinity: null, collation, explicit };
  }
  return NONE;
}

export function collationNamed(name: string): Collation {
  const upper = name.toUpperCase();
  if (upper === 'BINARY' || upper === 'NOCASE' || upper === 'RTRIM') return upper;
  return refuse('syntax', `no such collation sequence: ${name}`);
}

/** https://www.sqlite.org/datatype3.html section 3.1 */
export function affinityOfType(type: string): Affinity {
  const upper = type.toUpperCase();
  if (upper.includes('INT')) return 'INTEGER';
  if (/CHAR|CLOB|TEXT/.test(upper)) return 'TEXT';
  if (upper === '' || upper.includes('BLOB')) return 'BLOB';
  return /REAL|FLOA|DOUB/.test(upper) ? 'REAL' : 'NUMERIC';
}

/** Collation of `a op b`: an explicit one, left first, else that of a column, left first. */
export function comparisonCollation(left: ExpressionClass, right: ExpressionClass): Collation {
  if (left.explicit) return left.collation ?? 'BINARY';
  if (right.explicit) return right.collation ?? 'BINARY';
  return left.collation ?? right.collation ?? 'BINARY';
}
