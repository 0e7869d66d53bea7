import { present } from '../../base/assert.ts';
import type { Token } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Image } from '../log/commit.ts';
import { type Layout, readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import { valuesOf } from '../log/row-values.ts';
import type { Schema } from '../schema/catalogue.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import type { Table } from '../schema/table.ts';
import { covers } from '../schema/token-map.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { Identity } from './identity.ts';

/**
 * Checks what the open transaction has changed: every row belongs here, and no index over partitions must follow. Needed
 * where analysis does not prove it: rows that triggers, foreign-key actions or an INSERT … SELECT wrote.
 *
 * @throws AtollError `multi-partition-write`
 */
export function checkOwnership(port: SqlitePort, schema: Schema, identity: Identity): void {
  const changes = readCaptured(port);
  if (changes.length === 0) return;
  const layouts = readLayouts(port);
  for (const change of changes) {
    const table = schema.stored.get(change.tableId);
    if (table === undefined) continue; // Bookkeeping belongs to every partition.
    if (table.placement.kind === 'reference') {
      if (identity.partition === 0) continue;
      throw referenceRow(table);
    }
    if (change.after === null) continue;
    const layout = present(layouts.get(change.layout), 'a change has a layout');
    if (!covers(identity.ranges, tokenOfImage(table, layout, change.after))) throw foreignRow(table);
  }
}

export function referenceRow(table: Table): AtollError {
  return new AtollError(
    'multi-partition-write',
    `${table.name} is a reference table: a trigger or foreign-key action of a partitioned table cannot write it yet`,
  );
}

export function foreignRow(table: Table): AtollError {
  return new AtollError(
    'multi-partition-write',
    `the statement writes a row of ${table.name} that belongs to another partition; ` +
      'a trigger, foreign-key action or INSERT … SELECT must stay with one partition key',
  );
}

/** Of a row of a partitioned table. */
export function tokenOfImage(table: Table, layout: Layout, image: Image): Token {
  return tokenOfKey(keyOfImage(table, layout, image), keyColumns(table));
}

function keyOfImage(table: Table, layout: Layout, image: Image): SqlValue[] {
  if (table.placement.kind !== 'partitioned') return [];
  return valuesOf(layout, table.placement.key, image);
}
