import type { Epoch, PartitionId, SchemaVersion } from '../base/brand.ts';
import type { AtollError, ErrorCode, ErrorDetail } from './error.ts';
import type { WireStatement } from './execute.ts';
import type { ClaimedIds, Escapes, RingRange } from './transaction.ts';

/**
 * Interactive transactions (docs/protocol.md): a router asks the transaction's *keeper*, the partition that its id names,
 * which asks the partitions that execute.
 */

/** First and last of statements that follow each other. */
export type NumberRange = readonly [first: number, last: number];

/** A statement's error: the transaction goes on. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail?: ErrorDetail;
}

export function wireError({ code, message, detail }: AtollError): WireError {
  return { code, message, ...(detail !== null && { detail }) };
}

// --- Router → keeper ------------------------------------------------------------------------------------------------

export interface InteractiveBegin {
  /** The random part of the id: see core/transaction/interactive-id.ts. */
  readonly name: string;
  /** Whose it is: nobody else may use it. */
  readonly principal: string;
  /** The whole transaction sees this one. */
  readonly schema: SchemaVersion;
}

export interface InteractiveBegun {
  readonly id: string;
  /** Unix ms: when it ends whatever comes. */
  readonly expiresMs: number;
}

/** One request within a transaction. */
export interface InteractiveMessage {
  readonly id: string;
  readonly principal: string;
  /** What the router plans with; another one than the transaction's ends it. */
  readonly schema: SchemaVersion;
  /** The client's number of the statement; without one a repeat is another statement. */
  readonly seq?: number;
}

export interface InteractiveStatement extends InteractiveMessage {
  /** Tells a repeat from another statement under the same number. */
  readonly hash: string;
  readonly step: InteractiveStep;
  /** Of a read of rows in the way of another statement, which follows: it is none of the client's own. */
  readonly lookingFor?: StatementName;
}

/** As the client numbers it, if it does. */
export interface StatementName {
  readonly seq?: number;
  readonly hash: string;
}

export type InteractiveStep =
  | {
      readonly kind: 'run';
      readonly system: number;
      readonly parts: readonly InteractivePart[];
      /** Who owns which tokens, if the parts may write what belongs elsewhere. */
      readonly ring?: readonly RingRange[];
      readonly copies?: CopyUse;
    }
  | { readonly kind: 'savepoint' | 'rollback-to' | 'release'; readonly name: string }
  /** The router has refused it, which the client sees as it sees any answer. */
  | { readonly kind: 'refused'; readonly error: WireError };

/** Lower-case names of reference tables. */
export interface CopyUse {
  /** Looked at in other partitions than the system partition. */
  readonly used: readonly string[];
  readonly written: readonly string[];
}

/** What a transaction has done to reference tables so far, as the system partition has evaluated it. */
export interface WrittenCopies {
  /** Row changes, base64 of `core/log/encoding.ts`. */
  readonly changes: string;
  /** Of this state of the feed. */
  readonly system: number;
}

/** What one partition does for a statement. */
export interface InteractivePart {
  readonly partition: PartitionId;
  readonly epoch: Epoch;
  /** The statement cannot write. */
  readonly read: boolean;
  readonly statement: WireStatement;
  /** As of a part of a batch: rows in the way of the statement, as the transaction has read them. */
  readonly visitors?: Escapes;
  /** As of a part of a batch: ids that the statement gives; of a partition that has none of its rows, whose statement only looks for them. */
  readonly ids?: readonly ClaimedIds[];
  readonly answerBytesMax?: number;
}

export type InteractiveAnswer =
  /** In the order of the parts: each partition's answer to a batch of one, JSON text. None of savepoints. */
  | { readonly kind: 'answers'; readonly replies: readonly string[] }
  | { readonly kind: 'error'; readonly error: WireError };

/** `repeated`: the statement that is looked for has this answer already. */
export type InteractiveReply =
  | InteractiveAnswer
  | { readonly kind: 'repeated'; readonly answer: InteractiveAnswer };

export interface InteractiveCommitted {
  readonly partitions: readonly PartitionId[];
  /** Of each partition, JSON text whose `session` is what the commit has seen there. */
  readonly replies: readonly string[];
}

/** Whether anything of a transaction was committed; what has not been by now never will be. */
export interface ScriptFateRequest {
  readonly name: string;
  /** Unix ms: no entry of it is older. */
  readonly begunMs: number;
}

export interface ScriptFate {
  /** Null: the log does not go back far enough to tell. */
  readonly committed: boolean | null;
  /** As {@link InteractiveCommitted.replies}. */
  readonly reply: string;
}

// --- Keeper → partition ---------------------------------------------------------------------------------------------

/** What a partition has of a transaction, as its keeper knows it. */
export interface ScriptReference {
  readonly name: string;
  /** Names what the partition has in its memory, so that nothing that comes late goes on with something else; null: nothing. */
  readonly script: string | null;
  /** How many statements it has evaluated: a partition that has another number has lost them. */
  readonly count: number;
  /** Statements that were undone since the keeper last said so. */
  readonly undone: readonly NumberRange[];
}

/** Evaluate one more statement, on top of those before it, and keep none of its effects in the rows. */
export interface ScriptRun extends ScriptReference {
  readonly number: number;
  readonly expiresMs: number;
  readonly schema: SchemaVersion;
  readonly system: number;
  /** With `changes`: its statement is empty. */
  readonly part: InteractivePart;
  /** Its keeper sees to what the statement writes that belongs elsewhere; without it there may be nothing such. */
  readonly spreads?: boolean;
  /** What the statement has made in other partitions for this one, as in {@link Escapes}: evaluated in place of a statement. */
  readonly changes?: string;
  /** {@link WrittenCopies.changes}: made to the copies while it is evaluated. */
  readonly references?: string;
}

export type ScriptAnswer = { readonly script: string } & (
  | {
      readonly kind: 'answer';
      readonly reply: string;
      /** What belongs elsewhere. */
      readonly escapes?: Escapes;
      /** A foreign key over partitions does not hold here so far; a later answer of this partition to the same statement may take that back. */
      readonly violated?: boolean;
      /** Of the system partition, if the transaction writes there. */
      readonly references?: WrittenCopies;
    }
  | { readonly kind: 'failed'; readonly error: WireError }
);

/** All of it, and in one partition only: validate it and commit. */
export interface ScriptCommit extends ScriptReference {
  /** Name of the entry in the log: see core/transaction/interactive-id.ts. */
  readonly transaction: string;
  readonly schema: SchemaVersion;
  readonly epoch: Epoch;
}

/** The transaction has ended: forget it. */
export interface ScriptEnd {
  readonly name: string;
}
