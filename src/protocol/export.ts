import type { Epoch, SchemaVersion } from '../base/brand.ts';

/** Router → partition, `export-page`: a page of a table's rows as INSERT statements, or all definitions. */
export interface ExportPageRequest {
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  /** The partition must have applied the system partition's log this far (reference tables). */
  readonly system: number;
  /** Null: the reply is {@link ExportedDefinition}s as a JSON array. */
  readonly table: string | null;
  /** `next` of the page before; null for the first page. */
  readonly after: string | null;
}

/** First line of a page's reply, JSON; the statements follow it, a line end after each. */
export interface ExportPageHead {
  /** Key of the last row, a JSON array of the public API's values as text; null when no row follows. */
  readonly next: string | null;
  readonly rowCount: number;
}

/** What `sqlite_schema` has of a user's table, index, view or trigger, as the user wrote it but for Atoll's clauses. */
export interface ExportedDefinition {
  readonly type: 'table' | 'index' | 'view' | 'trigger';
  readonly name: string;
  /** The table or view that it belongs to; its own name for those. */
  readonly table: string;
  readonly sql: string;
}
