import { AtollError } from '../../protocol/error.ts';
import type { RestoreFinishRequest, RestoreIdsReply, RestoreIdsRequest } from '../../protocol/restore.ts';
import { failureOf } from '../execution/failure.ts';
import { checkForeignKeys } from '../schema/foreign-key-check.ts';
import { isPartitionedById } from '../schema/keyed-by-id.ts';
import type { Table } from '../schema/table.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { ExecuteOutcome } from './outcome.ts';
import { checkReferences } from './references.ts';
import type { Replica } from './replica.ts';

/** Ids in one page (chosen: some milliseconds, and 32 partitions' pages fit a router's memory). */
const PAGE_IDS = 20_000;

/** A page of a restored table's ids; `body` of the outcome is a RestoreIdsReply. */
export function restoredIds(replica: Replica, request: RestoreIdsRequest): ExecuteOutcome {
  const obstacle = replica.obstacle({ ...request, read: true });
  if (obstacle !== null) return obstacle;
  const table = replica.schema.table(request.table);
  if (table === undefined || table.rowidColumn === null) {
    return { kind: 'error', error: new AtollError('no-such-table', `no table with ids: ${request.table}`) };
  }
  const id = quoteName(table.rowidColumn);
  const where = request.after === null ? '' : `WHERE ${id} > CAST(? AS INTEGER)`;
  const bindings = request.after === null ? [] : [request.after];
  const { rows } = replica.port.query(
    `SELECT CAST(${id} AS TEXT) FROM ${quoteName(table.name)} ${where} ORDER BY ${id} LIMIT ${PAGE_IDS}`,
    ...bindings,
  );
  const reply: RestoreIdsReply = {
    ids: rows.map(([text]) => text).join(','),
    start: replica.identity.identifiers.start,
    end: replica.identity.identifiers.end,
  };
  return { kind: 'done', body: JSON.stringify(reply) };
}

/**
 * The last step of a restore in a partition: generated ids will be above restored ones, and every foreign key holds
 * (they were not looked at while rows came in, since a row's parent may come after it).
 */
export function finishRestore(replica: Replica, request: RestoreFinishRequest, now: number): ExecuteOutcome {
  const obstacle = replica.obstacle({ ...request, read: false });
  if (obstacle !== null) return obstacle;
  try {
    for (const table of replica.schema.catalogue.tables) checkForeignKeys(replica.port, table);
    checkReferences(replica.port, replica.schema);
    replica.port.transaction(() => {
      const largest = new Map(request.marks.map((each) => [each.table, each.largest]));
      for (const table of replica.schema.catalogue.tables) {
        const id = isPartitionedById(table) ? largestOwn(replica, table) : largest.get(table.name);
        if (id !== undefined && id !== null) raiseMark(replica, table, id + 1);
      }
      replica.append('mark', null, now);
    });
  } catch (error) {
    return { kind: 'error', error: failureOf(error) };
  } finally {
    replica.reload();
  }
  return { kind: 'done', body: '{}' };
}

/** Of a table that is partitioned by its ids: others' rows cannot meet the ids that are generated here. */
function largestOwn({ port, identity }: Replica, table: Table): number | null {
  const id = table.rowidColumn === null ? (table.rowidName ?? 'rowid') : quoteName(table.rowidColumn);
  const { start, end } = identity.identifiers;
  const sql = `SELECT max(${id}) FROM ${quoteName(table.name)} WHERE ${id} BETWEEN ? AND ?`;
  const largest = port.query(sql, start, end - 1).rows[0]?.[0] ?? null;
  return largest === null ? null : Number(largest);
}

function raiseMark({ port }: Replica, table: Table, mark: number): void {
  port.query(
    'INSERT INTO _atoll_marks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET mark = max(mark, ?2)',
    table.id,
    mark,
  );
}
