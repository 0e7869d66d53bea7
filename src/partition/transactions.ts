import { present } from '../base/assert.ts';
import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { type Decided, decidedBefore, decideWork, fateOf, forgetWork } from '../core/replica/anchor.ts';
import { refuseUnclaimed } from '../core/replica/claims.ts';
import { readDecisions } from '../core/replica/decisions.ts';
import { newerSchema } from '../core/replica/obstacle.ts';
import { endWork } from '../core/replica/participant.ts';
import { type Prepared, readPrepared } from '../core/replica/prepared.ts';
import { findReferencePart, type ReferencePart, referencesText } from '../core/replica/reference-part.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { Ruling } from '../core/transaction/coordination.ts';
import { AtollError } from '../protocol/error.ts';
import type { StalePartition } from '../protocol/network.ts';
import type {
  PrepareRequest,
  TransactionEnd,
  TransactionFate,
  TransactionInquiry,
  TransactionPart,
  TransactReply,
  TransactRequest,
  Vote,
} from '../protocol/transaction.ts';
import { type Asked, Attempt } from './attempt.ts';
import { Ends } from './ends.ts';
import { msOf } from './in-doubt.ts';
import { type Preparing, prepareAtOnce, prepareHere, type Settled } from './prepare-here.ts';
import { Prepares } from './prepares.ts';
import type { Surroundings } from './surroundings.ts';

/** A prepare that is older asks its anchor what has become of it, ms (chosen: well above what a transaction takes). */
const IN_DOUBT_MS = 1_000;
/** Pause between two rounds of settling, ms (chosen). */
const SETTLE_MS = 1_000;
/** How long records are gathered before they are forgotten, ms (chosen: some dozens, when there are many). */
const FORGET_MS = 100;

export interface TransactionsOptions extends Preparing {
  readonly peers: Surroundings['peers'];
  readonly wantSettling: (at: number) => void;
  readonly pause: Surroundings['pause'];
  readonly coalescing: Surroundings['coalescing'];
}

/** Sees to it that every partition follows: the decision is in the feed. */
type Deliver = () => Promise<void>;

interface Found {
  readonly kind: 'found';
  readonly references: ReferencePart;
  readonly text: string;
}

/** Of a transaction that writes reference tables beside others. */
interface Beside extends Found {
  readonly deliver: Deliver;
}

/** A router's request in its anchor: what is answered, or what the router does not know yet. */
export type Transacted =
  | { readonly kind: 'done'; readonly reply: TransactReply }
  | { readonly kind: 'stale'; readonly newer: StalePartition };

/** This partition's share in transactions over several: as the anchor that coordinates one, and as a participant. */
export class Transactions {
  readonly #options: TransactionsOptions;
  /** Attempts that this instance coordinates, from their first prepare to their decision. */
  readonly #running = new Set<string>();
  /** Decisions whose participants are being told. */
  readonly #telling = new Set<string>();
  readonly #ends: Ends;
  readonly #prepares: Prepares;
  /** Decisions that all have applied, and whose records wait to be forgotten together. */
  #forgettable: string[] = [];
  #settling = false;

  constructor(options: TransactionsOptions) {
    this.#options = options;
    this.#ends = new Ends((partition, message) => this.#call(partition, 'transaction-ends', message));
    const { pause, coalescing } = options;
    this.#prepares = new Prepares({ call: this.#call.bind(this), pause, coalescing });
  }

  /** After a start: what is in doubt, or decided and not confirmed, is settled without anybody's asking. */
  wake(now: number): void {
    if (this.#hasOpen()) this.#options.wantSettling(now + SETTLE_MS);
  }

  // --- The anchor ----------------------------------------------------------------------------------------

  /** What was answered under the same key; null: nothing. @throws AtollError `idempotency-conflict` */
  decidedBefore(request: Pick<TransactRequest, 'idempotency'>): Extract<Transacted, { kind: 'done' }> | null {
    const reply = decidedBefore(this.#here, request, Date.now());
    return reply === null ? null : { kind: 'done', reply };
  }

  /**
   * `deliver`: its own part here writes reference tables.
   *
   * @throws AtollError, nothing applied, or `unknown` when it cannot be known whether the decision is durable
   */
  async transact(
    request: TransactRequest,
    deadline: number,
    deliver: Deliver | null = null,
  ): Promise<Transacted> {
    refuseUnclaimed(request);
    const before = this.decidedBefore(request);
    if (before !== null) return before;
    // As long as it holds nothing, it may wait.
    await this.#options.feed.idle(deadline);
    const newer = newerSchema(this.#here, request);
    if (newer !== null) return { kind: 'stale', newer };
    const { partition } = this.#here.identity;
    // What an own part makes for others must be known before the decision: it is prepared then, as theirs are.
    const prepares = request.ring !== undefined && deliver === null;
    const own = prepares ? null : (request.parts.find((part) => part.partition === partition) ?? null);
    const others = request.parts.filter((part) => part !== own);
    let beside: Beside | null = null;
    if (deliver !== null && own !== null) {
      const found = await this.#find(request, own, deadline);
      if (found.kind === 'stale') return found;
      beside = { ...found, deliver };
    }
    const attempt = new Attempt(request.ring, (asked) => this.#prepare(request, asked, beside, deadline));
    this.#running.add(request.transaction);
    try {
      const ruling = await attempt.run(others);
      if (ruling.kind === 'commit')
        return await this.#decide(request, own, beside, attempt, ruling, deadline);
      // Whoever has voted yes, or is about to, is told when its vote is in: no prepare comes after its end.
      this.#abort(request.transaction, attempt);
      if (ruling.reason instanceof AtollError) throw ruling.reason;
      return { kind: 'stale', newer: ruling.reason };
    } finally {
      this.#running.delete(request.transaction);
    }
  }

  /** What its own part does to reference tables. */
  async #find(
    request: TransactRequest,
    own: TransactionPart,
    deadline: number,
  ): Promise<Found | Extract<Transacted, { kind: 'stale' }>> {
    const found: ReferencePart[] = [];
    const work = findReferencePart(this.#here, request, own, (references) => found.push(references));
    const outcome = await this.#options.perform(work, deadline);
    if (outcome.kind === 'error') throw outcome.error;
    if (outcome.kind === 'stale') return outcome;
    const references = present(found.at(-1), () => 'work that is done has found something');
    return { kind: 'found', references, text: referencesText(references) };
  }

  #prepare(
    { transaction, startedMs, schema, system, parts }: TransactRequest,
    asked: Asked,
    beside: Beside | null,
    deadline: number,
  ): Promise<Vote> {
    const { identity, term, clock } = this.#here;
    const message: PrepareRequest = {
      transaction,
      startedMs,
      anchor: identity.partition,
      term,
      time: clock.now(Date.now()),
      schema,
      system: Math.max(system, beside?.references.feedIndex ?? 0),
      ...(beside !== null && { references: beside.text }),
      ...(parts.some(({ visitors }) => visitors !== undefined) && { visited: true }),
      ...asked,
    };
    if (asked.part.partition === identity.partition) return this.prepareHere(message, deadline);
    return this.#prepares.ask(asked.part.partition, message, deadline);
  }

  async #decide(
    request: TransactRequest,
    own: TransactionPart | null,
    beside: Beside | null,
    attempt: Attempt,
    ruling: Extract<Ruling, { kind: 'commit' }>,
    deadline: number,
  ): Promise<Transacted> {
    const { transaction } = request;
    const { partition } = this.#here.identity;
    const { preparedAt } = ruling;
    const participants = ruling.participants.filter((each) => each !== partition);
    const prepared = attempt.touched.includes(partition);
    const { replies } = attempt.coordination;
    const references = beside?.references ?? null;
    const work = decideWork(this.#here, {
      request,
      own,
      references,
      prepared,
      participants,
      preparedAt,
      replies,
    });
    let outcome: Settled;
    try {
      outcome = await this.#options.perform(work, deadline);
    } catch (error) {
      // Nobody is told anything: the decision may be on disk. Settling finds out.
      this.#options.wantSettling(Date.now() + SETTLE_MS);
      throw error;
    }
    if (outcome.kind !== 'done') {
      if (outcome.kind !== 'error' || outcome.error.outcome === 'none') this.#abort(transaction, attempt);
      else this.#options.wantSettling(Date.now() + SETTLE_MS);
      if (outcome.kind === 'error') throw outcome.error;
      return { kind: 'stale', newer: outcome.newer };
    }
    const decided = JSON.parse(outcome.body) as Decided;
    if (decided.kind === 'before') {
      this.#abort(transaction, attempt);
      return { kind: 'done', reply: decided.reply };
    }
    const { commitTimestamp, reply } = decided;
    const readers = attempt.touched.filter((each) => each !== partition && !participants.includes(each));
    this.#release(transaction, readers);
    const tell = () => {
      if (commitTimestamp !== null && participants.length > 0)
        void this.#tell(transaction, commitTimestamp, participants);
    };
    // Whoever applies it follows first, so that rows are not there without those that they refer to.
    if (beside === null) tell();
    else await beside.deliver().finally(tell);
    return { kind: 'done', reply };
  }

  /** Ends locks of those that apply nothing. One that does not hear of it asks. */
  #release(transaction: string, partitions: readonly PartitionId[]): void {
    const end: TransactionEnd = { transaction, commitTimestamp: null };
    for (const partition of partitions) {
      const released =
        partition === this.#here.identity.partition
          ? this.end(end, Date.now() + SETTLE_MS)
          : this.#ends.tell(partition, end);
      released.catch(ignoreUnreachable);
    }
  }

  #abort(transaction: string, attempt: Attempt): void {
    void attempt.settled().then(() => this.#release(transaction, attempt.touched));
  }

  /** Tells what was decided until all have confirmed; then the record goes. */
  async #tell(
    transaction: string,
    commitTimestamp: TransactionEnd['commitTimestamp'],
    participants: readonly PartitionId[],
  ): Promise<void> {
    if (this.#telling.has(transaction)) return;
    this.#telling.add(transaction);
    try {
      const end: TransactionEnd = { transaction, commitTimestamp };
      const told = await Promise.allSettled(participants.map((partition) => this.#ends.tell(partition, end)));
      if (told.every(({ status }) => status === 'fulfilled')) {
        await this.#forget(transaction);
      } else this.#options.wantSettling(Date.now() + SETTLE_MS);
    } catch (error) {
      // The record is still there, and settling comes by again.
      console.warn(`transaction ${transaction}: its record stays for now: ${String(error)}`);
      this.#options.wantSettling(Date.now() + SETTLE_MS);
    } finally {
      this.#telling.delete(transaction);
    }
  }

  /** Records that nobody asks for any more go together: each by itself would cost an entry of the log. */
  async #forget(transaction: string): Promise<void> {
    this.#forgettable.push(transaction);
    if (this.#forgettable.length > 1) return;
    await this.#options.pause(FORGET_MS);
    const transactions = this.#forgettable;
    this.#forgettable = [];
    await this.#options.perform(forgetWork(this.#here, transactions), Date.now() + SETTLE_MS);
  }

  fate(inquiry: TransactionInquiry): TransactionFate {
    return fateOf(this.#here, inquiry, this.#running.has(inquiry.transaction));
  }

  // --- A participant -------------------------------------------------------------------------------------

  /** @throws AtollError that stands for the vote no */
  async prepareHere(request: PrepareRequest, deadline: number): Promise<Vote> {
    return this.#voted(await prepareHere(this.#options, request, deadline));
  }

  /** Null: it would have to wait for others. @throws AtollError that stands for the vote no */
  async prepareAtOnce(request: PrepareRequest): Promise<Vote | null> {
    const vote = await prepareAtOnce(this.#options, request);
    return vote === null ? null : this.#voted(vote);
  }

  #voted(vote: Vote): Vote {
    // If its end does not come, it is asked for.
    if (vote.vote === 'yes') this.#options.wantSettling(Date.now() + IN_DOUBT_MS);
    return vote;
  }

  /** Does in this partition what was decided. */
  async end(end: TransactionEnd, deadline: number): Promise<void> {
    const prepared = this.#here.locks.prepared(end.transaction);
    const follows = prepared?.anchor === SYSTEM_PARTITION && !this.#here.isSystem;
    // Its rows may be joined with rows of reference tables that it has written.
    if (follows && end.commitTimestamp !== null) await this.#options.feed.followOwn(end.transaction);
    const outcome = await this.#options.perform(endWork(this.#here, end), deadline);
    if (outcome.kind === 'error') throw outcome.error;
  }

  // --- Settling ------------------------------------------------------------------------------------------

  /** Finds out what has become of what is in doubt here, and tells again what was decided here. */
  async settle(): Promise<void> {
    if (this.#settling) return;
    this.#settling = true;
    try {
      const { port } = this.#here;
      const old = Date.now() - IN_DOUBT_MS / 2;
      const prepared = readPrepared(port).filter(({ preparedAt }) => msOf(preparedAt) < old);
      await Promise.all(prepared.map((each) => this.#ask(each)));
      for (const { transaction, commitTimestamp, participants } of readDecisions(port))
        await this.#tell(transaction, commitTimestamp, participants);
    } finally {
      this.#settling = false;
      if (this.#hasOpen()) this.#options.wantSettling(Date.now() + SETTLE_MS);
    }
  }

  async #ask({ transaction, anchor, term }: Prepared): Promise<void> {
    try {
      const inquiry: TransactionInquiry = { transaction, term };
      const fate =
        anchor === this.#here.identity.partition
          ? this.fate(inquiry)
          : await this.#call<TransactionFate>(anchor, 'transaction-state', inquiry);
      if (fate.state === 'pending') return;
      const commitTimestamp = fate.state === 'committed' ? fate.commitTimestamp : null;
      await this.end({ transaction, commitTimestamp }, Date.now() + SETTLE_MS);
    } catch (error) {
      // In doubt as before: it is asked again.
      console.warn(`transaction ${transaction}: partition ${anchor} does not say its fate: ${String(error)}`);
    }
  }

  #hasOpen(): boolean {
    const { port, locks } = this.#here;
    return locks.size > 0 || port.query('SELECT 1 FROM _atoll_decisions LIMIT 1').rows.length > 0;
  }

  get #here(): Replica {
    return this.#options.replica();
  }

  #call<Answer>(
    partition: PartitionId,
    type: string,
    message: unknown,
    milliseconds?: number,
  ): Promise<Answer> {
    return this.#options.peers.call(this.#here.identity.database, partition, type, message, milliseconds);
  }
}

/** Whoever was not reached asks by itself: settling. */
function ignoreUnreachable(error: unknown): void {
  console.debug(`an end was not delivered: ${String(error)}`);
}
