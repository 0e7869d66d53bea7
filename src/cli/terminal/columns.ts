import type { SqlOutput } from '../../client/index.ts';
import { renderTable, type TableOptions } from './table.ts';

/** A column of a table of things: its head, and what it says of one; undefined where there is nothing to say. */
export type Column<Thing> = readonly [name: string, of: (thing: Thing) => SqlOutput | undefined];

/** Things as a table. Columns that no thing has a value for are left out, and a cell without one is empty. */
export function renderColumns<Thing>(
  columns: readonly Column<Thing>[],
  things: readonly Thing[],
  options: TableOptions,
): string {
  const shown = columns.filter(([, of]) => things.some((thing) => of(thing) !== undefined));
  return renderTable(
    shown.map(([name]) => name),
    things.map((thing) => shown.map(([, of]) => of(thing) ?? '')),
    options,
  );
}
