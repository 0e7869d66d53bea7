import type { Random } from '../../harness/random.ts';
import type { Transaction, Violation } from '../checkers/history.ts';
import type { Operation, Statement, Task } from '../client.ts';

export const SCHEMA_PAUSES_MS: readonly number[] = [50, 300, 1_500];
/** How long ago the moment of a read of the past is, ms; by a client whose clock is ahead it is still to come. */
export const AGO_MS: readonly number[] = [-400, -200, -30, 1, 50, 500, 1_500];

/** What clients do, and what must hold of it. */
export interface Workload<Step> {
  readonly name: string;
  /** DDL and first rows; each a request, sent before any trouble. */
  readonly setUp: readonly Statement[][];
  /** Other schema changes in the middle of it, each a statement or a batch, and tried until it succeeds, if there is time. */
  readonly schemaChanges: readonly (string | readonly string[])[];
  /** Between two attempts; a run has one of them. */
  readonly schemaPausesMs: readonly number[];
  /** Types of messages, beside those of transactions, that decide how it goes on. */
  readonly decisive?: readonly string[];
  /** How often nothing goes wrong in its runs, from 0 to 1, if it is to be otherwise than in others. */
  readonly calm?: number;
  /** Codes of errors that clients may be told though nothing has gone wrong, beside those that any may be. */
  readonly mayBeTold?: readonly string[];
  /** Its operations may also run in interactive transactions. */
  readonly interactive: boolean;
  /** One more operation of a client. */
  next(random: Random, process: number): Task<Step>;
  /** Reads everything; the last operation of a run, when all is well. */
  final(): Operation<Step>;
  check(history: readonly Transaction<Step>[]): readonly Violation<string>[];
}

/** One whose operations are all single requests. */
export interface RequestWorkload<Step> extends Workload<Step> {
  next(random: Random, process: number): Operation<Step>;
}
