import { asciiLower } from '../../base/ascii.ts';
import type { CommitId, TableId, Token } from '../../base/brand.ts';
import { BARRIERS, type Change } from '../log/commit.ts';
import { keyOf, type Layout, type Layouts, layoutOf, readLayouts } from '../log/layout.ts';
import { readCommitPages, readEntries } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import { touchedSince } from '../log/touched.ts';
import { FIRST_USER_TABLE_ID } from '../schema/catalogue.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import type { Table } from '../schema/table.ts';
import { idLocks } from '../transaction/footprint.ts';
import { conflict, type Lock } from '../transaction/lock.ts';
import type { ScriptEntry } from '../transaction/script.ts';
import type { Replica } from './replica.ts';

/** Images of later entries that are looked at key by key; of more, tables count as changed (chosen: some ms). */
const IMAGES_MAX = 2_000;
/** Entries read at a time. */
const PAGE_ENTRIES = 256;
const PAGE_BYTES = 1_048_576;

/** A row that an entry has changed. */
interface Touch {
  readonly commit: CommitId;
  readonly table: TableId;
  /** What whoever depends on it has a lock of; null: of a reference table, all of it. */
  readonly lock: Lock | null;
}

/** What others have changed since a script's statements were evaluated. */
export class LaterChanges {
  readonly #replica: Replica;
  readonly #last: CommitId;
  readonly #first: CommitId;
  readonly #own: string | null;
  /** Undefined: not looked at yet; null: there are too many. */
  #touches: readonly Touch[] | null | undefined;

  /** `own`: the transaction whose entries count as none. */
  constructor(replica: Replica, entries: readonly ScriptEntry[], own: string | null) {
    this.#replica = replica;
    this.#own = own;
    this.#last = readHead(replica.port).lastCommitId;
    this.#first = entries.reduce((least, { since }) => (since < least ? since : least), this.#last);
  }

  /** Whether rows that the statement depends on may have changed. */
  concern({ since, access, locks }: ScriptEntry): boolean {
    if (since === this.#last || !touchedSince(this.#replica.port, since, access.touched)) return false;
    if (this.#touches === undefined) this.#touches = this.#read();
    if (this.#touches === null) return true;
    return this.#touches.some(({ commit, table, lock }) => {
      if (commit <= since || !access.touched.has(table)) return false;
      return lock === null || locks.some((own) => conflict(lock, own));
    });
  }

  #read(): Touch[] | null {
    const { port } = this.#replica;
    const layouts = readLayouts(port);
    const touches: Touch[] = [];
    for (let next = this.#first + 1; next <= this.#last; ) {
      const entries = readEntries(port, next as CommitId, PAGE_ENTRIES, PAGE_BYTES);
      if (entries[0]?.header.commitId !== next) return null;
      for (const entry of entries) {
        const { commitId, kind, transactionId } = entry.header;
        if (BARRIERS.has(kind)) return null;
        next = commitId + 1;
        if (transactionId !== null && transactionId === this.#own) continue;
        for (const page of readCommitPages(port, entry)) {
          for (const change of page) touches.push(...this.#touchesOf(commitId, change, layouts));
          if (touches.length > IMAGES_MAX) return null;
        }
      }
    }
    return touches;
  }

  #touchesOf(commit: CommitId, change: Change, layouts: Layouts): Touch[] {
    if (change.tableId < FIRST_USER_TABLE_ID) return [];
    const layout = layoutOf(layouts, change);
    const table = this.#replica.schema.table(layout.table);
    const common = { commit, table: change.tableId };
    if (table?.placement.kind !== 'partitioned') return [{ ...common, lock: null }];
    const columns = layout.columns.map(asciiLower);
    const places = table.placement.key.map((name) => columns.indexOf(asciiLower(name)));
    const rows = [change.before, change.after].flatMap((image) =>
      image === null ? [] : [{ table: table.id, token: tokenAt(table, places, image), exclusive: true }],
    );
    return [...rows, ...idLocksOf(table, change, layout)].map((lock) => ({ ...common, lock }));
  }
}

/** Of a row that comes or goes, where its id does not say where it is: a statement may depend on that alone. */
function idLocksOf(table: Table, { type, before, after }: Change, layout: Layout): Lock[] {
  const image = type === 'update' ? null : (after ?? before);
  if (image === null || looseIdColumn(table) === null) return [];
  const [id] = keyOf(layout, image);
  return typeof id === 'bigint' ? idLocks(table.id, [id]) : [];
}

function tokenAt(table: Table, places: readonly number[], image: Change['before'] & object): Token {
  return tokenOfKey(
    places.map((place) => image[place] ?? null),
    keyColumns(table),
  );
}
