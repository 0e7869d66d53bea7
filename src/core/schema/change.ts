import type { SchemaVersion, TableId } from '../../base/brand.ts';
import type { Catalogue } from './catalogue.ts';

/** One step from a schema version to the next: plain data, the same for every partition. */
export interface SchemaChange {
  readonly version: SchemaVersion;
  /** What SQLite runs, Atoll's clauses cut out, in order. */
  readonly statements: readonly string[];
  /** Tables that must hold no row anywhere, since their partition key or their ids change. */
  readonly mustBeEmpty: readonly string[];
  /** Tables that are dropped and created anew, with their rows, by the statements. Since RPC version 7. */
  readonly rebuilt?: readonly TableId[];
  /** The schema afterwards. */
  readonly catalogue: Catalogue;
}

/** Whether tables are made anew with their rows: where foreign keys act on what is dropped, those that refer to them would lose theirs. */
export function isRebuild({ rebuilt }: SchemaChange): boolean {
  return rebuilt !== undefined;
}
