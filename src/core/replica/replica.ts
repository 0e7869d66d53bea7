import { assert } from '../../base/assert.ts';
import type { Epoch, Term, Timestamp } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ExecuteRequest, WireStatement } from '../../protocol/execute.ts';
import type { ImportChunkHead } from '../../protocol/import.ts';
import type { RestoreChunkHead } from '../../protocol/restore.ts';
import { SessionSeal } from '../../protocol/session-seal.ts';
import { HybridClock } from '../clock/hybrid-clock.ts';
import { readArguments } from '../execution/arguments.ts';
import { failureOf } from '../execution/failure.ts';
import { type ExecutionContext, run, type StatementResult } from '../execution/run.ts';
import { finishCommit, type InTransaction } from '../log/append.ts';
import type { Change, CommitInput, CommitKind } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import type { Plan } from '../plan/plan.ts';
import { type Catalogue, Schema } from '../schema/catalogue.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { changedLocks, footprintOf, wholePartition } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import type { LockTable } from '../transaction/lock-table.ts';
import { Scripts } from '../transaction/scripts.ts';
import { serveAsOf } from './as-of.ts';
import { readProgress, writeProgress } from './bookkeeping.ts';
import { checkConfined, checkImported } from './confined.ts';
import { changesReference, type FeedPayload } from './feed.ts';
import { createFormat, readFormat, upgradeFormat } from './format.ts';
import { freedFor } from './freed.ts';
import { type GroupMember, performGroup, type Work } from './group.ts';
import { type IdentifierSource, Identifiers, type Issuing } from './identifiers.ts';
import { type Identity, readIdentity, writeIdentity } from './identity.ts';
import { insertChunk } from './import.ts';
import { formerSession, type LastCommit, readLastCommit } from './last-commit.ts';
import { LockedError } from './locked.ts';
import { type Addressed, obstacleOf } from './obstacle.ts';
import { OpenReads } from './open-reads.ts';
import type { ExecuteOutcome } from './outcome.ts';
import { readLocks } from './prepared.ts';
import { PreparedStatements, type Ready } from './prepared-statements.ts';
import { encodeAnswer, finishAnswer, withSession } from './reply.ts';
import { earlierOutcome, recordReply, refuseForgotten } from './requests.ts';
import { readCatalogue } from './schema-versions.ts';

/** Largest answer of one request, bytes of values (chosen: well below an object's 128 MB of memory). */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

type ChunkHead = ImportChunkHead | RestoreChunkHead;
type Statements = Pick<ExecuteRequest, 'statements' | 'answerBytesMax' | 'pageBytes'>;

/**
 * One replica of a partition: its rows, its log and what it knows, over one SQLite file. Pure: requests and the
 * time come in, outcomes go out; everything that must survive is in the file when a call returns.
 */
export class Replica {
  readonly port: SqlitePort;
  readonly clock: HybridClock;
  /** Of the entries that this start of the leader appends: above all earlier ones. */
  readonly term: Term;
  #identity: Identity;
  #schema: Schema;
  #identifiers: Identifiers;
  #prepared: PreparedStatements;
  #systemIndex: number;
  #hold: number | null;
  /** Null when it must be read from the file. */
  #last: LastCommit | null = null;
  /** Whether its log is another replica's, applied here by whoever sets this. */
  follows = false;
  /** Of the tokens in its replies; the host that it is on gives it its own. */
  seal = new SessionSeal(null);
  /** Of interactive transactions: in memory alone. */
  readonly scripts = new Scripts();
  /** Whose pages may go on: likewise. */
  readonly openReads = new OpenReads();
  readonly #context: ExecutionContext & Pick<Issuing, 'giveUpIdentifiers'>;
  readonly #group: GroupMember;
  /** Of the transactions that are prepared here: follows the file. */
  #locks: LockTable;

  private constructor(port: SqlitePort) {
    this.port = port;
    const head = readHead(port);
    this.#identity = readIdentity(port);
    this.clock = new HybridClock({
      node: this.#identity.node,
      floor: head.lastTimestamp === ('' as Timestamp) ? null : head.lastTimestamp,
    });
    const last = port.query('SELECT max(term) FROM _atoll_commits').rows[0]?.[0] ?? 0;
    this.term = (Math.max(Number(last), head.baseTerm) + 1) as Term;
    this.#schema = new Schema(readCatalogue(port));
    this.#identifiers = new Identifiers(port, this.#identity);
    this.#prepared = new PreparedStatements(this.#schema, this.isSystem);
    this.#systemIndex = readProgress(port, 'system_index') ?? 0;
    this.#hold = readProgress(port, 'hold');
    this.#locks = readLocks(port, this.#schema);
    this.#context = {
      port,
      answerBytesMax: ANSWER_BYTES_MAX,
      takeIdentifiers: (table, count, given) => this.#identifiers.take(table, count, given),
      passIdentifiers: (table) => this.#identifiers.pass(table),
      giveUpIdentifiers: (table, ids) => this.#identifiers.giveUp(table, ids),
    };
    this.#group = {
      port,
      begin: () => this.#identifiers.begin(),
      undone: (read) => {
        this.#last = null;
        if (!read) this.#identifiers.rollback();
      },
      allUndone: () => this.reload(),
    };
  }

  /** The replica that the file holds, upgraded to the present format; null for a file without one. */
  static open(port: SqlitePort): Replica | null {
    const found = readFormat(port);
    if (found === null) return null;
    upgradeFormat(port, found);
    return new Replica(port);
  }

  /** Makes an empty file a replica. Creation is explicit: a file that has lost its data stays empty. */
  static create(port: SqlitePort, identity: Identity): Replica {
    assert(readFormat(port) === null, 'the file holds a replica already');
    port.transaction(() => {
      createFormat(port);
      writeIdentity(port, identity);
    });
    return new Replica(port);
  }

  get identity(): Identity {
    return this.#identity;
  }

  get schema(): Schema {
    return this.#schema;
  }

  /** What transactions that are prepared here keep others from. */
  get locks(): LockTable {
    return this.#locks;
  }

  get isSystem(): boolean {
    return this.#identity.partition === 0;
  }

  /** Up to which commit of the system partition its log is applied here. */
  get systemIndex(): number {
    return this.#systemIndex;
  }

  /** Where its log ends. A leader's ends where it has appended; a follower's may have been moved by others. */
  get last(): LastCommit {
    if (this.follows || this.#last === null) this.#last = readLastCommit(this.port);
    return this.#last;
  }

  /** The proposal of a schema change that this partition has checked and waits for, holding its writes. */
  get hold(): number | null {
    return this.#hold;
  }

  /** The file's schema has just changed, in a transaction that is still open: entries carry the new version. */
  schemaApplied(catalogue: Catalogue): void {
    this.#schema = new Schema(catalogue);
    this.#prepared = new PreparedStatements(this.#schema, this.isSystem);
  }

  /** The leader's progress was applied here as rows. */
  progressFollowed(): void {
    this.#systemIndex = readProgress(this.port, 'system_index') ?? 0;
    this.#hold = readProgress(this.port, 'hold');
  }

  /** Takes what is in memory from the file again, after a change or an undo of what it is derived from. */
  reload(): void {
    this.#last = null;
    this.#identity = readIdentity(this.port);
    const catalogue = readCatalogue(this.port);
    if (catalogue.version !== this.#schema.version) this.#schema = new Schema(catalogue);
    this.#identifiers = new Identifiers(this.port, this.#identity);
    this.#prepared = new PreparedStatements(this.#schema, this.isSystem);
    this.#locks = readLocks(this.port, this.#schema).keepFrozen(this.#locks);
    this.progressFollowed();
  }

  /**
   * Runs requests in their order, all in one SQLite transaction (group commit), each atomic by itself: one that
   * fails leaves nothing and does not disturb the others. When this returns, the outcomes hold once the
   * transaction is durable.
   */
  execute(requests: readonly ExecuteRequest[], now: number): ExecuteOutcome[] {
    const works = requests.map((request) => this.work(request));
    return this.perform(works, now);
  }

  /** A client's statements as a piece of work. */
  work(request: ExecuteRequest): Work {
    return { read: request.read, run: (now) => this.#serve(request, now) };
  }

  /** As {@link execute}, for any work. */
  perform(works: readonly Work[], now: number): ExecuteOutcome[] {
    return performGroup(this.#group, works, now).map((outcome) => finishAnswer(this, outcome));
  }

  #serve(request: ExecuteRequest, now: number): ExecuteOutcome {
    const earlier = earlierOutcome(this, request);
    if (earlier !== null) return earlier;
    const obstacle = this.obstacle(request);
    if (obstacle !== null) return obstacle;
    const { read, statements, asOf, pageBytes } = request;
    if (pageBytes !== undefined) this.openReads.note(asOf ?? this.last.time, now);
    if (asOf !== undefined)
      return serveAsOf(this, asOf, now, this.#ready(request), () => this.#read(request));
    // Nearly always nothing is prepared: whoever works in one partition pays nothing for those who do not.
    if (!this.follows && !this.locks.isEmpty) {
      const holders = this.locks.blockers(this.footprint(statements, read));
      if (holders.length > 0) return { kind: 'locked', holders };
    }
    return read ? { kind: 'done', body: this.#read(request) } : this.#write(request, now);
  }

  /** The locks that statements need, as far as their texts tell. */
  footprint(statements: readonly WireStatement[], read: boolean): Lock[] {
    return statements.flatMap((statement) => {
      const { plan, args } = this.analyse(statement);
      return plan === null ? wholePartition(read ? 'read' : 'write') : footprintOf(plan, args, this.#schema);
    });
  }

  /** One statement's text, its plan here (null: it cannot be planned again) and its arguments. */
  analyse({ sql, args }: WireStatement) {
    const ready = this.#prepared.get(sql);
    const { parsed } = ready;
    return { parsed, plan: this.#prepared.planOf(ready), args: readArguments(parsed, args) };
  }

  /** What the open transaction has changed must not be locked by another one. */
  checkCaptured(changes: readonly Change[], own: string | null = null): Lock[] {
    const locks = changedLocks(changes, readLayouts(this.port), this.#schema);
    const holders = this.locks.blockers(locks, own);
    if (holders.length > 0) throw new LockedError(holders);
    return locks;
  }

  /** One chunk of an import, in a transaction of its own; `body` of the outcome is an ImportChunkReply. */
  importChunk(head: ChunkHead, rows: readonly string[], now: number): ExecuteOutcome {
    const obstacle = this.obstacle({ ...head, read: false });
    if (obstacle !== null) return obstacle;
    this.#identifiers.begin();
    try {
      return { kind: 'done', body: this.port.transaction(() => this.#import(head, rows, now)) };
    } catch (error) {
      this.#identifiers.rollback();
      if (error instanceof LockedError) return { kind: 'locked', holders: error.holders };
      return { kind: 'error', error: failureOf(error) };
    }
  }

  #import(head: ImportChunkHead, rows: readonly string[], now: number): string {
    const context = { ...this.#context, schema: this.#schema, blocked: freedFor(this) };
    const reply = insertChunk(context, head, rows);
    checkImported(this.port, this.#schema, this.#identity, head);
    if (!this.locks.isEmpty) this.checkCaptured(readCaptured(this.port));
    this.appendWritten('write', now);
    return JSON.stringify(reply);
  }

  /** What keeps the request from being executed here and now: see obstacle.ts. */
  obstacle(request: Addressed): ExecuteOutcome | null {
    return obstacleOf(this, request);
  }

  #read(request: ExecuteRequest): string {
    const former = formerSession(this.#identity, request.session);
    return withSession(this, encodeAnswer(this, request, this.runReads(request)), former);
  }

  /** Where generated ids come from when they are issued. */
  get identifiers(): Issuing {
    return this.#context;
  }

  /** Runs `body` by itself: if it fails, all that it did is undone, and no id that it took is issued. */
  attempt<T>(body: () => T): T {
    try {
      return this.port.transaction(body);
    } catch (error) {
      this.#identifiers.rollback();
      throw error;
    }
  }

  /** Runs statements that must not write. */
  runReads(request: Statements): StatementResult[] {
    const statements = this.#ready(request);
    if (statements.some(({ ready }) => ready.access === 'write')) {
      throw new AtollError('bad-request', 'a request that says it reads has a statement that writes');
    }
    return this.#run(statements, request.answerBytesMax, this.#context, request.pageBytes);
  }

  /** How a statement would be planned here; null where that cannot be told. */
  planOf(sql: string): Plan | null {
    return this.#prepared.planOf(this.#prepared.get(sql));
  }

  /**
   * Runs statements in the transaction that is open; what they change is captured. It belongs here, or else the caller
   * sees to rows of other partitions (`escapes.ts`). `after`: this many changes of the transaction are older, and checked.
   */
  runWrites(
    request: Statements,
    rows: 'own' | 'any' = 'own',
    identifiers: IdentifierSource = this.#context,
    after = 0,
  ): StatementResult[] {
    const statements = this.#ready(request);
    const results = this.#run(statements, request.answerBytesMax, identifiers);
    const mayEscape = rows === 'own' && statements.some(({ ready }) => ready.mayEscape);
    if (mayEscape) checkConfined(this.port, this.#schema, this.#identity, after);
    return results;
  }

  #write(request: ExecuteRequest, now: number): ExecuteOutcome {
    const former = formerSession(this.#identity, request.session);
    if (request.idempotency !== undefined) refuseForgotten(this, request.idempotency, now);
    const body = encodeAnswer(this, request, this.runWrites(request));
    if (!this.locks.isEmpty) this.checkCaptured(readCaptured(this.port));
    if (request.idempotency !== undefined) recordReply(this.port, request.idempotency, body);
    this.appendWritten('write', now);
    return { kind: 'done', body, former };
  }

  #ready(request: Statements): { ready: Ready; args: unknown }[] {
    return request.statements.map(({ sql, args }) => ({ ready: this.#prepared.get(sql), args }));
  }

  /** What a batch answers is bounded as a whole: all of it is in memory until the reply has left. */
  #run(
    statements: readonly { ready: Ready; args: unknown }[],
    bytesMax = ANSWER_BYTES_MAX,
    identifiers: IdentifierSource = this.#context,
    pageBytes?: number,
  ): StatementResult[] {
    let left = Math.min(bytesMax, ANSWER_BYTES_MAX);
    return statements.map(({ ready, args }) => {
      const context = { ...identifiers, port: this.port, answerBytesMax: left, pageBytes };
      const result = run(context, ready, readArguments(ready.parsed, args));
      left = Math.max(0, left - result.rows.length);
      return result;
    });
  }

  /** Of the system partition: commit id of its last entry that partitions follow. */
  get feedIndex(): number {
    return readProgress(this.port, 'feed_index') ?? 0;
  }

  /** Finishes an entry that every partition follows. */
  appendFeed(kind: CommitKind, payload: FeedPayload, now: number, transaction?: InTransaction): void {
    writeProgress(this.port, 'feed_index', readHead(this.port).lastCommitId + 1);
    this.append(kind, JSON.stringify(payload), now, transaction);
  }

  /** Finishes an entry over what statements have written: one that every partition follows, if that is a reference table. */
  appendWritten(kind: CommitKind, now: number, transaction?: InTransaction): void {
    if (this.isSystem && changesReference(readCaptured(this.port)))
      this.appendFeed(kind, { feed: 'write' }, now, transaction);
    else this.append(kind, null, now, transaction);
  }

  /** Finishes an entry of the log over what was changed since the last one; see `finishCommit`. */
  append(
    kind: CommitKind,
    payload: CommitInput['payload'],
    now: number,
    transaction: InTransaction = NO_TRANSACTION,
  ): Timestamp {
    this.#last = null;
    const timestamp = this.clock.now(now);
    finishCommit(this.port, {
      term: this.term,
      timestamp,
      kind,
      ...transaction,
      epoch: this.#identity.epoch as Epoch,
      schemaVersion: this.#schema.version,
      payload,
    });
    return timestamp;
  }
}

const NO_TRANSACTION = { transactionId: null, commitTimestamp: null } as const;
