import { assert } from '../../base/assert.ts';
import type { Token } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ExecutionContext } from '../execution/context.ts';
import type { Change } from '../log/commit.ts';
import { type Allocation, allocate, allocateOwned } from '../schema/identifier-range.ts';
import { isPartitionedById } from '../schema/keyed-by-id.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import type { Table } from '../schema/table.ts';
import { covers } from '../schema/token-map.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { MARKS } from './bookkeeping.ts';
import type { Identity } from './identity.ts';

/**
 * Ids set aside by one logged mark. Marks are logged before an id under them is issued; a larger block logs
 * fewer marks and leaves larger gaps after an eviction (chosen).
 */
const BLOCK = 64;

/** Where a statement's generated ids come from. */
export type IdentifierSource = Pick<ExecutionContext, 'takeIdentifiers' | 'passIdentifiers' | 'mayGiveIds'>;

/** Where they are issued: what others have given is given up. */
export interface Issuing extends IdentifierSource {
  giveUpIdentifiers(table: Table, ids: readonly bigint[]): void;
}

/**
 * Issues generated ids from the partition's range. What lies between the issued ids and the logged mark is
 * known in memory only, and given up when the object is evicted.
 */
export class Identifiers {
  readonly #port: SqlitePort;
  readonly #identity: Identity;
  /** Per table: the next id to issue, and the logged mark that it must stay below. */
  readonly #tables = new Map<number, { next: number; mark: number }>();
  /** As it was when the open client transaction began, of the tables it has taken from. */
  readonly #before = new Map<number, { next: number; mark: number }>();

  constructor(port: SqlitePort, identity: Identity) {
    this.#port = port;
    this.#identity = identity;
  }

  /** A client's transaction begins: {@link rollback} returns to this. */
  begin(): void {
    this.#before.clear();
  }

  /** The client's transaction was undone, and its marks with it; no id of it was shown. */
  rollback(): void {
    for (const [table, state] of this.#before) this.#tables.set(table, state);
    this.#before.clear();
  }

  /**
   * `count` ids for rows of `table`, none of them in `given`, the ids that the statement brings along; logs the
   * mark in the transaction that is open.
   */
  take(table: Table, count: number, given: readonly number[] = []): number[] {
    const state = this.#changing(table);
    const { identifiers, ranges } = this.#identity;
    if (table.placement.kind === 'reference') for (const id of given) this.#pass(state, id);
    const range = { start: identifiers.start, end: identifiers.end, next: state.next };
    const allocation = isPartitionedById(table)
      ? this.#takeOwned(table, count, range, ranges, new Set(given))
      : allocate(range, count);
    if (allocation.kind !== 'allocated') {
      throw new AtollError('storage-full', `this partition has no generated ids left for ${table.name}`);
    }
    state.next = allocation.range.next;
    if (state.next > state.mark) this.#logMark(table, state);
    return [...allocation.ids];
  }

  /** Never issues these: clients have given them to rows, wherever they are. Logs the mark as {@link take} does. */
  giveUp(table: Table, ids: readonly bigint[]): void {
    const state = this.#changing(table);
    for (const id of ids) if (id < this.#identity.identifiers.end) this.#pass(state, Number(id));
    if (state.next > state.mark) this.#logMark(table, state);
  }

  /** Rows may have got more ids than were taken for them: goes on after the largest that is there. */
  pass(table: Table): void {
    const state = this.#changing(table);
    this.#passExisting(table, state);
    if (state.next > state.mark) this.#logMark(table, state);
  }

  /** Ids may also be given by clients here, within this partition: those present are passed over. */
  #takeOwned(
    table: Table,
    count: number,
    range: Parameters<typeof allocate>[0],
    ranges: Identity['ranges'],
    given: ReadonlySet<number>,
  ): Allocation {
    const present = `SELECT 1 FROM ${quoteName(table.name)} WHERE ${idSql(table)} = ?`;
    return allocateOwned(range, count, (candidate) => {
      if (given.has(candidate)) return false;
      const token: Token = tokenOfKey([BigInt(candidate)], [{ affinity: 'INTEGER', collation: 'BINARY' }]);
      return covers(ranges, token) && this.#port.query(present, candidate).rows.length === 0;
    });
  }

  /** A table's state, which may change from now on: {@link rollback} knows it as it is. */
  #changing(table: Table): { next: number; mark: number } {
    const state = this.#state(table);
    if (!this.#before.has(table.id)) this.#before.set(table.id, { ...state });
    return state;
  }

  #state(table: Table): { next: number; mark: number } {
    let state = this.#tables.get(table.id);
    if (state === undefined) {
      const row = this.#port.query('SELECT mark FROM _atoll_marks WHERE table_id = ?', table.id).rows[0];
      const mark = row === undefined ? this.#identity.identifiers.start : Number(row[0]);
      state = { next: mark, mark };
      this.#tables.set(table.id, state);
    }
    if (table.placement.kind === 'reference') this.#passExisting(table, state);
    return state;
  }

  /** A reference table's ids may be given by clients, and all its rows are here: continue after the largest. */
  #passExisting(table: Table, state: { next: number; mark: number }): void {
    const id = idSql(table);
    const { rows } = this.#port.query(
      `SELECT max(${id}) FROM ${quoteName(table.name)} WHERE ${id} BETWEEN ? AND ?`,
      state.next,
      this.#identity.identifiers.end - 1,
    );
    const largest = rows[0]?.[0] ?? null;
    if (largest !== null) this.#pass(state, Number(largest));
  }

  /** Negative ids and such are nobody's to issue. */
  #pass(state: { next: number }, id: number): void {
    if (id >= state.next && id < this.#identity.identifiers.end) state.next = id + 1;
  }

  #logMark(table: Table, state: { next: number; mark: number }): void {
    state.mark = Math.min(state.next + BLOCK, this.#identity.identifiers.end);
    assert(state.next <= state.mark, 'an id past the range');
    this.#port.query(
      'INSERT INTO _atoll_marks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET mark = ?2',
      table.id,
      state.mark,
    );
  }
}

/** What was captured, and changes of marks among it. */
export function apartFromMarks(captured: readonly Change[]): { rows: Change[]; marks: Change[] } {
  return {
    rows: captured.filter(({ tableId }) => tableId !== MARKS.id),
    marks: captured.filter(({ tableId }) => tableId === MARKS.id),
  };
}

/** Logs marks that were taken in a transaction which is undone otherwise: they never fall. */
export function logMarks(port: SqlitePort, marks: readonly Change[]): void {
  for (const { after } of marks) {
    if (after === null) continue;
    port.query(
      'INSERT INTO _atoll_marks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET mark = max(mark, ?2)',
      Number(after[0]),
      Number(after[1]),
    );
  }
}

/** The column of a table's generated ids. A hidden rowid stays bare: quoted it might be taken for text. */
function idSql({ rowidColumn, rowidName }: Table): string {
  return rowidColumn === null ? (rowidName ?? 'rowid') : quoteName(rowidColumn);
}
