import { assert } from '../../base/assert.ts';
import type { Timestamp } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ImportChunkReply } from '../../protocol/import.ts';
import type { IndexFillReply } from '../../protocol/schema.ts';
import type { PrepareRequest, TransactionEnd, Vote } from '../../protocol/transaction.ts';
import type { StatementResult } from '../execution/run.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { type Layouts, readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import type { Lock } from '../transaction/lock.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { Claims } from './claims.ts';
import { refuseChanged, refuseLocked, waitOrDie, wounded } from './contention.ts';
import { type Escape, reachOfStatements, type Split, splitChanges } from './escapes.ts';
import { fillPage } from './fill-part.ts';
import { freeing } from './freed.ts';
import type { Work } from './group.ts';
import { apartFromMarks, logMarks } from './identifiers.ts';
import { chunkIds, runChunk } from './import-part.ts';
import { open } from './open.ts';
import { partLocks, partObstacle, runPart } from './part.ts';
import { deletePrepared, insertPrepared, readPreparedChanges } from './prepared.ts';
import { receiveReferences } from './reference-part.ts';
import { consequencesOf } from './references.ts';
import {
  actOnReferrers,
  isReferred,
  movedReferrers,
  NOTHING_TAKEN,
  referrerLocks,
  type Taken,
} from './referrers.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import { encodeBatch } from './reply.ts';
import { forgetLastRowid } from './script-execution.ts';
import { inGroups } from './statement-groups.ts';
import { readVisitors, receive, splitStaged, type Visitors } from './visitors.ts';

/**
 * A participant of two-phase commit (Gray, Reuter, "Transaction Processing", 1993, section 10.3). It prepares by doing
 * everything, taking note of what has changed and undoing it; from then on it holds locks by a logged entry, and does what
 * the anchor decides.
 */

const YES = { kind: 'done' } as const;

/** The piece of work that prepares a part; its outcome's body is a {@link Vote}. */
export function prepareWork(replica: Replica, request: PrepareRequest): Work {
  return { read: false, run: (now) => prepare(replica, request, now) };
}

function prepare(replica: Replica, request: PrepareRequest, now: number): ReturnType<Work['run']> {
  const { part, transaction, schema, system } = request;
  // A read too is refused while a schema change is being decided: its locks would outlast the decision.
  const obstacle = partObstacle(replica, part, { schema, system, read: false });
  // The schema change may itself be waiting for what this transaction has prepared elsewhere.
  if (obstacle?.kind === 'held') throw wounded();
  if (obstacle !== null) return obstacle;
  if (replica.locks.prepared(transaction) !== null)
    throw new AtollError('conflict', 'the attempt is prepared here already');
  const visitors = part.visitors === undefined ? null : readVisitors(replica, part.visitors);
  const needed = [...partLocks(replica, part, now), ...(visitors?.locks ?? [])];
  refuseLocked(replica, request, needed);
  takeNotice(replica, request.time, now);
  const {
    changes,
    marks,
    results: each,
    done,
    escaped,
    violated,
    locks: acted,
  } = rehearse(replica.port, () => {
    const taken = takenFrom(replica, request, now);
    const { violated, ...executed } = execute(replica, request, { visitors, taken }, now);
    const isViolated = judgeCopies(replica, request, taken) || violated;
    return { ...executed, violated: isViolated, locks: referrerLocks(taken, replica.schema) };
  });
  const results = inGroups(part, each);
  needed.push(...acted);
  // The marks stay: an id that was shown is never issued again, whatever becomes of the transaction.
  logMarks(replica.port, marks);
  const locks = changes.length === 0 ? needed : [...needed, ...refuseChanged(replica, request, changes)];
  const preparedAt = promise(replica, request, locks, changes, now);
  // Behind the entry: a session that has seen this waits for what becomes of it, at any replica.
  const reply = done === null ? encodeBatch(replica, results) : JSON.stringify(done);
  const vote: Vote = {
    vote: 'yes',
    preparedAt,
    read: changes.length === 0,
    reply,
    ...open(escaped, violated),
  };
  return { ...YES, body: JSON.stringify(vote) };
}

/** Logs that the transaction can be committed here; from then on its locks are held. */
export function promise(
  replica: Replica,
  { transaction, anchor, term, startedMs }: PrepareRequest,
  locks: readonly Lock[],
  changes: readonly Change[],
  now: number,
): Timestamp {
  const preparedAt = replica.clock.now(now);
  insertPrepared(replica.port, { transaction, anchor, term, startedMs, preparedAt, locks }, changes);
  replica.append('prepare', null, now, { transactionId: transaction, commitTimestamp: null });
  replica.locks.add({ transaction, anchor, startedMs }, locks);
  return preparedAt;
}

interface Executed {
  readonly changes: readonly Change[];
  /** Changes of the marks of issued ids. */
  readonly marks: readonly Change[];
  readonly results: readonly StatementResult[];
  /** What is answered for rows of an import, or for an index, which have no results. */
  readonly done: ImportChunkReply | IndexFillReply | null;
  readonly escaped: readonly Escape[];
  /** A foreign key over partitions does not hold so far. */
  readonly violated: boolean;
}

/** What reference tables lose. The copies are then as they will be. */
function takenFrom(replica: Replica, request: PrepareRequest, now: number): Taken {
  const { references, transaction } = request;
  if (references === undefined) return NOTHING_TAKEN;
  const taken = receiveReferences(replica, { references, transaction }, now);
  // What others have prepared to do with rows that refer to it comes first.
  refuseLocked(replica, request, referrerLocks(taken, replica.schema));
  return taken;
}

/** Whether rows refer to what reference tables lose; not before those have ended who may yet change that. */
export function judgeCopies(replica: Replica, request: PrepareRequest, taken: Taken): boolean {
  const { port, locks } = replica;
  if (taken.losses.length === 0 || !isReferred(replica, taken, readCaptured(port))) return false;
  const children = new Set(taken.losses.map(({ key }) => key.child.id));
  const changesThem = ({ transaction }: Holder) =>
    transaction !== request.transaction &&
    readPreparedChanges(port, transaction).some(({ tableId }) => children.has(tableId));
  waitOrDie(request, locks.holders.filter(changesThem));
  return true;
}

interface There {
  readonly visitors: Visitors | null;
  readonly taken: Taken;
}

function execute(
  replica: Replica,
  request: PrepareRequest,
  { visitors, taken }: There,
  now: number,
): Executed {
  const { part } = request;
  assert(
    part.script === undefined || taken.losses.length === 0,
    'scripts do not take away what rows refer to',
  );
  const claims = part.ids === undefined ? null : new Claims(replica, part.ids, { visitors });
  if (part.chunk !== undefined) {
    // The anchor has looked for ids before it knew the schema of now.
    if (claims === null && chunkIds(replica, part.chunk).length > 0) throw wounded();
    claims?.claim(now);
    const blocked = (holders: readonly Holder[]) => waitOrDie(request, holders);
    const done = runChunk(replica, request.transaction, part.chunk, blocked, claims?.identifiers);
    return { ...takeApart(replica, request, movingOf(replica, NOTHING), claims), results: [], done };
  }
  if (part.fill !== undefined) {
    const { escaped, filled } = fillPage(replica, part.fill);
    return { changes: [], marks: [], results: [], done: filled, escaped, violated: false };
  }
  if (part.read)
    return {
      changes: [],
      marks: [],
      results: runPart(replica, part, now, request.transaction),
      done: null,
      ...NOTHING_OPEN,
    };
  const { movable, indexes, staged } = reachOfStatements(replica, part.statements, visitors !== null);
  if (staged.size > 0 && visitors === null) throw notStaged();
  const plain = movable.size === 0 && !indexes && claims === null && taken.losses.length === 0;
  if (visitors !== null) {
    claims?.refuseThere(staged);
    receive(replica, visitors, now);
  }
  claims?.claim(now);
  asStatements(replica, request, () => actOnReferrers(replica.port, taken));
  const results = plain
    ? runPart(replica, part, now, request.transaction)
    : writeAnywhere(replica, request, claims);
  if (plain) return { ...takeApart(replica, request, null, null), results, done: null };
  const { schema, identity } = replica;
  const moving = movable.union(movedReferrers(taken, schema));
  const split: Splitting =
    staged.size === 0
      ? movingOf(replica, moving)
      : (rows, layouts) =>
          splitStaged(rows, layouts, schema, identity, {
            staged,
            movable: moving,
            visitors: visitors?.foreign ?? [],
          });
  return { ...takeApart(replica, request, split, claims), results, done: null };
}

const NOTHING: ReadonlySet<string> = new Set();

/** Tells what belongs here from what belongs elsewhere. */
type Splitting = (rows: readonly Change[], layouts: Layouts) => Split;

function movingOf({ schema, identity }: Replica, movable: ReadonlySet<string>): Splitting {
  return (rows, layouts) => splitChanges(rows, layouts, schema, identity, movable);
}

/** What has changed; null: nothing of it can be other partitions'. */
function takeApart(
  replica: Replica,
  request: PrepareRequest,
  split: Splitting | null,
  claims: Claims | null,
): Pick<Executed, 'changes' | 'marks' | 'escaped' | 'violated'> {
  const captured = readCaptured(replica.port);
  const { rows, marks } = apartFromMarks(captured);
  if (split === null) return { changes: rows, marks, ...NOTHING_OPEN };
  const layouts = readLayouts(replica.port);
  claims?.check(rows, layouts, (error) => waitOrDie(request, freeing(replica, request.transaction, error)));
  const { kept, escaped } = split(rows, layouts);
  const more = consequencesOf(replica, { fresh: rows, all: rows, keys: [] }, layouts);
  return { changes: kept, marks, escaped: [...escaped, ...more.escaped], violated: more.violated };
}

const NOTHING_OPEN = { escaped: [], violated: false } as const;

/** Rows in its way that are not here would be overlooked. */
function notStaged(): AtollError {
  return new AtollError('bad-request', 'an INSERT with a conflict clause comes with the rows in its way');
}

/** Its keys are not all locked before. */
function writeAnywhere(replica: Replica, request: PrepareRequest, claims: Claims | null): StatementResult[] {
  // What was undone before may have inserted the same id.
  forgetLastRowid(replica.port);
  return asStatements(replica, request, () => replica.runWrites(request.part, 'any', claims?.identifiers));
}

/** Has it wait for whoever may take back what it is refused for. */
function asStatements<T>(replica: Replica, request: PrepareRequest, body: () => T): T {
  try {
    return body();
  } catch (error) {
    waitOrDie(request, freeing(replica, request.transaction, error));
    throw error;
  }
}

/** The piece of work that does what was decided; a repeat does nothing. */
export function endWork(replica: Replica, end: TransactionEnd): Work {
  return { read: false, run: (now) => finish(replica, end, now) };
}

function finish(
  replica: Replica,
  { transaction, commitTimestamp }: TransactionEnd,
  now: number,
): ReturnType<Work['run']> {
  const { port } = replica;
  // Locks follow the file: who has none is not prepared here, or no longer.
  if (replica.locks.prepared(transaction) === null) return { ...YES, body: '{}' };
  const changes = commitTimestamp === null ? [] : readPreparedChanges(port, transaction);
  // Log time is above the commit timestamps of what is in the log.
  if (commitTimestamp !== null) replica.clock.follow(commitTimestamp, now);
  applyChanges(port, changes);
  deletePrepared(port, transaction);
  const kind = commitTimestamp === null ? 'abort' : 'apply';
  replica.append(kind, null, now, { transactionId: transaction, commitTimestamp });
  replica.locks.remove(transaction);
  return { ...YES, body: '{}' };
}

/** This clock is above the other's from now on, or the two are too far apart for a transaction. */
export function takeNotice(replica: Replica, timestamp: Timestamp, now: number): void {
  const receipt = replica.clock.receive(timestamp, now);
  if (receipt.kind === 'received') return;
  throw new AtollError(
    'unavailable',
    `the clocks of two partitions are further apart than ${replica.clock.skewLimitMs} ms: set them right`,
    'none',
  );
}
