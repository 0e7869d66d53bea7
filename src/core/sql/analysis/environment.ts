import type { CommonTable } from '../ast.ts';
import type { Scope, SourceColumn } from './model.ts';

/** A common table expression where it is visible. */
export interface VisibleTable {
  readonly definition: CommonTable;
  readonly environment: Environment;
  readonly scope: Scope | null;
  /** While it is read: a use of itself is the recursion. */
  active: { columns: readonly SourceColumn[] | null; recursive: boolean } | null;
}

/** Common table expressions by name, innermost WITH first. */
export interface Environment {
  readonly tables: Map<string, VisibleTable>;
  readonly outer: Environment | null;
}
