import type { TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { InteractivePart } from '../../protocol/interactive.ts';
import { failureOf } from '../execution/failure.ts';
import type { StatementResult } from '../execution/run.ts';
import { applyChanges, MisfitError } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import { readCapturedPages } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import type { ParsedStatement } from '../sql/ast.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import { accessOf } from '../transaction/access.ts';
import { fingerprintOfError, fingerprintOfResult } from '../transaction/answer-fingerprint.ts';
import {
  changesBytes,
  SCRIPT_BYTES_MAX,
  type Script,
  type ScriptEntry,
  statementBytes,
} from '../transaction/script.ts';
import { MARKS } from './bookkeeping.ts';
import { ENDS_TRANSACTION } from './group.ts';
import { LaterChanges } from './later-changes.ts';
import { rehearse } from './rehearse.ts';
import type { IdentifierSource, Replica } from './replica.ts';

/**
 * Executing the statements of interactive transactions: first each on top of those before it, and undone; at the commit those
 * that could have another answer by now.
 *
 * Why this is right: the client is a function of what it saw. If every answer recurs at one instant, in which the
 * transaction's effects take place as well, its run equals one that was executed wholly at that instant.
 */

// --- Evaluating -----------------------------------------------------------------------------------------------------

export interface Evaluation {
  readonly entry: ScriptEntry;
  /** Changes of the marks of issued ids. */
  readonly marks: readonly Change[];
  /** An error is an answer too: the statement has done nothing, and the transaction goes on. */
  readonly answer: StatementResult | AtollError;
}

/** Runs a statement on top of the script's, and undoes everything. @throws AtollError that is no answer */
export function evaluate(
  replica: Replica,
  script: Script,
  number: number,
  part: InteractivePart,
  now: number,
): Evaluation {
  const { statement, read, answerBytesMax } = part;
  const { parsed, plan, args } = replica.analyse(statement);
  const room = SCRIPT_BYTES_MAX - script.bytes - statementBytes(statement);
  if (room < 0) throw tooLarge();
  const taken: number[][] = [];
  const run = () => attempt(replica, parsed, part, recording(replica, taken), room);
  const tried =
    read && script.read
      ? run()
      : rehearse(replica.port, () => {
          applyEarlier(replica, script, now);
          return run();
        });
  const entry: ScriptEntry = {
    number,
    statement,
    read,
    answerBytesMax,
    since: readHead(replica.port).lastCommitId,
    fingerprint: fingerprintOf(tried.answer),
    identifiers: taken,
    changes: tried.changes,
    access: accessOf(parsed.statement, plan, args, replica.schema),
    locks: replica.footprint([statement], read),
  };
  return { entry, marks: tried.marks, answer: tried.answer };
}

/** As an entry of the log, which is undone with the rest: what is captured afterwards is the statement's own. */
function applyEarlier(replica: Replica, script: Script, now: number): void {
  const { port } = replica;
  const net = script.net(readLayouts(port));
  if (net.length === 0) return;
  fitting(() => {
    try {
      port.transaction(() => applyChanges(port, net));
    } catch (error) {
      if (!(error instanceof MisfitError)) throw error;
      applyChanges(port, script.liveChanges());
    }
  });
  replica.append('write', null, now);
}

type Tried = Pick<Evaluation, 'marks' | 'answer'> & { readonly changes: readonly Change[] };

/** Everything of a statement that fails is undone, its ids too, which nobody has seen. */
function attempt(
  replica: Replica,
  parsed: ParsedStatement,
  part: InteractivePart,
  identifiers: IdentifierSource,
  room: number,
): Tried {
  try {
    if (part.read) return { answer: runOnce(replica, parsed, part, identifiers), changes: [], marks: [] };
    return replica.attempt(() => {
      const answer = runOnce(replica, parsed, part, identifiers);
      return { answer, ...captured(replica.port, room) };
    });
  } catch (thrown) {
    return { answer: answerOf(thrown), changes: [], marks: [] };
  }
}

function captured(port: SqlitePort, room: number): Pick<Tried, 'changes' | 'marks'> {
  const changes: Change[] = [];
  const marks: Change[] = [];
  let bytes = 0;
  for (const page of readCapturedPages(port)) {
    const own = page.filter(({ tableId }) => tableId !== MARKS.id);
    marks.push(...page.filter(({ tableId }) => tableId === MARKS.id));
    changes.push(...own);
    bytes += changesBytes(own);
    if (bytes > room) throw tooLarge();
  }
  return { changes, marks };
}

function tooLarge(): AtollError {
  return new AtollError(
    'too-large',
    `an interactive transaction may keep ${SCRIPT_BYTES_MAX} bytes of changed rows and statements in a partition: ` +
      'change fewer rows in one transaction',
  );
}

function recording(replica: Replica, taken: number[][]): IdentifierSource {
  const { takeIdentifiers, passIdentifiers } = replica.identifiers;
  return {
    takeIdentifiers: (table, count, given) => {
      const ids = takeIdentifiers(table, count, given);
      taken.push(ids);
      return ids;
    },
    passIdentifiers,
  };
}

// --- Committing -----------------------------------------------------------------------------------------------------

/**
 * Makes all that the script has done part of the commit being made, provided that every answer still holds. A statement
 * whose rows nobody has changed since needs no execution: its captured changes are applied. The others are executed again, with
 * the same ids, and must answer the same.
 *
 * Two kinds are not executed again, and conflict: what was undone by ROLLBACK TO, whose answer was seen but whose effects
 * must not be; and what reads the clock or chance, which is fixed when it is first evaluated, and would differ.
 *
 * @throws AtollError `conflict`
 */
export function replay(replica: Replica, script: Script): void {
  /** Tables that executions changed: perhaps otherwise than the first ones, whose effects the later statements saw. */
  const dirty = new Set<TableId>();
  const later = new LaterChanges(replica, script.entries);
  for (const entry of script.entries) {
    const { touched, written, volatile } = entry.access;
    if (!intersect(touched, dirty) && !later.concern(entry)) {
      const { changes } = entry;
      if (script.isLive(entry) && changes.length > 0) fitting(() => applyChanges(replica.port, changes));
      continue;
    }
    if (volatile || !script.isLive(entry)) throw overtaken();
    executeAgain(replica, entry);
    for (const table of written) dirty.add(table);
  }
}

function intersect(left: ReadonlySet<TableId>, right: ReadonlySet<TableId>): boolean {
  for (const each of right) if (left.has(each)) return true;
  return false;
}

function executeAgain(replica: Replica, entry: ScriptEntry): void {
  const { parsed } = replica.analyse(entry.statement);
  let answer: StatementResult | AtollError;
  try {
    answer = replica.port.transaction(() => runOnce(replica, parsed, entry, repeating(entry.identifiers)));
  } catch (thrown) {
    answer = answerOf(thrown);
  }
  if (fingerprintOf(answer) !== entry.fingerprint) throw overtaken();
}

/** The ids of the first execution, which were issued then. One that takes others is not the same any more. */
function repeating(identifiers: ScriptEntry['identifiers']): IdentifierSource {
  let next = 0;
  return {
    takeIdentifiers: (_table, count) => {
      const ids = identifiers[next++];
      if (ids?.length !== count) throw overtaken();
      return [...ids];
    },
    passIdentifiers: () => undefined,
  };
}

/** Others have changed what the transaction has seen. */
export function overtaken(): AtollError {
  return new AtollError(
    'conflict',
    'another transaction has changed what this one has read or written; run the transaction again',
    'none',
    { reason: 'changed' },
  );
}

/** A row that is not as it was means that somebody has changed it. */
function fitting(apply: () => void): void {
  try {
    apply();
  } catch (error) {
    throw error instanceof MisfitError ? overtaken() : error;
  }
}

// --- Both -----------------------------------------------------------------------------------------------------------

type Run = Pick<ScriptEntry, 'statement' | 'read'> & { readonly answerBytesMax?: number | undefined };

function runOnce(
  replica: Replica,
  { statement: ast }: ParsedStatement,
  { statement, read, answerBytesMax }: Run,
  identifiers: IdentifierSource,
): StatementResult {
  if (ast.kind === 'insert' && ast.upserts.length > 0) forgetLastRowid(replica.port);
  const request = { statements: [statement], ...(answerBytesMax !== undefined && { answerBytesMax }) };
  const [result] = read ? replica.runReads(request) : replica.runWrites(request, 'own', identifiers);
  return result as StatementResult;
}

/** No id that a client can see: below all that JSON carries exactly. */
const NOBODYS_ROWID = -Number.MAX_SAFE_INTEGER;

/**
 * An upsert tells whether it inserted by the connection's last rowid, which stays what it was when the insert before it is
 * undone: the same insert once more would go unnoticed.
 */
function forgetLastRowid(port: SqlitePort): void {
  rehearse(port, () =>
    port.query('INSERT INTO _atoll_log(seq, commit_id, image) VALUES (?, 0, 0)', NOBODYS_ROWID),
  );
}

function fingerprintOf(answer: StatementResult | AtollError): string {
  return answer instanceof AtollError ? fingerprintOfError(answer) : fingerprintOfResult(answer);
}

/** The error as the client's answer. Rethrown: what ends more than the statement, or says nothing of its rows. */
function answerOf(thrown: unknown): AtollError {
  if (thrown instanceof SqliteError && ENDS_TRANSACTION.has(thrown.kind)) throw thrown;
  const error = failureOf(thrown);
  if (error.kind.retryable || error.kind.status >= 500) throw error;
  return error;
}
