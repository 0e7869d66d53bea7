import { present } from '../../base/assert.ts';
import type { Image } from '../../core/log/commit.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow } from '../../protocol/json-value.ts';
import type { Escapes } from '../../protocol/transaction.ts';
import type { KnownNetwork } from '../known-network.ts';
import type { Stage } from '../stage.ts';
import { idsOf, selectAny, visitorsOf } from '../staged.ts';
import { type Looking, rowText, type Sought, valueText } from '../staged-together.ts';

/** Values that one read asks for (chosen: below the 100 parameters that a statement may have). */
const VALUES_MAX = 90;

/** The rows in the way, and their ids. */
export interface Found {
  readonly visitors: Escapes;
  readonly met: Stage['met'];
}

/**
 * The rows in the way of an INSERT, as its transaction sees them: by reads of the transaction itself, `read`, whose answers must
 * hold at the commit like all others.
 */
export async function visitorsWithin(
  { schema }: KnownNetwork,
  { plan, place, sought }: Looking,
  read: (statement: WireStatement) => Promise<Response>,
): Promise<Found> {
  const table = present(schema.table(plan.staged.table), 'a plan is of a table of its schema');
  const found = new Map<string, Image>();
  for (const some of inPieces(distinct(sought))) {
    const response = await read(selectAny(table, some));
    // Not `JSON.parse`, for which 1.0 is 1.
    const { rows } = parseJson(await response.text()) as { rows: unknown[][] };
    for (const image of rows.map((row) => decodeRow(row))) found.set(rowText(table, image), image);
  }
  const visits = [...found.values()].map((image) => ({ place, table, image }));
  return { visitors: visitorsOf(visits), met: idsOf(visits) };
}

/** A read of the transaction asks all partitions: what is sought in each of them is asked for once. */
function distinct(sought: readonly Sought[]): Sought[] {
  const known = new Map(
    sought.map((each) => [`${each.columns.join()}:${valueText(each.values, each.classes)}`, each]),
  );
  return [...known.values()];
}

function inPieces(sought: readonly Sought[]): Sought[][] {
  const pieces: Sought[][] = [];
  let room = 0;
  for (const each of sought) {
    room -= each.values.length;
    if (room < 0) {
      pieces.push([]);
      room = VALUES_MAX - each.values.length;
    }
    pieces.at(-1)?.push(each);
  }
  return pieces;
}
