import type { Statement } from '../ast.ts';
import type { Expression } from './expression.ts';
import type { Identifier, QualifiedName, Span } from './name.ts';

// Statements without a query or a definition.

/** https://www.sqlite.org/pragma.html */
export interface Pragma extends Span {
  readonly kind: 'pragma';
  readonly name: QualifiedName;
  readonly value: PragmaValue | null;
}

/** `text` is unquoted and keeps a sign: `wal`, `-2000`, `on`. */
export interface PragmaValue extends Span {
  readonly kind: 'pragma-value';
  readonly text: string;
  /** `PRAGMA f(x)` rather than `PRAGMA f = x`. */
  readonly call: boolean;
}

export interface Analyze extends Span {
  readonly kind: 'analyze';
  readonly name: QualifiedName | null;
}

export interface Reindex extends Span {
  readonly kind: 'reindex';
  readonly name: QualifiedName | null;
}

export interface Vacuum extends Span {
  readonly kind: 'vacuum';
  readonly schema: Identifier | null;
  readonly into: Expression | null;
}

export interface Attach extends Span {
  readonly kind: 'attach';
  readonly file: Expression;
  readonly schema: Expression;
  readonly key: Expression | null;
}

export interface Detach extends Span {
  readonly kind: 'detach';
  readonly schema: Expression;
}

export interface Explain extends Span {
  readonly kind: 'explain';
  readonly queryPlan: boolean;
  readonly statement: Exclude<Statement, Explain>;
}

export interface Begin extends Span {
  readonly kind: 'begin';
  readonly mode: 'DEFERRED' | 'IMMEDIATE' | 'EXCLUSIVE' | null;
}

/** COMMIT or END. */
export interface Commit extends Span {
  readonly kind: 'commit';
}

/** `savepoint`: ROLLBACK TO it, or null for the whole transaction. */
export interface Rollback extends Span {
  readonly kind: 'rollback';
  readonly savepoint: Identifier | null;
}

export interface Savepoint extends Span {
  readonly kind: 'savepoint';
  readonly name: Identifier;
}

export interface Release extends Span {
  readonly kind: 'release';
  readonly name: Identifier;
}
