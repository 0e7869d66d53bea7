import type { Epoch, PartitionId, SchemaVersion, TableId, Term, Timestamp } from '../base/brand.ts';
import type { ShownError } from './error.ts';
import type { Idempotency, WireStatement } from './execute.ts';
import type { ImportChunk } from './import.ts';
import type { ScriptReference } from './interactive.ts';
import type { StalePartition } from './network.ts';

/** What one partition does for a transaction over several. */
export interface TransactionPart {
  readonly partition: PartitionId;
  readonly epoch: Epoch;
  /** The statements cannot write. */
  readonly read: boolean;
  readonly statements: readonly WireStatement[];
  /** Of an interactive transaction: what it has done in the partition so far, in place of statements. */
  readonly script?: ScriptReference;
  /** Rows of an import in place of statements. Of the anchor's own part alone: it does not travel. */
  readonly chunk?: ImportChunk;
  /** A page of rows that get entries in an index, in place of statements. Likewise the anchor's own. */
  readonly fill?: IndexPage;
  /**
   * Of INSERTs that say what to do with rows in their way: those rows, creates as they were read, wherever they live. They are there
   * while the part runs, and nothing is done if one is otherwise by then. No other statement uses their tables.
   */
  readonly visitors?: Escapes;
  /** Ids that the transaction's statements give: in every part, those of all parts. */
  readonly ids?: readonly ClaimedIds[];
  /** Largest answer in bytes, if it is to be smaller than the partition's own bound. */
  readonly answerBytesMax?: number;
  /**
   * All statements, in groups that are answered as one. A request with it is sent as `transact-groups` and `prepare-groups`, which nobody
   * takes who does not know it.
   */
  readonly groups?: readonly StatementGroup[];
}

/** Statements that follow each other: what is answered is the columns of the last one, and the rows and counts of all. */
export interface StatementGroup {
  readonly count: number;
  /**
   * The first one is a read that was made before, and its result has this fingerprint (core/transaction/answer-fingerprint.ts). Nothing is
   * done if it has another one by now. It is none of what is answered.
   */
  readonly expects?: string;
}

/** Ids that clients give in a table whose ids do not say where a row is. Decimal, since they have 64 bits. */
export interface ClaimedIds {
  readonly table: TableId;
  /** Of rows that the partition may have in the end. */
  readonly here: readonly string[];
  /** Of rows that it must not have in the end. */
  readonly elsewhere: readonly string[];
}

/** Rows whose keys come after `after`: as in `IndexFillRequest` and its reply. */
export interface IndexPage {
  readonly index: TableId;
  readonly after: string | null;
}

/** Names one attempt of a transaction. */
export interface Attempt {
  /** Unique: 32 hexadecimal digits. Another attempt has another one. */
  readonly transaction: string;
  /** When the transaction was first tried, Unix ms; the same for all its attempts. */
  readonly startedMs: number;
}

/**
 * Router → anchor, `transact`, or `transact-groups`: run all parts or none (two-phase commit, docs/protocol.md). The anchor is the partition that coordinates;
 * it may have a part itself. Answered with a {@link TransactReply}, an error (nothing applied, or `unknown`), or, with status
 * 421, what a partition knows that the router does not.
 */
export interface TransactRequest extends Attempt {
  readonly schema: SchemaVersion;
  /** Every partition must have applied the system partition's log this far. */
  readonly system: number;
  readonly parts: readonly TransactionPart[];
  /** Its home is the anchor. Where it was decided already, the same replies come again. */
  readonly idempotency?: Idempotency;
  /** Who owns which tokens, if parts may write rows that belong elsewhere; then further waves of prepares follow. */
  readonly ring?: readonly RingRange[];
}

/** Tokens from `start` up to the next one's start; in ascending order, the first starts at 0. */
export type RingRange = readonly [start: number, partition: PartitionId, epoch: Epoch];

/** Row changes that belong to other partitions than the one that made them: found while it executed its part. */
export interface Escapes {
  /** Of each change: the token of its row. */
  readonly tokens: readonly number[];
  /**
   * Creates and deletes in the encoding of the log, base64; the layouts are the sender's. Of an index of references also
   * updates, which ask for something: docs/protocol.md.
   */
  readonly changes: string;
}

export interface TransactReply {
  /** Each partition's answer to a batch, JSON text. After the first one of a partition, those of later waves have no results. */
  readonly replies: readonly { readonly partition: PartitionId; readonly reply: string }[];
}

/** Router → anchor, `recorded`: what was answered under the key, if it was a transaction that this partition has decided. */
export interface RecordedRequest {
  readonly idempotency: Idempotency;
}

export interface RecordedReply {
  /** Null: nothing was. */
  readonly reply: TransactReply | null;
}

/**
 * Anchor → participant, `prepare`, or `prepare-groups`: do your part, and promise to be able to commit it. A participant that is prepared may be asked for
 * more in a later wave: then it does that on top, and promises all of it anew.
 */
export interface PrepareRequest extends Attempt {
  readonly anchor: PartitionId;
  /** The anchor's: only this leader, or what it has logged, can commit the attempt. */
  readonly term: Term;
  /** The anchor's clock: what is prepared is later. */
  readonly time: Timestamp;
  readonly schema: SchemaVersion;
  readonly system: number;
  /** Of a later wave: without statements. */
  readonly part: TransactionPart;
  /** Of a later wave: what others have changed that belongs here, as in {@link Escapes}. */
  readonly changes?: string;
  /** Rows that go may be otherwise by now, as a router has read them: then it is a conflict, and no defect. */
  readonly visited?: boolean;
  /**
   * From the system partition, whose own part writes reference tables: what that changes, base64 in the encoding of the log. All
   * copies are frozen under the attempt's name; the part finds them as they will be, and they follow by the feed.
   */
  readonly references?: string;
}

export type Vote =
  | {
      readonly vote: 'yes';
      /** Log time; the transaction commits after it. */
      readonly preparedAt: Timestamp;
      /** Nothing is to be changed here: the decision only ends the locks. */
      readonly read: boolean;
      readonly reply: string;
      /** What belongs elsewhere. */
      readonly escapes?: Escapes;
      /**
       * A foreign key over partitions does not hold here as far as this partition is prepared: what follows in later waves may
       * change that, and then this vote is followed by another. If it stands, the transaction cannot commit.
       */
      readonly violated?: boolean;
    }
  | { readonly vote: 'stale'; readonly newer: StalePartition };

/** Anchor → participant: prepares of several attempts, each as it would be by itself. */
export interface PrepareMany {
  readonly requests: readonly PrepareRequest[];
}

export interface PreparedMany {
  /** In their order. Null: it would have to wait for others, and nothing of it was done: it is to be sent by itself. */
  readonly answers: readonly (Vote | { readonly error: ShownError } | null)[];
}

/** Anchor → participant: what was decided. A repeat, or one for an attempt that is not known, does nothing. */
export interface TransactionEnd {
  readonly transaction: string;
  /** Null: nothing of it is applied. */
  readonly commitTimestamp: Timestamp | null;
}

/** Anchor → participant: what was decided of several. */
export interface TransactionEnds {
  readonly ends: readonly TransactionEnd[];
}

/** Participant → anchor: what became of an attempt that was prepared a while ago? */
export interface TransactionInquiry {
  readonly transaction: string;
  readonly term: Term;
}

export type TransactionFate =
  | { readonly state: 'committed'; readonly commitTimestamp: Timestamp }
  /** For good. */
  | { readonly state: 'aborted' }
  | { readonly state: 'pending' };

/** A transaction that is prepared in a partition and not decided, or decided there and not confirmed by all. */
export interface InDoubt {
  readonly transaction: string;
  readonly anchor: PartitionId;
  /** When it was prepared, or decided, by log time: ISO 8601. */
  readonly since: string;
  readonly decided: boolean;
}
