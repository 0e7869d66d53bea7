import type { Schema } from '../schema/catalogue.ts';
import type { SchemaChange } from '../schema/change.ts';
import type { Replica } from './replica.ts';

/**
 * Of who leads, in the transaction of the change: rows of rebuilt tables whose ids were a column keep them as rowids that nobody sees.
 * Clients may have given them, so those that are generated go on behind.
 */
export function passRebuiltIds(
  { identifiers }: Replica,
  before: Schema,
  { rebuilt = [], catalogue }: SchemaChange,
): void {
  for (const table of catalogue.tables) {
    const had = before.stored.get(table.id)?.rowidColumn ?? null;
    const isHidden = !table.withoutRowid && table.rowidColumn === null;
    if (rebuilt.includes(table.id) && had !== null && isHidden) identifiers.passIdentifiers(table);
  }
}
