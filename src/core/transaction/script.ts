import type { CommitId, Epoch, SchemaVersion } from '../../base/brand.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import type { NumberRange } from '../../protocol/interactive.ts';
import type { ClaimedIds } from '../../protocol/transaction.ts';
import type { Change } from '../log/commit.ts';
import { imageBytes } from '../log/encoding.ts';
import type { Layouts } from '../log/layout.ts';
import { NetChanges } from '../log/net.ts';
import type { Access } from './access.ts';
import type { Lock } from './lock.ts';

/** Images and texts of one transaction in one partition, bytes (chosen: all of it is in memory, and applied for every statement). */
export const SCRIPT_BYTES_MAX = 16 * 1024 * 1024;

/** Locks that a script needs one by one (chosen: they are logged, and compared with others'). */
const LOCKS_MAX = 5_000;

/**
 * A statement of an interactive transaction as it was first evaluated in this partition; or what one has made in other
 * partitions for this one.
 */
export interface ScriptEntry {
  /** Among the transaction's statements, in all partitions; rises. */
  readonly number: number;
  /** Null: it is what others have made, `incoming`. */
  readonly statement: WireStatement | null;
  /** As it came: what foreign keys over partitions ask for too. */
  readonly incoming: readonly Change[];
  /** Others see to what it makes for them: entries that come after it in their scripts, and here. */
  readonly spreads: boolean;
  readonly read: boolean;
  readonly answerBytesMax: number | undefined;
  /** The partition's last commit when it was evaluated. */
  readonly since: CommitId;
  /** Of all that the client saw of it. */
  readonly fingerprint: string;
  /** Generated ids in the order in which they were taken: another execution gets the same. */
  readonly identifiers: readonly (readonly number[])[];
  /** Ids that it gives, and that all partitions have been asked for. */
  readonly ids: readonly ClaimedIds[];
  /** What it did; nothing if it failed. */
  readonly changes: readonly Change[];
  /** Stands for what it has made for other partitions, which is in their scripts; null: nothing. */
  readonly escaped: string | null;
  /** A foreign key over partitions did not hold when it had been done; a later entry of the same number may have put that right. */
  readonly violated: boolean;
  readonly access: Access;
  /** That it needs where it must hold while others are prepared. */
  readonly locks: readonly Lock[];
}

/**
 * What an interactive transaction has done so far in one partition. In memory alone: none of it is in the rows, and whoever
 * loses it ends the transaction.
 */
export class Script {
  readonly name: string;
  /** Of all scripts that this partition ever has: see ScriptReference. */
  readonly id: string;
  readonly schema: SchemaVersion;
  readonly epoch: Epoch;
  /** When its transaction ends at the latest, Unix ms. */
  readonly expiresMs: number;
  readonly #entries: ScriptEntry[] = [];
  readonly #undone = new Set<number>();
  #bytes = 0;
  /** Of the live ones among the first `entries`. */
  #net = { changes: new NetChanges(), entries: 0 };

  constructor(name: string, id: string, schema: SchemaVersion, epoch: Epoch, expiresMs: number) {
    this.name = name;
    this.id = id;
    this.schema = schema;
    this.epoch = epoch;
    this.expiresMs = expiresMs;
  }

  /** All of them, those undone by ROLLBACK TO too: their answers were seen. */
  get entries(): readonly ScriptEntry[] {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get read(): boolean {
    return this.#entries.every(({ read }) => read);
  }

  /** What it does here is not all of what its statements do, or not all theirs. */
  get spreads(): boolean {
    return this.#entries.some(({ statement, spreads }) => statement === null || spreads);
  }

  /** Each once; of very many, those of whole tables. */
  get locks(): Lock[] {
    const locks = distinct(this.#entries.flatMap((entry) => entry.locks));
    if (locks.length <= LOCKS_MAX) return locks;
    return distinct(locks.map((lock) => ({ ...lock, token: null })));
  }

  add(entry: ScriptEntry): void {
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
  }

  /** Its evaluation was undone together with other work. */
  removeLast(): void {
    const last = this.#entries.pop();
    if (last !== undefined) this.#bytes -= entryBytes(last);
    this.#net = { changes: new NetChanges(), entries: 0 };
  }

  /** ROLLBACK TO has taken these back. */
  undo(ranges: readonly NumberRange[]): void {
    for (const [first, last] of ranges) for (let at = first; at <= last; at++) this.#undone.add(at);
    if (ranges.length > 0) this.#net = { changes: new NetChanges(), entries: 0 };
  }

  isLive({ number }: ScriptEntry): boolean {
    return !this.#undone.has(number);
  }

  /** What its statements before one have done, without those undone, as one change for each row. */
  net(before: number, layouts: Layouts): Change[] {
    const { changes } = this.#net;
    let { entries } = this.#net;
    for (; (this.#entries[entries]?.number ?? before) < before; entries++) {
      const entry = this.#entries[entries];
      if (entry !== undefined && this.isLive(entry)) changes.add(entry.changes, layouts);
    }
    this.#net = { changes, entries };
    return changes.list();
  }

  /** The same, change by change. */
  *liveChanges(before: number): Generator<Change> {
    for (const entry of this.#entries) if (entry.number < before && this.isLive(entry)) yield* entry.changes;
  }

  /** What a statement has done so far, and others for it. */
  changesOf(number: number): Change[] {
    return this.#entries.flatMap((entry) => (entry.number === number ? entry.changes : []));
  }
}

function distinct(locks: readonly Lock[]): Lock[] {
  return [...new Map(locks.map((lock) => [`${lock.table} ${lock.token} ${lock.exclusive}`, lock])).values()];
}

/** About what an entry takes in memory. */
export function entryBytes({ statement, changes }: Pick<ScriptEntry, 'statement' | 'changes'>): number {
  return (statement === null ? 0 : statementBytes(statement)) + changesBytes(changes);
}

export function statementBytes({ sql, args }: WireStatement): number {
  return 2 * (sql.length + (args === undefined ? 0 : JSON.stringify(args).length));
}

export function changesBytes(changes: readonly Change[]): number {
  return changes.reduce((sum, { before, after }) => sum + imageBytes(before) + imageBytes(after), 0);
}
