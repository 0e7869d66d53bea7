import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { encodeRow } from '../../protocol/json-value.ts';
import type { ClaimedIds, TransactRequest } from '../../protocol/transaction.ts';
import type { Change } from '../log/commit.ts';
import { keyOf, type Layouts, layoutOf } from '../log/layout.ts';
import type { Table } from '../schema/table.ts';
import { SqliteError } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { idLocks } from '../transaction/footprint.ts';
import type { Lock } from '../transaction/lock.ts';
import type { IdentifierSource } from './identifiers.ts';
import { overtaken } from './overtaken.ts';
import type { Replica } from './replica.ts';
import type { Visitors } from './visitors.ts';

/**
 * Ids that clients give, in tables whose ids do not say where a row is. A row with the id may be anywhere: it may have been
 * generated, given, moved or restored. So the transaction that gives it has a part in every partition, and when it is decided,
 *
 * - each holds the lock of the id, which whoever makes a row with it needs there (`changedLocks`), so that nobody else does;
 * - each but the one that is to have the row has none with the id, as the transaction leaves it;
 * - the one whose range has the id has logged a mark above it, so that it is not generated later; nor was it generated before
 *   and is yet to be inserted: neither by what is prepared, which has the lock, nor by an interactive transaction, which is asked.
 */
export class Claims {
  readonly #replica: Replica;
  readonly #claimed: readonly ClaimedIds[];
  /** All that are claimed, by table. */
  readonly #tables: ReadonlyMap<TableId, ReadonlySet<bigint>>;
  /** The interactive transaction that claims them; null: another one does. */
  readonly #script: string | null;
  readonly #visitors: readonly Change[];
  /** Ids that the statements have had generated meanwhile. */
  readonly #generated = new Map<TableId, Set<bigint>>();

  /** `visitors`: rows that are there already, and may come back under their ids. */
  constructor(
    replica: Replica,
    claimed: readonly ClaimedIds[],
    {
      script = null,
      visitors = null,
    }: { readonly script?: string | null; readonly visitors?: Visitors | null } = {},
  ) {
    this.#replica = replica;
    this.#claimed = claimed;
    this.#script = script;
    this.#visitors = [...(visitors?.foreign ?? []), ...(visitors?.own ?? [])];
    this.#tables = new Map(
      claimed.map(({ table, here, elsewhere }) => [table, new Set([...here, ...elsewhere].map(BigInt))]),
    );
  }

  /**
   * Before the statements run: none of the ids is generated from now on.
   *
   * @throws AtollError `conflict`: an interactive transaction has it, and may insert it yet
   */
  claim(now: number): void {
    for (const [id, claimed] of this.#tables) {
      const table = tableOf(this.#replica, id);
      const ids = [...claimed];
      const open = ids.find((each) => this.#isInScript(id, each, now));
      if (open !== undefined) {
        throw new AtollError(
          'conflict',
          `the ${table.rowidColumn} ${open} of ${table.name} was given to a row of an interactive transaction that has not ended; try again`,
          'none',
          { reason: 'id-in-use' },
        );
      }
      this.#replica.identifiers.giveUpIdentifiers(table, ids);
    }
  }

  /**
   * Before statements that have looked for rows with the ids run. `looked`: lower-case names of their tables.
   *
   * @throws AtollError `conflict`: one has come here since
   */
  refuseThere(looked: ReadonlySet<string>): void {
    for (const { table: id, here } of this.#claimed) {
      const table = tableOf(this.#replica, id);
      if (!looked.has(asciiLower(table.name))) continue;
      if (here.some((each) => hasRow(this.#replica, table, BigInt(each)))) throw overtaken();
    }
  }

  /** For the statements, which may give what is claimed for this partition. */
  get identifiers(): IdentifierSource {
    const { identifiers } = this.#replica;
    return {
      ...identifiers,
      takeIdentifiers: (table, count, given) => {
        const ids = identifiers.takeIdentifiers(table, count, given);
        const known = this.#generated.get(table.id) ?? new Set();
        for (const id of ids) known.add(BigInt(id));
        this.#generated.set(table.id, known);
        return ids;
      },
      mayGiveIds: ({ id }) => this.#tables.has(id),
    };
  }

  /**
   * When the statements have run. `blocked` is told who may take back what an id is refused for.
   *
   * @throws AtollError `constraint` of an id that a row here has
   */
  check(changes: readonly Change[], layouts: Layouts, blocked: (error: SqliteError) => void): void {
    for (const change of changes) this.#checkCreated(change, layouts);
    refuseElsewhere(this.#replica, this.#claimed, blocked);
  }

  /** The router has counted what the statements give: they must not give anything else. */
  #checkCreated(change: Change, layouts: Layouts): void {
    const claimed = this.#tables.get(change.tableId);
    if (claimed === undefined || change.type !== 'create' || change.after === null) return;
    const [id] = keyOf(layoutOf(layouts, change), change.after);
    if (typeof id !== 'bigint') return;
    if (claimed.has(id) || this.#generated.get(change.tableId)?.has(id) === true) return;
    if (this.#hasVisited(change.tableId, id, layouts)) return;
    throw unclaimed();
  }

  #hasVisited(table: TableId, id: bigint, layouts: Layouts): boolean {
    return this.#visitors.some(
      (visitor) =>
        visitor.tableId === table &&
        visitor.after !== null &&
        keyOf(layoutOf(layouts, visitor), visitor.after)[0] === id,
    );
  }

  /** An interactive transaction's ids are issued when its statements first run, and inserted when it commits. */
  #isInScript(table: TableId, id: bigint, now: number): boolean {
    return this.#replica.scripts
      .live(now)
      .some(
        ({ name, entries }) =>
          name !== this.#script &&
          entries.some(
            ({ access, identifiers }) =>
              access.written.has(table) && identifiers.some((ids) => ids.includes(Number(id))),
          ),
      );
  }
}

/** That a part of a transaction needs for the ids that it claims. */
export function claimLocks(claimed: readonly ClaimedIds[]): Lock[] {
  return claimed.flatMap(({ table, here, elsewhere }) => idLocks(table, [...here, ...elsewhere].map(BigInt)));
}

/**
 * Refuses a request in which not every partition is asked for the ids.
 *
 * @throws AtollError `bad-request`
 */
export function refuseUnclaimed({ parts, ring = [] }: TransactRequest): void {
  const claims = new Map(parts.map(({ partition, ids }) => [partition, ids]));
  if ([...claims.values()].every((ids) => ids === undefined)) return;
  const texts = new Set(ring.map(([, partition]) => idsText(claims.get(partition) ?? [])));
  if (texts.size === 1 && parts.every(({ ids }) => texts.has(idsText(ids ?? [])))) return;
  throw unclaimed();
}

export function unclaimed(): AtollError {
  return new AtollError(
    'bad-request',
    'a transaction that gives ids has to ask every partition for all of them',
  );
}

function idsText(claimed: readonly ClaimedIds[]): string {
  return JSON.stringify(
    claimed.map(({ table, here, elsewhere }) => [table, [...here, ...elsewhere].sort()]).sort(),
  );
}

/**
 * `blocked` is told who may take back what an id is refused for.
 *
 * @throws AtollError `constraint` of an id that a row here has, and that is to be another partition's
 */
export function refuseElsewhere(
  replica: Replica,
  claimed: readonly ClaimedIds[],
  blocked: (error: SqliteError) => void = () => undefined,
): void {
  for (const { table: id, elsewhere } of claimed) {
    const table = tableOf(replica, id);
    const found = elsewhere.map(BigInt).find((each) => hasRow(replica, table, each));
    if (found === undefined) continue;
    blocked(taken(table));
    throw takenError(table, found);
  }
}

function tableOf({ schema }: Replica, id: TableId): Table {
  return present(schema.stored.get(id), () => `ids are claimed in a table ${id}`);
}

function hasRow({ port }: Replica, { name, rowidColumn }: Table, id: bigint): boolean {
  const column = quoteName(present(rowidColumn, () => `${name} has ids`));
  const sql = `SELECT 1 FROM ${quoteName(name)} WHERE ${column} = CAST(? AS INTEGER)`;
  return port.query(sql, String(id)).rows.length > 0;
}

/** As SQLite says it. */
function taken({ name, rowidColumn }: Table): SqliteError {
  const message = `UNIQUE constraint failed: ${name}.${rowidColumn}`;
  return new SqliteError('constraint', 'SQLITE_CONSTRAINT_PRIMARYKEY', message);
}

/** With what tells an import which of its lines it is. */
function takenError(table: Table, id: bigint): AtollError {
  const { message, code } = taken(table);
  return new AtollError('constraint', message, 'none', {
    sqlite: code,
    table: table.name,
    columns: [table.rowidColumn],
    values: JSON.parse(encodeRow([id])) as unknown,
  });
}
