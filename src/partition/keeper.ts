import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { Replica } from '../core/replica/replica.ts';
import { ended, Interactive, LIFE_MS } from '../core/transaction/interactive.ts';
import { attemptName, parseInteractiveId } from '../core/transaction/interactive-id.ts';
import { conflictPauseMs, lostToOlder, WAIT_DIE_ATTEMPTS_MAX } from '../gateway/wait-die.ts';
import { AtollError, type ErrorCode } from '../protocol/error.ts';
import {
  type InteractiveAnswer,
  type InteractiveBegin,
  type InteractiveBegun,
  type InteractiveCommitted,
  type InteractiveMessage,
  type InteractiveReply,
  type InteractiveStatement,
  type InteractiveStep,
  type ScriptFate,
  type ScriptFateRequest,
  wireError,
} from '../protocol/interactive.ts';
import type { TransactReply, TransactRequest } from '../protocol/transaction.ts';
import type { ScriptDesk } from './script-desk.ts';
import { ScriptPeers } from './script-peers.ts';
import { runInWaves } from './statement-waves.ts';
import type { Surroundings } from './surroundings.ts';
import type { Transactions } from './transactions.ts';

/** Transactions that one keeper knows, those that have ended among them (chosen: some kilobytes each). */
const KEPT_MAX = 10_000;
/** Answers that are kept for repeats of their statements, characters (chosen: beside the scripts there is room for them). */
const ANSWERS_MAX = 16 * 1024 * 1024;

export interface KeeperOptions {
  readonly replica: () => Replica;
  readonly peers: Surroundings['peers'];
  readonly pause: Surroundings['pause'];
  readonly scripts: ScriptDesk;
  readonly transactions: Transactions;
}

/**
 * Keeps interactive transactions between their requests: who has begun them, what they have done so far and where, and how
 * they ended. All in memory, for minutes: a client that vanishes leaves nothing behind, and a keeper that is restarted ends
 * those that were open.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #peers: ScriptPeers;
  readonly #kept = new Map<string, Interactive>();
  /** Tells this memory from that of another start: see InteractiveId. */
  readonly #memory = crypto.getRandomValues(new Uint32Array(1))[0] as number;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#peers = new ScriptPeers(options);
  }

  begin({ name, principal, schema }: InteractiveBegin): InteractiveBegun {
    const now = Date.now();
    this.#sweep(now);
    const transaction = new Interactive({ name, schema, memory: this.#memory, begunMs: now }, principal);
    this.#kept.set(transaction.publicId, transaction);
    return { id: transaction.publicId, expiresMs: transaction.expiresMs };
  }

  /** Ends those whose time is over, and forgets those that ended long ago. @throws AtollError `overloaded` */
  #sweep(now: number): void {
    for (const [id, transaction] of this.#kept) {
      if (transaction.expire(now)) this.#peers.release(transaction);
      if (transaction.isForgotten(now)) this.#kept.delete(id);
    }
    if (this.#kept.size < KEPT_MAX) return;
    throw new AtollError('overloaded', 'too many interactive transactions are open; try again');
  }

  /** @throws AtollError whose detail says whether the transaction goes on */
  async statement(message: InteractiveStatement, deadline: number): Promise<InteractiveReply> {
    const transaction = this.#find(message);
    return this.#within(transaction, message, async (): Promise<InteractiveReply> => {
      const { step, lookingFor } = message;
      const { seq, hash } = lookingFor ?? message;
      // Before anything is read for it: a repeat would find what it has done itself.
      const answer = transaction.repeated(seq, hash);
      if (answer !== null) return lookingFor === undefined ? answer : { kind: 'repeated', answer };
      if (lookingFor !== undefined) return this.#take(transaction, message, step, deadline);
      transaction.count();
      const taken = await this.#take(transaction, message, step, deadline);
      if (seq !== undefined) transaction.answered(seq, hash, taken, this.#answerRoom());
      return taken;
    });
  }

  #answerRoom(): number {
    let room = ANSWERS_MAX;
    for (const each of this.#kept.values()) room -= each.answerSize;
    return room;
  }

  async #take(
    transaction: Interactive,
    { schema }: InteractiveMessage,
    step: InteractiveStep,
    deadline: number,
  ): Promise<InteractiveAnswer> {
    switch (step.kind) {
      case 'refused':
        return { kind: 'error', error: step.error };
      case 'run':
        return runInWaves(this.#peers, transaction, { schema, ...step }, deadline, ENDING);
      default: {
        const error = transaction.savepoint(step.kind, step.name);
        if (error === null) return { kind: 'answers', replies: [] };
        return { kind: 'error', error: wireError(error) };
      }
    }
  }

  /**
   * Once it is committed, the same answer as long as it is remembered. It ends the transaction, or fails with `unknown`: then
   * it may be asked for again.
   */
  async commit(message: InteractiveMessage, deadline: number): Promise<InteractiveCommitted> {
    const transaction = this.#find(message);
    if (transaction.committed !== null) return transaction.committed;
    if (transaction.isBusy) throw withState(underWay(), transaction);
    return this.#within(transaction, message, async () => {
      if (transaction.phase === 'in-doubt') return this.#resolve(transaction);
      transaction.checkSeq(message.seq);
      transaction.startCommit();
      return this.#commit(transaction, deadline);
    });
  }

  async #commit(transaction: Interactive, deadline: number): Promise<InteractiveCommitted> {
    for (let attempt = 1; ; attempt++) {
      try {
        const replies = await this.#attempt(transaction, deadline);
        return this.#committed(transaction, replies);
      } catch (error) {
        if (!(error instanceof AtollError)) {
          transaction.doubt();
          throw error;
        }
        if (error.outcome === 'unknown' || UNANSWERED.has(error.code)) {
          transaction.doubt();
          return this.#resolve(transaction);
        }
        const pause = conflictPauseMs(attempt);
        const again = lostToOlder(error) && attempt < WAIT_DIE_ATTEMPTS_MAX;
        if (!again || Date.now() + pause >= deadline) throw error;
        await this.#options.pause(pause);
      }
    }
  }

  async #attempt(transaction: Interactive, deadline: number): Promise<readonly string[]> {
    const { participants, name, id } = transaction;
    const [anchor] = participants;
    if (anchor === undefined) return [];
    const attempt = attemptName(name, transaction.nextAttempt());
    // Reference tables are written by a transaction whatever is beside them: all copies are to be frozen.
    if (participants.length === 1 && (anchor.read || anchor.partition !== SYSTEM_PARTITION)) {
      const { partition, epoch } = anchor;
      const request = { ...transaction.reference(partition), transaction: attempt, schema: id.schema, epoch };
      const { reply } = await this.#peers.ask(partition, 'script-commit', request, deadline, (scripts) =>
        scripts.commit(request, deadline),
      );
      return [reply];
    }
    const request: TransactRequest = {
      transaction: attempt,
      startedMs: id.begunMs,
      schema: id.schema,
      system: 0,
      parts: participants.map(({ partition, epoch, read }) => ({
        partition,
        epoch,
        read,
        statements: [],
        script: transaction.reference(partition),
      })),
    };
    const { replies } = await this.#peers.ask<TransactReply>(
      anchor.partition,
      'transact',
      request,
      deadline,
      async () => {
        const transacted = await this.#options.transactions.transact(request, deadline);
        if (transacted.kind === 'done') return transacted.reply;
        throw new AtollError('unavailable', 'a partition knows another network', 'none');
      },
    );
    return replies.map(({ reply }) => reply);
  }

  #committed(transaction: Interactive, replies: readonly string[]): InteractiveCommitted {
    const partitions = transaction.participants.map(({ partition }) => partition);
    const committed = { partitions, replies };
    transaction.commit(committed);
    this.#peers.release(transaction);
    return committed;
  }

  /** Finds out what has become of a commit whose answer was lost: the partitions' logs tell. */
  async #resolve(transaction: Interactive): Promise<InteractiveCommitted> {
    const { participants, name, id } = transaction;
    const request: ScriptFateRequest = { name, begunMs: id.begunMs };
    const fates = await Promise.all(
      participants.map(({ partition }) =>
        this.#peers
          .ask<ScriptFate | null>(partition, 'script-fate', request, null, async (scripts) =>
            scripts.fate(request),
          )
          .catch(() => null),
      ),
    );
    if (fates.some((fate) => fate?.committed === true))
      return this.#committed(
        transaction,
        fates.flatMap((fate) => (fate === null ? [] : [fate.reply])),
      );
    if (fates.every((fate) => fate?.committed === false)) {
      throw new AtollError(
        'conflict',
        'the commit was interrupted, and nothing is applied; run the transaction again',
        'none',
        { reason: 'interrupted' },
      );
    }
    throw new AtollError(
      'unknown-outcome',
      'it cannot be told yet whether the transaction is committed: commit it once more to know',
    );
  }

  rollback(message: InteractiveMessage): void {
    const transaction = this.#find(message);
    if (transaction.committed !== null) throw withState(ended('it was committed'), transaction);
    if (transaction.phase === 'in-doubt' || transaction.phase === 'committing') {
      throw withState(
        new AtollError(
          'conflict',
          'a commit of this transaction is under way: commit it once more to know its end',
        ),
        transaction,
      );
    }
    if (transaction.phase === 'ended') return;
    transaction.end(ended('it was rolled back'));
    this.#peers.release(transaction);
  }

  // --- Requests ------------------------------------------------------------------------------------------------

  /** @throws AtollError: there is none of that id, or it is somebody else's */
  #find({ id, principal }: InteractiveMessage): Interactive {
    const transaction = this.#kept.get(id);
    if (transaction?.principal === principal) return transaction;
    const parsed = transaction === undefined ? parseInteractiveId(id) : null;
    const age = parsed === null ? 0 : Date.now() - parsed.begunMs;
    if (parsed !== null && parsed.memory !== this.#memory && age < LIFE_MS) {
      throw new AtollError(
        'conflict',
        'the partition that kept the transaction was restarted, and nothing of it is applied; run the transaction again',
        'none',
        { reason: 'lost', known: false, transaction: 'ended' },
      );
    }
    throw new AtollError(
      'not-found',
      'there is no such transaction: it never began, or ended some minutes ago; begin one with POST /v1/transactions',
      'none',
      { ...(transaction === undefined && { known: false }), transaction: 'ended' },
    );
  }

  /** One request at a time. An error that ends the transaction does so here. */
  async #within<T>(
    transaction: Interactive,
    { schema }: InteractiveMessage,
    body: () => Promise<T>,
  ): Promise<T> {
    try {
      transaction.enter(Date.now());
    } catch (error) {
      throw withState(error, transaction);
    }
    try {
      if (schema !== transaction.id.schema && transaction.phase === 'open') throw otherSchema();
      const result = await body();
      // It may have been rolled back meanwhile.
      if (transaction.phase === 'ended') throw ended('it was rolled back');
      return result;
    } catch (error) {
      throw withState(this.#ending(transaction, error), transaction);
    } finally {
      transaction.leave(Date.now());
    }
  }

  /** The error as it is to be shown, once what it ends is ended. */
  #ending(transaction: Interactive, error: unknown): unknown {
    if (!(error instanceof AtollError)) return error;
    if (transaction.phase === 'ended' || transaction.phase === 'committed') return error;
    if (error.outcome === 'unknown' && transaction.phase !== 'open') return error;
    // A commit that has failed is over: whoever asked for it must know where it is.
    if (!ENDING.has(error.code) && transaction.phase === 'open') return error;
    const shown = UNANSWERED.has(error.code) ? unanswered(error) : error;
    transaction.end(shown);
    this.#peers.release(transaction);
    return shown;
  }
}

/** A partition has not answered, or not so that it could be known what it did. */
const UNANSWERED: ReadonlySet<ErrorCode> = new Set(['unavailable', 'unknown-outcome', 'timeout', 'internal']);
/** After these the transaction cannot go on. */
const ENDING: ReadonlySet<ErrorCode> = new Set([...UNANSWERED, 'conflict', 'schema-conflict']);

function unanswered({ message }: AtollError): AtollError {
  return new AtollError(
    'conflict',
    `a partition was lost on the way, and nothing is applied; run the transaction again (${message})`,
    'none',
    { reason: 'lost' },
  );
}

/** Whether this or an earlier request for the commit: nobody may take it for failed. */
function underWay(): AtollError {
  return new AtollError(
    'unknown-outcome',
    'another request of this transaction is under way, which may be its commit: commit it once more to know',
  );
}

function otherSchema(): AtollError {
  return new AtollError(
    'schema-conflict',
    'the schema has changed since the transaction began; run the transaction again',
  );
}

/** The error as the client sees it: with whether the transaction goes on. */
function withState(error: unknown, transaction: Interactive): unknown {
  // A defect is nothing for clients: the partition's server deals with it.
  if (!(error instanceof AtollError)) return error;
  const { code, message, outcome, detail } = error;
  const { phase } = transaction;
  const over = phase === 'ended' || phase === 'committed';
  const state = over ? 'ended' : phase === 'in-doubt' ? 'in-doubt' : 'open';
  return new AtollError(code, message, outcome, { ...detail, transaction: state });
}
