import { AtollError } from '../../protocol/error.ts';
import type { ImportChunkHead } from '../../protocol/import.ts';
import type { RestoreChunkHead } from '../../protocol/restore.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import type { Schema } from '../schema/catalogue.ts';
import { hasKeysToCopies } from '../schema/keys-to-copies.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { unclaimed } from './claims.ts';
import type { Identity } from './identity.ts';
import { keyChangesOf } from './key-changes.ts';
import { checkOwnership } from './ownership.ts';
import { takesKeys } from './referrers.ts';
import { entryChanges } from './unique-entries.ts';

/**
 * Checks that what the open transaction has changed concerns this partition alone: of what is to be more than that, routers
 * make a transaction over partitions. `after`: of its changes, these first ones were checked before.
 *
 * @throws AtollError `multi-partition-write`
 */
export function checkConfined(port: SqlitePort, schema: Schema, identity: Identity, after = 0): void {
  checkOwnership(port, schema, identity);
  if (!schema.hasIndexes) return;
  const changes = readCaptured(port).slice(after);
  const layouts = readLayouts(port);
  const { uniques = [], references = [] } = schema.catalogue;
  const [entry] = entryChanges(changes, layouts, schema);
  const [key] = keyChangesOf(changes, layouts, schema);
  const index =
    [...uniques, ...references].find(({ table }) => table.id === entry?.change.tableId) ?? key?.index;
  if (index === undefined) return;
  const owner = schema.catalogue.tables.find(({ id }) => id === index.of);
  const what = 'parent' in index ? 'a foreign key' : 'unique';
  throw new AtollError(
    'multi-partition-write',
    `the statement changes rows that ${owner?.name} (${index.columns.join(', ')}), which is ${what} over partitions, depends on, in one partition alone: ` +
      'write the table by /v1/query or /v1/batch, without atomicity',
  );
}

/**
 * Of rows that the router has placed only triggers reach further, and indexes over partitions. A restore fills these when all
 * rows are in.
 */
export function checkImported(
  port: SqlitePort,
  schema: Schema,
  identity: Identity,
  head: ImportChunkHead | RestoreChunkHead,
): void {
  const table = schema.table(head.table);
  const fires = schema.triggersOn(head.table).length > 0;
  const isCopied = table?.placement.kind === 'reference' && !('restore' in head);
  if (isCopied && hasKeysToCopies(schema) && takesKeys(schema, readCaptured(port), readLayouts(port))) {
    throw new AtollError(
      'multi-partition-write',
      `rows of ${table.name} that others may refer to would be replaced: insert these rows by /v1/batch`,
    );
  }
  const indexed =
    table !== undefined &&
    [schema.uniquesOf(table), schema.referencesOf(table), schema.referencesTo(table)].some(
      ({ length }) => length > 0,
    );
  if ('restore' in head) {
    if (fires) checkOwnership(port, schema, identity);
    return;
  }
  if (table !== undefined && looseIdColumn(table) !== null && head.runs.some((run) => !run.generatesIds))
    throw unclaimed();
  if (indexed || fires) checkConfined(port, schema, identity);
}
