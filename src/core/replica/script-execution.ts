import { AtollError } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import { failureOf } from '../execution/failure.ts';
import type { StatementResult } from '../execution/run.ts';
import type { Change } from '../log/commit.ts';
import { encodeChanges } from '../log/encoding.ts';
import { fingerprint } from '../log/fingerprint.ts';
import { readLayouts } from '../log/layout.ts';
import type { ParsedStatement } from '../sql/ast.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import { fingerprintOfError, fingerprintOfResult } from '../transaction/answer-fingerprint.ts';
import type { ScriptEntry } from '../transaction/script.ts';
import { type Done, runErrand } from './errand.ts';
import { type Escape, type Reach, reachOfStatements, splitChanges } from './escapes.ts';
import { ENDS_TRANSACTION } from './group.ts';
import type { IdentifierSource } from './identifiers.ts';
import { applyIncoming } from './incoming.ts';
import type { Incoming } from './key-changes.ts';
import { checkOwnership } from './ownership.ts';
import { consequencesOf } from './references.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import { splitStaged } from './visitors.ts';

/**
 * Executing the statements of interactive transactions: first each on top of those before it, and undone (script.ts); at the
 * commit those that could have another answer by now (script-replay.ts).
 *
 * Why this is right: the client is a function of what it saw. If every answer recurs at one instant, in which the
 * transaction's effects take place as well, its run equals one that was executed wholly at that instant.
 */

export interface Run extends Pick<ScriptEntry, 'read'> {
  readonly statement: WireStatement;
  readonly answerBytesMax?: number | undefined;
  /** Null: all that it writes belongs here. */
  readonly reach: Reach | null;
}

export function runOnce(
  replica: Replica,
  { statement: ast }: ParsedStatement,
  { statement, read, answerBytesMax, reach }: Run,
  identifiers: IdentifierSource,
  after = 0,
): StatementResult {
  if (ast.kind === 'insert' && ast.upserts.length > 0) forgetLastRowid(replica.port);
  const request = { statements: [statement], ...(answerBytesMax !== undefined && { answerBytesMax }) };
  const rows = reach === null ? 'own' : 'any';
  const [result] = read ? replica.runReads(request) : replica.runWrites(request, rows, identifiers, after);
  return result as StatementResult;
}

/** No id that a client can see: below all that JSON carries exactly. */
const NOBODYS_ROWID = -Number.MAX_SAFE_INTEGER;

/**
 * An upsert tells whether it inserted by the connection's last rowid, which stays what it was when the insert before it is
 * undone: the same insert once more would go unnoticed.
 */
export function forgetLastRowid(port: SqlitePort): void {
  rehearse(port, () =>
    port.query('INSERT INTO _atoll_log(seq, commit_id, image) VALUES (?, 0, 0)', NOBODYS_ROWID),
  );
}

export function fingerprintOf(answer: StatementResult | AtollError): string {
  return answer instanceof AtollError ? fingerprintOfError(answer) : fingerprintOfResult(answer);
}

/** The error as the client's answer. Rethrown: what ends more than the statement, or says nothing of its rows. */
export function answerOf(thrown: unknown): AtollError {
  if (thrown instanceof SqliteError && ENDS_TRANSACTION.has(thrown.kind)) throw thrown;
  const error = failureOf(thrown);
  if (error.kind.retryable || error.kind.status >= 500) throw error;
  return error;
}

// --- What belongs elsewhere ------------------------------------------------------------------------------------------

/** Null: nothing that the statement writes may belong elsewhere. `looked`: the rows in its way are known. */
export function spreadOf(replica: Replica, statement: WireStatement, looked = false): Reach | null {
  const reach = reachOfStatements(replica, [statement], looked);
  if (reach.staged.size > 0 && !looked)
    throw new AtollError('bad-request', 'rows in the way of it are to be looked for');
  return reach.indexes || reach.movable.size > 0 || reach.staged.size > 0 ? reach : null;
}

/** What a statement has changed. */
export interface Parted {
  /** Here. */
  readonly changes: readonly Change[];
  /** What it has made for other partitions. */
  readonly escaped: readonly Escape[];
  /** A foreign key over partitions does not hold so far. */
  readonly violated: boolean;
}

/** What belongs here of what a statement has changed, and what elsewhere. */
export function takenApart(
  replica: Replica,
  reach: Reach | null,
  rows: readonly Change[],
  visitors: readonly Change[] = [],
): Parted {
  if (reach === null) return { changes: rows, escaped: [], violated: false };
  const { port, schema, identity } = replica;
  const layouts = readLayouts(port);
  const { kept, escaped } =
    reach.staged.size > 0
      ? splitStaged(rows, layouts, schema, identity, { ...reach, visitors })
      : splitChanges(rows, layouts, schema, identity, reach.movable);
  const more = consequencesOf(replica, { fresh: rows, all: rows, keys: [] }, layouts);
  return { changes: kept, escaped: [...escaped, ...more.escaped], violated: more.violated };
}

/**
 * What a statement has made in other partitions for this one, where the statement's own changes here are in place. Only where
 * that is so again can it be done again.
 *
 * @throws SqliteError of a constraint that a row violates; MisfitError if a row that goes is not there
 */
export function takeIncoming(replica: Replica, { rows, keys, actions }: Incoming): Done {
  applyIncoming(replica, rows);
  checkOwnership(replica.port, replica.schema, replica.identity);
  return runErrand(replica, { keys, actions }, (act) => act());
}

export function digestOf(escaped: readonly Escape[]): string | null {
  return escaped.length === 0 ? null : fingerprint(encodeChanges(escaped.map(({ change }) => change)));
}
