// What every node is made of.

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** How a name was written; `'` is SQLite's leniency for string literals where a name is required. */
export type Quote = '' | '"' | '`' | '[' | "'";

/** A name, unquoted. Compare names without case: SQLite folds ASCII letters only. */
export interface Identifier extends Span {
  readonly kind: 'identifier';
  readonly name: string;
  readonly quote: Quote;
}

/** `name` or `schema.name`, of a table, index, view, trigger, pragma. */
export interface QualifiedName extends Span {
  readonly kind: 'qualified-name';
  readonly schema: Identifier | null;
  readonly name: Identifier;
}

/** A declared type as in `CREATE TABLE` and `CAST`: `text` is the source, such as `VARCHAR ( 20 )`. */
export interface TypeName extends Span {
  readonly kind: 'type-name';
  readonly text: string;
}
