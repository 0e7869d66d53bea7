import { assert } from '../../base/assert.ts';
import type { Epoch, PartitionId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type {
  CopyUse,
  InteractiveAnswer,
  InteractiveCommitted,
  InteractivePart,
  NumberRange,
  ScriptReference,
  WrittenCopies,
} from '../../protocol/interactive.ts';
import { formatInteractiveId, type InteractiveId } from './interactive-id.ts';
import { Savepoints } from './savepoints.ts';

/** Statements of one transaction, those undone too (chosen: a commit may have to run all of them again in one turn). */
export const STATEMENTS_MAX = 1_000;
/** Without a request a transaction ends, ms (chosen: a client that has vanished is not waited for). */
export const IDLE_MS = 60_000;
/** And this long after it began in any case (chosen: what it has read is hardly true any more). */
export const LIFE_MS = 300_000;
/** How long it is remembered how it ended, ms (chosen: a commit may be asked for again). */
const REMEMBERED_MS = 300_000;
/** Largest answer that is kept for a repeat of its statement, characters (chosen). */
const ANSWER_KEPT_MAX = 262_144;

interface Participant {
  readonly epoch: Epoch;
  /** Its script: see ScriptReference. */
  readonly script: string;
  /** Statements that it has evaluated. */
  count: number;
  /** It has written nothing. */
  read: boolean;
  /** How many of the undone ranges it was told of. */
  told: number;
}

type Phase =
  | { readonly kind: 'open' }
  /** It can only be waited for what comes of it. */
  | { readonly kind: 'committing' }
  /** A commit was sent whose answer was lost. */
  | { readonly kind: 'in-doubt' }
  | { readonly kind: 'committed'; readonly committed: InteractiveCommitted }
  /** Nothing of it is applied. */
  | { readonly kind: 'ended'; readonly error: AtollError };

interface Answered {
  readonly hash: string;
  /** Null: it was too large to be kept. */
  readonly answer: InteractiveAnswer | null;
}

/**
 * What the keeper of an interactive transaction knows of it: its statements' numbers, which of them are undone, and which
 * partitions have evaluated how many. In memory alone; whoever loses it ends the transaction.
 */
export class Interactive {
  readonly id: InteractiveId;
  readonly principal: string;
  readonly #savepoints = new Savepoints();
  readonly #participants = new Map<PartitionId, Participant>();
  readonly #undone: NumberRange[] = [];
  /** Reference tables that statements have looked at in their copies. */
  readonly #used = new Set<string>();
  /** What the transaction had done to reference tables after each statement that has written some. */
  readonly #written: { readonly number: number; readonly copies: WrittenCopies }[] = [];
  #phase: Phase = { kind: 'open' };
  #busy = false;
  /** Of the statements that partitions have evaluated. */
  #number = 0;
  /** Of all statements. */
  #statements = 0;
  #attempts = 0;
  /** The last number that the client gave, and what was answered. */
  #seq = 0;
  #answered: Answered | null = null;
  #usedMs: number;

  constructor(id: InteractiveId, principal: string) {
    this.id = id;
    this.principal = principal;
    this.#usedMs = id.begunMs;
  }

  get name(): string {
    return this.id.name;
  }

  get publicId(): string {
    return formatInteractiveId(this.id);
  }

  /** Unix ms. */
  get expiresMs(): number {
    return this.id.begunMs + LIFE_MS;
  }

  get phase(): Phase['kind'] {
    return this.#phase.kind;
  }

  /** A request is under way. */
  get isBusy(): boolean {
    return this.#busy;
  }

  // --- Requests ----------------------------------------------------------------------------------------------

  /** A request begins; {@link leave} ends it. @throws AtollError if the transaction takes none now */
  enter(now: number): void {
    this.expire(now);
    if (this.#phase.kind === 'ended') throw this.#phase.error;
    if (this.#phase.kind === 'committed') throw ended('it was committed');
    if (this.#busy) {
      throw new AtollError(
        'conflict',
        'another request of this transaction is under way: send them one after another',
        'none',
        { reason: 'concurrent' },
      );
    }
    this.#busy = true;
    this.#usedMs = now;
  }

  leave(now: number): void {
    this.#busy = false;
    this.#usedMs = now;
  }

  /** Ends it if its time is over. True: it has ended just now. */
  expire(now: number): boolean {
    if (this.#phase.kind !== 'open' || this.#busy) return false;
    if (now < this.expiresMs && now < this.#usedMs + IDLE_MS) return false;
    const why =
      now >= this.expiresMs ? `${LIFE_MS / 1000} s after it began` : `${IDLE_MS / 1000} s without a request`;
    this.end(ended(`it has expired, ${why}`));
    return true;
  }

  /** Whether it need not be kept any more: of what is in doubt the logs know as much. */
  isForgotten(now: number): boolean {
    const isOver = this.#phase.kind !== 'open' && this.#phase.kind !== 'committing';
    return isOver && now >= this.#usedMs + REMEMBERED_MS;
  }

  /**
   * What was answered to the client's statement `seq`, if this is a repeat; null for a new one.
   *
   * @throws AtollError for a gap, and for another statement of the same number
   */
  repeated(seq: number | undefined, hash: string): InteractiveAnswer | null {
    if (seq === undefined) return null;
    if (seq !== this.#seq || this.#answered === null) {
      this.checkSeq(seq);
      return null;
    }
    if (this.#answered.hash !== hash)
      throw new AtollError('bad-request', `seq ${seq} was another statement: the next one is ${seq + 1}`);
    const { answer } = this.#answered;
    if (answer !== null) return answer;
    throw new AtollError(
      'conflict',
      `the answer to statement ${seq} is too large to be given twice; run the transaction again`,
    );
  }

  /** @throws AtollError for a number that is not the next one */
  checkSeq(seq: number | undefined): void {
    if (seq === undefined || seq === this.#seq + 1) return;
    throw new AtollError(
      'bad-request',
      `seq is ${seq}, and the statement before it was ${this.#seq}: number them from 1, without gaps`,
    );
  }

  /** One more statement. @throws AtollError `too-large` */
  count(): void {
    if (this.#statements >= STATEMENTS_MAX) {
      throw new AtollError(
        'too-large',
        `an interactive transaction may have ${STATEMENTS_MAX} statements: commit, and go on in another one`,
      );
    }
    this.#statements++;
  }

  /** `room`: characters that there are for all answers that are kept. */
  answered(seq: number, hash: string, answer: InteractiveAnswer, room: number): void {
    this.#seq = seq;
    const kept = sizeOf(answer) <= Math.min(ANSWER_KEPT_MAX, room);
    this.#answered = { hash, answer: kept ? answer : null };
  }

  /** What it keeps for a repeat, characters. */
  get answerSize(): number {
    return this.#answered?.answer ? sizeOf(this.#answered.answer) : 0;
  }

  // --- Statements --------------------------------------------------------------------------------------------

  /** Number of the statement that partitions are about to evaluate. */
  next(): number {
    return ++this.#number;
  }

  /** What to say to a partition of what it has; of one that has nothing too. */
  reference(partition: PartitionId): ScriptReference {
    const { name } = this;
    const known = this.#participants.get(partition);
    if (known === undefined) return { name, script: null, count: 0, undone: [] };
    return { name, script: known.script, count: known.count, undone: this.#undone.slice(known.told) };
  }

  /** The partition has evaluated the newest statement. */
  evaluated({ partition, epoch, read }: InteractivePart, script: string): void {
    const known = this.#participants.get(partition);
    const told = this.#undone.length;
    if (known === undefined) this.#participants.set(partition, { epoch, script, count: 1, read, told });
    else Object.assign(known, { count: known.count + 1, read: known.read && read, told });
  }

  /**
   * A statement is about to run. All that was looked at is compared when the transaction commits, with copies as it leaves them: so reference
   * tables are written before they are looked at. Null: they are.
   */
  useCopies({ used, written }: CopyUse): AtollError | null {
    const late = written.find((name) => this.#used.has(name));
    if (late !== undefined) {
      return new AtollError(
        'unsupported',
        `it writes the reference table "${late}", which a statement of this transaction has used: write reference tables first`,
      );
    }
    for (const name of used) this.#used.add(name);
    return null;
  }

  /** What the newest statement has left of reference tables. */
  wroteCopies(copies: WrittenCopies): void {
    this.#written.push({ number: this.#number, copies });
  }

  /** What statements find of reference tables beside what is committed; null: nothing. */
  get copies(): WrittenCopies | null {
    return this.#written.at(-1)?.copies ?? null;
  }

  /** The newest statement has failed in one of several partitions: what it did in the others is taken back. */
  undoNewest(): void {
    this.#undo(this.#number, this.#number);
  }

  #undo(first: number, last: number): void {
    this.#undone.push([first, last]);
    while ((this.#written.at(-1)?.number ?? 0) >= first) this.#written.pop();
  }

  /** SAVEPOINT, ROLLBACK TO, RELEASE. Null: done. */
  savepoint(kind: 'savepoint' | 'rollback-to' | 'release', name: string): AtollError | null {
    if (kind === 'savepoint') {
      this.#savepoints.set(name, this.#number);
      return null;
    }
    if (kind === 'release') return this.#savepoints.release(name) ? null : noSavepoint(name);
    const after = this.#savepoints.rollbackTo(name);
    if (after === null) return noSavepoint(name);
    if (after < this.#number) this.#undo(after + 1, this.#number);
    return null;
  }

  // --- The end -----------------------------------------------------------------------------------------------

  /** Who has a part in it: those that have written first. */
  get participants(): readonly {
    readonly partition: PartitionId;
    readonly epoch: Epoch;
    readonly read: boolean;
  }[] {
    return [...this.#participants]
      .map(([partition, { epoch, read }]) => ({ partition, epoch, read }))
      .sort((left, right) => Number(left.read) - Number(right.read) || left.partition - right.partition);
  }

  /** Of the attempts to commit it, from 0. */
  nextAttempt(): number {
    return this.#attempts++;
  }

  /** Until {@link commit}, {@link end} or {@link doubt}. */
  startCommit(): void {
    this.#phase = { kind: 'committing' };
  }

  /** It cannot be known whether it is committed. */
  doubt(): void {
    this.#phase = { kind: 'in-doubt' };
  }

  commit(committed: InteractiveCommitted): void {
    assert(this.#phase.kind === 'committing' || this.#phase.kind === 'in-doubt', 'a transaction ends once');
    this.#phase = { kind: 'committed', committed };
    this.#answered = null;
  }

  /** How it was committed; null: it is not. */
  get committed(): InteractiveCommitted | null {
    return this.#phase.kind === 'committed' ? this.#phase.committed : null;
  }

  /** Nothing of it is applied. `error`: what is answered from now on. */
  end(error: AtollError): void {
    assert(this.#phase.kind !== 'committed', 'a committed transaction stays so');
    this.#phase = { kind: 'ended', error };
    this.#answered = null;
  }
}

export function ended(why: string): AtollError {
  return new AtollError('transaction-ended', `the transaction has ended: ${why}`, 'none');
}

function noSavepoint(name: string): AtollError {
  return new AtollError('sql', `no such savepoint: ${name}`);
}

function sizeOf(answer: InteractiveAnswer): number {
  return answer.kind === 'error' ? 0 : answer.replies.reduce((sum, reply) => sum + reply.length, 0);
}
