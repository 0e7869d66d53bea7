import { asciiLower } from '../../base/ascii.ts';
import type { TableId, Token } from '../../base/brand.ts';
import { toBase64 } from '../../protocol/base64.ts';
import { AtollError } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import type { Escapes } from '../../protocol/transaction.ts';
import type { Change, Image } from '../log/commit.ts';
import { encodeChanges } from '../log/encoding.ts';
import { keyText, type Layout, type Layouts, layoutOf } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { covers } from '../schema/token-map.ts';
import type { Identity } from './identity.ts';
import { foreignRow, referenceRow, tokenOfImage } from './ownership.ts';
import type { Replica } from './replica.ts';

/** A row's change in the partition that the row belongs to. */
export interface Escape {
  readonly token: Token;
  readonly change: Change;
}

/** What the statements may do elsewhere, by their plans. */
export interface Reach {
  /** Lower-case names of tables whose rows may move to other partitions. */
  readonly movable: ReadonlySet<string>;
  /** Whether entries of indexes over partitions may change. */
  readonly indexes: boolean;
  /** Lower-case names of the tables whose rows may be in its way wherever they are: nothing else of the part uses them. */
  readonly staged: ReadonlySet<string>;
}

/** `looked`: the rows in their way were looked for. */
export function reachOfStatements(
  replica: Replica,
  statements: readonly WireStatement[],
  looked: boolean,
): Reach {
  const movable = new Set<string>();
  let indexes = false;
  const staged = new Set<string>();
  for (const { sql } of statements) {
    const plan = replica.planOf(sql);
    if (plan?.kind !== 'route' && plan?.kind !== 'scatter-write') continue;
    for (const name of plan.moves ?? []) movable.add(asciiLower(name));
    indexes ||= plan.indexes !== undefined;
    // Without a look those of ids give none: else they are refused.
    if (plan.staged !== undefined && (looked || !plan.staged.byIds))
      staged.add(asciiLower(plan.staged.table));
  }
  return { movable, indexes, staged };
}

export interface Split {
  /** What changes here. A row that leaves is deleted, and a row that was never to be here does not come. */
  readonly kept: readonly Change[];
  /** Rows to create elsewhere, as they were in the end. */
  readonly escaped: readonly Escape[];
}

/**
 * Takes what a statement has changed apart: what belongs to this partition, and the rows that belong to others. In a log
 * without the rows of others each change still goes from one state of the rest to the next.
 *
 * @throws AtollError `multi-partition-write` for a row of another partition whose table is none of `movable`
 */
export function splitChanges(
  changes: readonly Change[],
  layouts: Layouts,
  schema: Schema,
  identity: Identity,
  movable: ReadonlySet<string>,
): Split {
  const kept: Change[] = [];
  /** By the row's key: it may be changed again before it leaves. */
  const leaving = new Map<string, Escape>();
  for (const change of changes) {
    const table = schema.stored.get(change.tableId);
    if (table?.placement.kind === 'reference') throw referenceRow(table);
    if (table === undefined) {
      kept.push(change);
      continue;
    }
    const layout = layoutOf(layouts, change);
    const { before, after } = change;
    const target = after === null ? null : tokenOfImage(table, layout, after);
    const stays = target === null || covers(identity.ranges, target);
    const wasForeign = before !== null && leaving.delete(keyText(layout, before));
    if (!stays && !movable.has(asciiLower(table.name))) throw foreignRow(table);
    const from = wasForeign ? null : before;
    const to = stays ? after : null;
    if (from !== null || to !== null) kept.push(changeOf(change.tableId, layout, from, to));
    if (target !== null && after !== null && !stays)
      leaving.set(keyText(layout, after), {
        token: target,
        change: changeOf(change.tableId, layout, null, after),
      });
  }
  return { kept, escaped: [...leaving.values()] };
}

function changeOf(tableId: TableId, { layout }: Layout, before: Image | null, after: Image | null): Change {
  const type = before === null ? 'create' : after === null ? 'delete' : 'update';
  return { type, tableId, layout, before, after };
}

/** Bytes of what one partition sends to others (chosen: as much as one may change). */
const ESCAPES_BYTES_MAX = 16 * 1024 * 1024;

/** @throws AtollError `too-large` */
export function encodeEscapes(escaped: readonly Escape[]): Escapes {
  const bytes = encodeChanges(escaped.map(({ change }) => change));
  if (bytes.length > ESCAPES_BYTES_MAX) {
    throw new AtollError(
      'too-large',
      `the transaction moves ${bytes.length} bytes to other partitions, ${ESCAPES_BYTES_MAX} are allowed: change fewer rows at a time`,
    );
  }
  return { tokens: escaped.map(({ token }) => token), changes: toBase64(bytes) };
}
