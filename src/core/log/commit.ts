import type { CommitId, Epoch, SchemaVersion, TableId, Term, Timestamp } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';

/** What an entry of the log is for; DESIGN.md, "The one idea". Part of the format on disk: append only. */
export const COMMIT_KINDS = [
  'write',
  'prepare',
  'decide',
  'apply',
  'abort',
  'lock',
  'mark',
  'schema',
  'config',
  'split',
  'noop',
] as const;
export type CommitKind = (typeof COMMIT_KINDS)[number];

/** Kinds that row images cannot undo: undo stops before them. */
export const BARRIERS: ReadonlySet<CommitKind> = new Set(['schema', 'config', 'split']);

/** What the caller says about a commit that it finishes; the log adds the id. */
export interface CommitInput {
  readonly term: Term;
  /** Must be greater than that of the commit before. */
  readonly timestamp: Timestamp;
  readonly kind: CommitKind;
  /** Of the client's or the distributed transaction; null for the log's own entries. */
  readonly transactionId: string | null;
  /** When the rows count as changed; null means `timestamp` (it differs for `decide` and `apply`). */
  readonly commitTimestamp: Timestamp | null;
  readonly epoch: Epoch;
  readonly schemaVersion: SchemaVersion;
  /** What the kind needs besides row changes: DDL, members, locks. Opaque to the log. */
  readonly payload: string | Uint8Array | null;
}

export interface CommitHeader extends CommitInput {
  readonly commitId: CommitId;
}

export type ChangeType = 'create' | 'delete' | 'update';

/** A whole row in the order of its layout's columns; of a table with a hidden rowid, the rowid is first. */
export type Image = readonly SqlValue[];

/** One row touched. */
export interface Change {
  readonly type: ChangeType;
  readonly tableId: TableId;
  /** Which columns the images have: see layout.ts. */
  readonly layout: number;
  /** Null exactly for `create`. */
  readonly before: Image | null;
  /** Null exactly for `delete`. */
  readonly after: Image | null;
}

export interface Commit {
  readonly header: CommitHeader;
  /** In the order in which they happened. */
  readonly changes: readonly Change[];
}
