import type { CommitId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { fromBase64, toBase64 } from '../../protocol/base64.ts';
import { DecodeError } from '../log/bytes.ts';
import { decodeValues, encodeValues } from '../log/encoding.ts';
import { type Layout, readLayouts } from '../log/layout.ts';
import type { Base } from '../log/tables.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** Version of all that this file describes; another one is refused. */
export const SNAPSHOT_VERSION = 1;

/**
 * A snapshot: the state of a partition right after commit `base`, sent while the leader goes on. First the rows as they are
 * when each page is read, which is later; then, backwards, the changes since `base` as far as they were when the last
 * row was read, which undo them. So nothing is kept between two pages but the cursor.
 *
 * Why the rows end up exactly as of `base`, UNIQUE values and all: the target lets a row take the place of those that
 * stand in its way. Whatever loses its place by that is not as of `base` yet, and an older change sets it; after
 * its oldest change it is as it was at `base`, and no still older image of another row can conflict with that.
 */
export interface SnapshotHead {
  readonly version: typeof SNAPSHOT_VERSION;
  /** Format version of the file that it becomes. */
  readonly format: number;
  readonly base: Base;
  /** What is in the file, in the order of its creation. */
  readonly schema: readonly SchemaObject[];
  /** Tables whose rows are sent, in this order. */
  readonly tables: readonly SnapshotTable[];
  readonly start: SnapshotCursor;
}

export interface SchemaObject {
  readonly type: 'table' | 'index' | 'trigger' | 'view';
  readonly name: string;
  readonly sql: string;
}

/** A layout, or what stands for it in a table that is not logged (`layout` 0). */
export type SnapshotTable = Pick<Layout, 'layout' | 'table' | 'columns' | 'hiddenRowid' | 'key'>;

/** Where the next page begins. `schema`, `epoch`: as at `base`, or the snapshot is of no use any more. */
export type SnapshotCursor = {
  readonly schema: number;
  readonly epoch: number;
} & (
  | {
      readonly phase: 'rows';
      /** Index of the table. */
      readonly table: number;
      /** Key of the last row that was sent, as base64 of its encoding; null at the table's beginning. */
      readonly after: string | null;
    }
  | {
      readonly phase: 'undo';
      /** The newest entry that is still to be undone; null: the last there is. */
      readonly commitId: CommitId | null;
      /** Its last image that is; null: all. */
      readonly seq: number | null;
    }
);

export interface SnapshotPageHead {
  readonly base: CommitId;
  /** Where this page begins. */
  readonly cursor: SnapshotCursor;
  /** Null: this was the last one. */
  readonly next: SnapshotCursor | null;
  /** Of the data. */
  readonly fingerprint: string;
  /** With the last page: greatest ids ever of AUTOINCREMENT tables, as decimal text. */
  readonly sequences?: readonly (readonly [table: string, id: string])[];
}

/**
 * Data: in phase `rows`, parts of table index, number of rows, rows (core/log/encoding.ts); in phase `undo`, a list of
 * changes, newest first.
 */
export interface SnapshotPage {
  readonly head: SnapshotPageHead;
  readonly data: Uint8Array;
}

/** Atoll's tables that are not logged and yet part of a replica. */
const UNLOGGED: readonly SnapshotTable[] = [
  unlogged('_atoll_identity', ['only_row', 'identity']),
  unlogged('_atoll_schema', ['version', 'statements', 'catalogue']),
  unlogged('_atoll_layouts', ['layout', 'table_id', 'definition', 'retired_seq']),
];

function unlogged(table: string, columns: readonly string[]): SnapshotTable {
  return { layout: 0, table, columns, hiddenRowid: false, key: [0] };
}

/** The same as long as the schema is. */
export function snapshotTables(port: SqlitePort): SnapshotTable[] {
  const current = [...readLayouts(port).values()].filter((layout) => layout.current);
  current.sort((a, b) => a.layout - b.layout);
  return [
    ...UNLOGGED,
    ...current.map(({ layout, table, columns, hiddenRowid, key }) => ({
      layout,
      table,
      columns,
      hiddenRowid,
      key,
    })),
  ];
}

/** A cursor that has come over the wire. @throws DecodeError */
export function decodeCursor(value: unknown): SnapshotCursor {
  const { schema, epoch, phase, table, after, commitId, seq } = record(value);
  const versions = { schema: count(schema), epoch: count(epoch) };
  if (phase === 'rows') {
    if (after !== null && typeof after !== 'string') throw new DecodeError('the key of a cursor');
    return { ...versions, phase, table: count(table), after };
  }
  if (phase !== 'undo') throw new DecodeError('the phase of a cursor');
  return {
    ...versions,
    phase,
    commitId: commitId === null ? null : (count(commitId) as CommitId),
    seq: seq === null ? null : count(seq),
  };
}

/** Likewise; the schema is the leader's word. @throws DecodeError */
export function decodeHead(value: unknown): SnapshotHead {
  const { version, format, base, schema, tables, start } = record(value);
  if (version !== SNAPSHOT_VERSION) throw new DecodeError(`snapshot version ${version}`);
  const { commitId, term, timestamp } = record(base);
  if (typeof timestamp !== 'string') throw new DecodeError('the time of a snapshot');
  if (!Array.isArray(schema) || !Array.isArray(tables)) throw new DecodeError('the schema of a snapshot');
  return {
    version: SNAPSHOT_VERSION,
    format: count(format),
    base: {
      commitId: count(commitId) as CommitId,
      term: count(term) as Base['term'],
      timestamp: timestamp as Base['timestamp'],
    },
    schema: schema as SchemaObject[],
    tables: tables as SnapshotTable[],
    start: decodeCursor(start),
  };
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new DecodeError('the head of a snapshot');
  return value as Record<string, unknown>;
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new DecodeError('a number of a snapshot');
  return value;
}

export function encodeKey(values: readonly SqlValue[]): string {
  return toBase64(encodeValues(values));
}

export function decodeKey(text: string): SqlValue[] {
  const bytes = fromBase64(text);
  if (bytes === null) throw new DecodeError('a key that is not base64');
  return decodeValues(bytes);
}
