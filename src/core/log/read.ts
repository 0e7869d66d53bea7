import { assert, present } from '../../base/assert.ts';
import type { CommitId, Epoch, SchemaVersion, Term, Timestamp } from '../../base/brand.ts';
import { selectExact } from '../sqlite/exact.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { SqlValue } from '../sqlite/value.ts';
import { CREATE_AFTER, DELETE_BEFORE, UPDATE_BEFORE } from './capture.ts';
import { type Change, COMMIT_KINDS, type Commit, type CommitHeader } from './commit.ts';
import { type Layouts, readLayouts } from './layout.ts';
import { inTrueOrder } from './order.ts';
import { readHead } from './tables.ts';

/** The entry `commitId` with exact values; null if it was purged or is not there yet. */
export function readCommit(port: SqlitePort, commitId: CommitId): Commit | null {
  const entry = readEntry(port, commitId);
  if (entry === null) return null;
  const { header, firstSeq, lastSeq } = entry;
  const changes = firstSeq > lastSeq ? [] : readChangesBetween(port, readLayouts(port), firstSeq, lastSeq);
  return { header, changes };
}

/** What was changed since the last finished commit. A prepare reads it before it rolls its execution back. */
export function readCaptured(port: SqlitePort): Change[] {
  const { lastSeq } = readHead(port);
  return readChangesBetween(port, readLayouts(port), lastSeq + 1, Number.MAX_SAFE_INTEGER);
}

/** The entry without its changes. */
export function readHeader(port: SqlitePort, commitId: CommitId): CommitHeader | null {
  return readEntry(port, commitId)?.header ?? null;
}

/** An entry and where its images are; `lastSeq < firstSeq` if it has none. */
export interface Entry {
  readonly header: CommitHeader;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export function readEntry(port: SqlitePort, commitId: CommitId): Entry | null {
  const { rows } = port.query(
    'SELECT term, timestamp, kind, transaction_id, commit_timestamp, epoch, schema_version, payload, ' +
      'first_seq, last_seq FROM _atoll_commits WHERE commit_id = ?',
    commitId,
  );
  const row = rows[0];
  if (row === undefined) return null;
  const payload = row[7] ?? null;
  assert(typeof payload !== 'number', 'a payload is text or bytes');
  const header: CommitHeader = {
    commitId,
    term: Number(row[0]) as Term,
    timestamp: String(row[1]) as Timestamp,
    kind: present(
      COMMIT_KINDS.find((kind) => kind === row[2]),
      'a commit of unknown kind',
    ),
    transactionId: row[3] === null ? null : String(row[3]),
    commitTimestamp: row[4] === null ? null : (String(row[4]) as Timestamp),
    epoch: Number(row[5]) as Epoch,
    schemaVersion: Number(row[6]) as SchemaVersion,
    payload,
  };
  return { header, firstSeq: Number(row[8]), lastSeq: Number(row[9]) };
}

/** Changes of the images `firstSeq … lastSeq`, in the order in which they happened. */
export function readChangesBetween(
  port: SqlitePort,
  layouts: Layouts,
  firstSeq: number,
  lastSeq: number,
): Change[] {
  let width = 0;
  for (const layout of layouts.values()) width = Math.max(width, layout.columns.length);
  const slots = Array.from({ length: width }, (_, slot) => `c${slot}`);
  const rows = selectExact(
    port,
    ['image', ...slots],
    'FROM _atoll_log WHERE seq BETWEEN ? AND ? ORDER BY seq',
    [firstSeq, lastSeq],
  );
  return inTrueOrder(layouts, changesOf(layouts, rows));
}

/** Joins images to changes: an update is two images, its before-image first. */
function changesOf(layouts: Layouts, rows: readonly SqlValue[][]): Change[] {
  const changes: Change[] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? [];
    const image = Number(row[0]);
    const kind = image % 4;
    const number = (image - kind) / 4;
    const { tableId, columns } = present(layouts.get(number), () => `no layout ${number}`);
    const values = row.slice(1, 1 + columns.length);
    const common = { tableId, layout: number };
    if (kind === CREATE_AFTER) changes.push({ type: 'create', ...common, before: null, after: values });
    else if (kind === DELETE_BEFORE) changes.push({ type: 'delete', ...common, before: values, after: null });
    else {
      assert(kind === UPDATE_BEFORE, 'an after-image without its before-image');
      const next = rows[++i];
      assert(Number(next?.[0]) === image + 1, 'a before-image without its after-image');
      const after = (next ?? []).slice(1, 1 + columns.length);
      changes.push({ type: 'update', ...common, before: values, after });
    }
  }
  return changes;
}
