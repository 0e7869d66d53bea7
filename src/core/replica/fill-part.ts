import { AtollError } from '../../protocol/error.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import type { IndexFillReply } from '../../protocol/schema.ts';
import type { IndexPage } from '../../protocol/transaction.ts';
import type { Change } from '../log/commit.ts';
import { sameValues } from '../log/encoding.ts';
import { type Layouts, layoutOf } from '../log/layout.ts';
import { readRow } from '../log/rows.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { UniqueIndex } from '../schema/unique-index.ts';
import type { Lock } from '../transaction/lock.ts';
import type { Escape } from './escapes.ts';
import { layoutFor, type Page, readPage } from './export.ts';
import { tokenOfImage } from './ownership.ts';
import type { Replica } from './replica.ts';
import { entryChange, entryOf } from './unique-entries.ts';

/**
 * A page of rows that get their entries in an index over partitions that is being built, as a part of a transaction: the rows are
 * locked like what a transaction reads, so that nobody changes one between its entry and the decision.
 */

/** Rows of a page (chosen: each is locked by its key, and writers of them wait as long as a transaction takes). */
const ROWS_MAX = 250;

interface Filled extends Page {
  readonly index: UniqueIndex;
  readonly owner: Table;
}

export function pageLocks(replica: Replica, page: IndexPage): Lock[] {
  const { owner, rows } = filled(replica, page);
  const layout = layoutFor(owner);
  const tokens = new Set(rows.map((row) => tokenOfImage(owner, layout, row)));
  return [...tokens].map((token) => ({ table: owner.id, token, exclusive: false }));
}

/** Entries for the page's rows; whoever has one already knows. */
export function fillPage(
  replica: Replica,
  page: IndexPage,
): { readonly escaped: readonly Escape[]; readonly filled: IndexFillReply } {
  const { index, owner, rows, next } = filled(replica, page);
  const layout = layoutFor(owner);
  const escaped = rows.flatMap((row) => {
    const entry = entryOf(index, layout, row);
    return entry === null ? [] : [entryChange(index, entry, 'create')];
  });
  return { escaped, filled: { rows: rows.length, after: next === null ? null : encodeRow(next) } };
}

function filled({ port, schema }: Replica, { index: id, after }: IndexPage): Filled {
  const { uniques = [], tables } = schema.catalogue;
  const index = uniques.find(({ table }) => table.id === id);
  const owner = tables.find((table) => table.id === index?.of);
  if (index?.state !== 'filling' || owner === undefined)
    throw new AtollError('no-such-table', `no index ${id} is being built`);
  const page = readPage(
    port,
    owner,
    after === null ? null : decodeRow(parseJson(after) as unknown[]),
    ROWS_MAX,
  );
  return { ...page, index, owner };
}

/**
 * Of changes to entries those that are to be made. While an index is built, an entry that goes may never have been there, and one
 * that comes may have been: a writer of the row was first. Of another row's, neither is meant.
 */
export function entriesToChange(
  { port, schema }: Pick<Replica, 'port' | 'schema'>,
  changes: readonly Change[],
  layouts: Layouts,
): readonly Change[] {
  const filling = schema.catalogue.uniques?.filter(({ state }) => state === 'filling') ?? [];
  if (filling.length === 0) return changes;
  const ids = new Set(filling.map(({ table }) => table.id));
  return changes.filter((change) => {
    const entry = change.before ?? change.after;
    if (!ids.has(change.tableId) || entry === null) return true;
    const there = readRow(port, layoutOf(layouts, change), entry);
    const isThere = there !== null && sameValues(there, entry);
    return change.type === 'delete' ? isThere : !isThere;
  });
}

/**
 * A script notes what it changes; an entry that is not there yet, and so need not go, may be there when it is replayed.
 *
 * @throws AtollError `schema-conflict`
 */
export function refuseFilling({ catalogue }: Schema, changes: readonly Change[]): void {
  const index = catalogue.uniques?.find(
    ({ table, state }) => state === 'filling' && changes.some(({ tableId }) => tableId === table.id),
  );
  if (index === undefined) return;
  throw new AtollError(
    'schema-conflict',
    `a UNIQUE index (${index.columns.join(', ')}) is being built over the rows that are there: until then write its table by /v1/query or /v1/batch`,
    'none',
  );
}
