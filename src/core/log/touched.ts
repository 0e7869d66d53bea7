import type { CommitId, TableId } from '../../base/brand.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { BARRIERS } from './commit.ts';
import { layoutOf, readLayouts } from './layout.ts';
import { readHead } from './tables.ts';

const BARRIER_KINDS = [...BARRIERS].map((kind) => `'${kind}'`).join(', ');

/**
 * Whether an entry after `since` has changed a row of one of the tables, or may have: a barrier changes what images do not
 * show; entries that the log does not keep any more cannot be asked; and a log that ends before `since` is not the one
 * that `since` was read from. Rows are not read, only which layouts their images have.
 */
export function touchedSince(port: SqlitePort, since: CommitId, tables: ReadonlySet<TableId>): boolean {
  const { firstCommitId, lastCommitId, lastSeq } = readHead(port);
  // Nearly always, and one read.
  if (lastCommitId === since) return false;
  if (since > lastCommitId || since + 1 < firstCommitId) return true;
  // The least, and not the first one's: the log's numbers begin anew when it has become empty.
  const [[barrier, firstSeq = null] = []] = port.query(
    `SELECT max(kind IN (${BARRIER_KINDS})), min(first_seq) FROM _atoll_commits WHERE commit_id > ?`,
    since,
  ).rows;
  if (barrier === 1) return true;
  return tablesIn(port, firstSeq, lastSeq).some((table) => tables.has(table));
}

/** The tables that images `first … last` are of. */
function tablesIn(port: SqlitePort, first: PortValue, last: number): TableId[] {
  const layouts = readLayouts(port);
  const { rows } = port.query(
    'SELECT DISTINCT image / 4 FROM _atoll_log WHERE seq BETWEEN ? AND ?',
    first,
    last,
  );
  return rows.map(([layout]) => layoutOf(layouts, { layout: Number(layout) }).tableId);
}
