import type { CommitId, Epoch, SchemaVersion, Timestamp } from '../base/brand.ts';

/** One statement with its arguments in the public API's JSON values. */
export interface WireStatement {
  readonly sql: string;
  readonly args?: unknown;
}

/**
 * Router → partition: run these statements in one transaction, all or nothing. The partition refuses it if
 * `epoch` or `schema` is not its own (`stale`), after catching up with the system partition where it is
 * itself behind.
 */
export interface ExecuteRequest {
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  /** The partition must have applied the system partition's log this far (reference tables). */
  readonly system: number;
  /** `query`: the reply is the one statement's result; `batch`: `{results:[…]}`. */
  readonly shape: 'query' | 'batch';
  /** The statements cannot write: they may run without a transaction, and are repeatable. */
  readonly read: boolean;
  readonly statements: readonly WireStatement[];
  /** Largest answer in bytes, if it is to be smaller than the partition's own bound. */
  readonly answerBytesMax?: number;
  /** The client's session token as it came: the reply's token is this one and what the reply saw. */
  readonly session?: string;
  /** The replica must have applied the partition's log this far, */
  readonly atLeast?: CommitId;
  /** or, where no commit id is known any more, up to this log time. A leader has, by being it. */
  readonly atLeastTime?: Timestamp;
  /** Of a read: the rows as they were at this moment. Log time here must have passed it, and does, at a leader. */
  readonly asOf?: Timestamp;
}
