import type { Expression } from './expression.ts';
import type { Identifier, Span } from './name.ts';
import type { From, Limit, OrderingTerm, ResultColumn, Select, TableName, With } from './select.ts';

// INSERT, UPDATE, DELETE.

/** https://www.sqlite.org/lang_conflict.html */
export type ConflictAction = 'ROLLBACK' | 'ABORT' | 'FAIL' | 'IGNORE' | 'REPLACE';

/** https://www.sqlite.org/lang_insert.html */
export interface Insert extends Span {
  readonly kind: 'insert';
  readonly with: With | null;
  /** `REPLACE INTO` and `INSERT OR REPLACE` are both REPLACE. */
  readonly or: ConflictAction | null;
  readonly table: TableName;
  readonly columns: readonly Identifier[] | null;
  /** Null for DEFAULT VALUES. */
  readonly source: Select | null;
  readonly upserts: readonly Upsert[];
  readonly returning: Returning | null;
}

/** `ON CONFLICT (target) WHERE … DO NOTHING | DO UPDATE SET … WHERE …`: https://www.sqlite.org/lang_upsert.html */
export interface Upsert extends Span {
  readonly kind: 'upsert';
  readonly target: readonly OrderingTerm[] | null;
  readonly targetWhere: Expression | null;
  /** Null for DO NOTHING. */
  readonly set: readonly Assignment[] | null;
  readonly where: Expression | null;
}

/** `a = 1`, or `(a, b) = (1, 2)` when `row` is true. */
export interface Assignment extends Span {
  readonly kind: 'assignment';
  readonly columns: readonly Identifier[];
  readonly row: boolean;
  readonly value: Expression;
}

export interface Returning extends Span {
  readonly kind: 'returning';
  readonly columns: readonly ResultColumn[];
}

/** https://www.sqlite.org/lang_update.html; in source order RETURNING comes before ORDER BY. */
export interface Update extends Span {
  readonly kind: 'update';
  readonly with: With | null;
  readonly or: ConflictAction | null;
  readonly table: TableName;
  readonly set: readonly Assignment[];
  readonly from: From | null;
  readonly where: Expression | null;
  readonly returning: Returning | null;
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly limit: Limit | null;
}

/** https://www.sqlite.org/lang_delete.html */
export interface Delete extends Span {
  readonly kind: 'delete';
  readonly with: With | null;
  readonly table: TableName;
  readonly where: Expression | null;
  readonly returning: Returning | null;
  readonly orderBy: readonly OrderingTerm[] | null;
  readonly limit: Limit | null;
}
