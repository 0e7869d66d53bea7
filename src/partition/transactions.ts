import { present } from '../base/assert.ts';
import type { PartitionId, Timestamp } from '../base/brand.ts';
import { parseTimestamp } from '../core/clock/timestamp.ts';
import { type Decided, decidedBefore, decideWork, fateOf, forgetWork } from '../core/replica/anchor.ts';
import { readDecisions } from '../core/replica/decisions.ts';
import type { Work } from '../core/replica/group.ts';
import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import { endWork } from '../core/replica/participant.ts';
import { type Prepared, readPrepared } from '../core/replica/prepared.ts';
import type { Replica } from '../core/replica/replica.ts';
import { Coordination, type Ruling } from '../core/transaction/coordination.ts';
import { AtollError, toAtollError } from '../protocol/error.ts';
import type { StalePartition } from '../protocol/network.ts';
import type {
  InDoubt,
  PrepareRequest,
  TransactionEnd,
  TransactionFate,
  TransactionInquiry,
  TransactionPart,
  TransactReply,
  TransactRequest,
  Vote,
} from '../protocol/transaction.ts';
import type { Surroundings } from './surroundings.ts';

/** A prepare that is older asks its anchor what has become of it, ms (chosen: well above what a transaction takes). */
const IN_DOUBT_MS = 1_000;
/** Pause between two rounds of settling, ms (chosen). */
const SETTLE_MS = 1_000;
/** How long records are gathered before they are forgotten, ms (chosen: some dozens, when there are many). */
const FORGET_MS = 100;

export interface TransactionsOptions {
  readonly replica: () => Replica;
  readonly peers: Surroundings['peers'];
  /** Runs work in the next group, waiting while others hold what it needs; see PartitionServer. */
  readonly run: (work: Work, deadline: number) => Promise<ExecuteOutcome>;
  readonly wantSettling: (at: number) => void;
  readonly pause: Surroundings['pause'];
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
  /** Decisions that all have applied, and whose records wait to be forgotten together. */
  #forgettable: string[] = [];
  #settling = false;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** After a start: what is in doubt, or decided and not confirmed, is settled without anybody's asking. */
  wake(now: number): void {
    if (this.#hasOpen()) this.#options.wantSettling(now + SETTLE_MS);
  }

  // --- The anchor ----------------------------------------------------------------------------------------

  /** @throws AtollError, nothing applied, or `unknown` when it cannot be known whether the decision is durable */
  async transact(request: TransactRequest, deadline: number): Promise<Transacted> {
    const before = decidedBefore(this.#here, request, Date.now());
    if (before !== null) return { kind: 'done', reply: before };
    const { partition } = this.#here.identity;
    const own = request.parts.find((part) => part.partition === partition) ?? null;
    const others = request.parts.filter((part) => part.partition !== partition);
    const coordination = new Coordination(others.map((part) => part.partition));
    this.#running.add(request.transaction);
    try {
      const prepares = others.map((part) => this.#prepare(request, part, coordination, deadline));
      const ruling = await firstRuling(coordination, prepares);
      if (ruling.kind === 'commit') return await this.#decide(request, own, coordination, ruling, deadline);
      // Whoever has voted yes, or is about to, is told when its vote is in: no prepare comes after its end.
      this.#abort(request.transaction, others, prepares);
      if (ruling.reason instanceof AtollError) throw ruling.reason;
      return { kind: 'stale', newer: ruling.reason };
    } finally {
      this.#running.delete(request.transaction);
    }
  }

  async #prepare(
    { transaction, startedMs, schema, system }: TransactRequest,
    part: TransactionPart,
    coordination: Coordination,
    deadline: number,
  ): Promise<void> {
    const { identity, term, clock } = this.#here;
    const message: PrepareRequest = {
      transaction,
      startedMs,
      anchor: identity.partition,
      term,
      time: clock.now(Date.now()),
      schema,
      system,
      part,
    };
    const patience = Math.max(1, deadline - Date.now());
    try {
      const vote = await this.#call<Vote>(part.partition, 'prepare', message, patience);
      coordination.voted(part.partition, vote);
    } catch (error) {
      coordination.voted(part.partition, toAtollError(error));
    }
  }

  async #decide(
    request: TransactRequest,
    own: TransactionPart | null,
    coordination: Coordination,
    { participants, preparedAt }: Extract<Ruling, { kind: 'commit' }>,
    deadline: number,
  ): Promise<Transacted> {
    const { transaction, parts } = request;
    const others = parts.filter((part) => part !== own);
    const { replies } = coordination;
    const work = decideWork(this.#here, { request, own, participants, preparedAt, replies });
    let outcome: ExecuteOutcome;
    try {
      outcome = await this.#options.run(work, deadline);
    } catch (error) {
      // Nobody is told anything: the decision may be on disk. Settling finds out.
      this.#options.wantSettling(Date.now() + SETTLE_MS);
      throw error;
    }
    if (outcome.kind !== 'done') {
      if (outcome.kind !== 'error' || outcome.error.outcome === 'none') this.#abort(transaction, others, []);
      else this.#options.wantSettling(Date.now() + SETTLE_MS);
      if (outcome.kind === 'error') throw outcome.error;
      if (outcome.kind === 'stale') return { kind: 'stale', newer: outcome.newer };
      throw new AtollError('busy', 'waited too long for a lock; try again', 'none');
    }
    const decided = JSON.parse(outcome.body) as Decided;
    if (decided.kind === 'before') {
      this.#abort(transaction, others, []);
      return { kind: 'done', reply: decided.reply };
    }
    const { commitTimestamp, reply } = decided;
    const readers = others.filter((part) => !participants.includes(part.partition));
    this.#release(transaction, readers);
    if (commitTimestamp !== null) void this.#tell(transaction, commitTimestamp, participants);
    return { kind: 'done', reply };
  }

  /** Ends locks of those that apply nothing. One that does not hear of it asks. */
  #release(transaction: string, parts: readonly TransactionPart[]): void {
    const end: TransactionEnd = { transaction, commitTimestamp: null };
    for (const { partition } of parts) this.#call(partition, 'transaction-end', end).catch(ignoreUnreachable);
  }

  #abort(transaction: string, parts: readonly TransactionPart[], prepares: readonly Promise<void>[]): void {
    void Promise.all(prepares).then(() => this.#release(transaction, parts));
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
      const told = await Promise.allSettled(
        participants.map((partition) => this.#call(partition, 'transaction-end', end)),
      );
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
    await this.#options.run(forgetWork(this.#here, transactions), Date.now() + SETTLE_MS);
  }

  fate(inquiry: TransactionInquiry): TransactionFate {
    return fateOf(this.#here, inquiry, this.#running.has(inquiry.transaction));
  }

  // --- Settling ------------------------------------------------------------------------------------------

  /** Something was prepared here: if its end does not come, it is asked for. */
  prepared(): void {
    this.#options.wantSettling(Date.now() + IN_DOUBT_MS);
  }

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
      const fate = await this.#call<TransactionFate>(anchor, 'transaction-state', inquiry);
      if (fate.state === 'pending') return;
      const commitTimestamp = fate.state === 'committed' ? fate.commitTimestamp : null;
      const end = endWork(this.#here, { transaction, commitTimestamp });
      await this.#options.run(end, Date.now() + SETTLE_MS);
    } catch (error) {
      // In doubt as before: it is asked again.
      console.warn(`transaction ${transaction}: partition ${anchor} does not say its fate: ${String(error)}`);
    }
  }

  #hasOpen(): boolean {
    const { port, locks } = this.#here;
    return !locks.isEmpty || port.query('SELECT 1 FROM _atoll_decisions LIMIT 1').rows.length > 0;
  }

  /** For status and metrics. */
  inDoubt(): InDoubt[] {
    const { port, identity } = this.#here;
    return [
      ...readPrepared(port).map(({ transaction, anchor, preparedAt }) => ({
        transaction,
        anchor,
        since: isoTime(preparedAt),
        decided: false,
      })),
      ...readDecisions(port).map(({ transaction, commitTimestamp }) => ({
        transaction,
        anchor: identity.partition,
        since: isoTime(commitTimestamp),
        decided: true,
      })),
    ];
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

function isoTime(timestamp: Timestamp): string {
  return new Date(msOf(timestamp)).toISOString();
}

function msOf(timestamp: Timestamp): number {
  return present(parseTimestamp(timestamp), () => `log time ${timestamp}`).milliseconds;
}

/** The first that is not to wait on, as votes come in. */
async function firstRuling(
  coordination: Coordination,
  prepares: readonly Promise<void>[],
): Promise<Exclude<Ruling, { kind: 'waiting' }>> {
  const pending = new Set(prepares);
  for (;;) {
    const { ruling } = coordination;
    if (ruling.kind !== 'waiting') return ruling;
    await Promise.race([...pending].map((each) => each.then(() => pending.delete(each))));
  }
}

/** Whoever was not reached asks by itself: settling. */
function ignoreUnreachable(error: unknown): void {
  console.debug(`an end was not delivered: ${String(error)}`);
}
