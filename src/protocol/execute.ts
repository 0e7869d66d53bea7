import type { CommitId, Epoch, SchemaVersion, Timestamp } from '../base/brand.ts';

/** One statement with its arguments in the public API's JSON values. */
export interface WireStatement {
  readonly sql: string;
  readonly args?: unknown;
}

/** A write that is executed once, however often it arrives: docs/protocol.md, "Idempotency". */
export interface Idempotency {
  /** Stands for database, principal and key: `requestId` of idempotency-key.ts. */
  readonly id: string;
  /** SHA-256 of what is asked for, hex: the same id with another hash is another request. */
  readonly hash: string;
  /** When the key was issued, Unix milliseconds. */
  readonly issuedMs: number;
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
  /**
   * Of one SELECT that reads: its answer may end behind any row but the first once it has so many bytes of values, and says
   * then that there is `more`. Whoever does not know this answers with all or refuses.
   */
  readonly pageBytes?: number;
  /** The client's session token as it came: the reply's token is this one and what the reply saw. */
  readonly session?: string;
  /** The replica must have applied the partition's log this far, */
  readonly atLeast?: CommitId;
  /** or, where no commit id is known any more, up to this log time. A leader has, by being it. */
  readonly atLeastTime?: Timestamp;
  /** Of a read: the rows as they were at this moment. Log time here must have passed it, and does, at a leader. */
  readonly asOf?: Timestamp;
  /** Of writes alone. Where it was executed already, its answer comes again, whatever epoch and schema say. */
  readonly idempotency?: Idempotency;
}

/** Changes nothing at all: a read of the past may add an entry to the log. */
export function isPresentRead({ read, asOf }: ExecuteRequest): boolean {
  return read && asOf === undefined;
}

/**
 * Router → partition: the answer that a request had here under its key. For requests that the present schema refuses, so
 * that nobody can tell which partition had executed them.
 */
export interface AnsweredRequest {
  /** The partition must have applied it: what was planned with an older schema cannot be executed here afterwards. */
  readonly schema: SchemaVersion;
  readonly idempotency: Idempotency;
  readonly session?: string;
}

export interface AnsweredReply {
  /** The public API's answer; null if nothing was executed here under the key. */
  readonly answer: string | null;
}
