import { type Constant, constantOf } from '../sql/analysis/constant.ts';
import type { AsOf, ParsedStatement } from '../sql/ast.ts';

/** A statement's `AS OF`, and the statement without it, which is what partitions run. */
export interface AsOfClause {
  /** A literal or a parameter; null for anything else, which would have to be evaluated. */
  readonly moment: Constant | null;
  readonly rest: string;
}

/** The trailing clause of a SELECT, or of the SELECT that is explained; null where there is none. */
export function asOfClause({ statement }: ParsedStatement, sql: string): AsOfClause | null {
  const select = statement.kind === 'explain' ? statement.statement : statement;
  const clause: AsOf | null = select.kind === 'select' ? select.asOf : null;
  if (clause === null) return null;
  return { moment: constantOf(clause.moment), rest: sql.slice(0, clause.start) };
}
