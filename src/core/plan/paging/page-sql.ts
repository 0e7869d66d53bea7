import type { SqlValue } from '../../../base/sql-value.ts';
import { spliced } from '../splice.ts';
import type { Paging, Sorting } from './paging.ts';

/**
 * From where on a partition's rows are wanted: behind those whose sorting values these are, or, `included`, from the
 * first such row on. Values of ORDER BY's terms alone, or of the keys too.
 */
export interface Place {
  readonly values: readonly SqlValue[];
  readonly included: boolean;
}

/** A page's statement, and what goes behind the client's own arguments. */
export interface PageStatement {
  readonly sql: string;
  readonly args: readonly SqlValue[];
}

/** At most `rowsMax` rows from `place` on (null: from the first), in order, with the hidden columns. */
export function pageStatement(paging: Paging, place: Place | null, rowsMax: number): PageStatement {
  const { sql, core, start, parameters, hidden, sorting } = paging;
  const args: SqlValue[] = [BigInt(rowsMax)];
  const parameter = (value: SqlValue): string => `?${parameters + args.push(value)}`;
  const behind = place === null || place.values.length === 0 ? null : placeText(sorting, place, parameter);
  const last = core.columns.at(-1)?.end ?? core.start;
  const edits = [{ start: last, end: last, text: hidden.map((text) => `, ${text}`).join('') }];
  const { where, end } = core;
  if (behind !== null && where === null) edits.push({ start: end, end, text: ` WHERE ${behind}` });
  if (behind !== null && where !== null) {
    edits.push({ start: where.start, end: where.start, text: '(' });
    edits.push({ start: where.end, end: where.end, text: `) AND ${behind}` });
  }
  const order = sorting.map(({ column, collate, ...term }) => `${column + 1}${collate}${direction(term)}`);
  const text = spliced(sql, { start, end }, edits);
  return { sql: `${text} ORDER BY ${order.join(', ')} LIMIT ?${parameters + 1}`, args };
}

function direction({ descending, nulls }: Pick<Sorting, 'descending' | 'nulls'>): string {
  const usual = descending ? 'last' : 'first';
  return `${descending ? ' DESC' : ''}${nulls === usual ? '' : ` NULLS ${nulls.toUpperCase()}`}`;
}

/**
 * The condition for rows behind a place. With a bound for the first value alone, which an index can use, where no row behind
 * has NULL there.
 */
function placeText(
  sorting: readonly Sorting[],
  { values, included }: Place,
  parameter: (value: SqlValue) => string,
): string {
  const items = values.map((value, i) => ({
    ...(sorting[i] as Sorting),
    parameter: value === null ? null : parameter(value),
  }));
  const [first] = items;
  if (first === undefined) return '1';
  const chain = items.reduceRight<string>(
    (rest, item) => {
      const strict = strictly(item);
      if (rest === '0') return strict;
      const equal =
        item.parameter === null ? `${item.text} IS NULL` : `${operand(item)} IS ${item.parameter}`;
      const tied = rest === '1' ? equal : `${equal} AND ${rest}`;
      return strict === '0' ? `(${tied})` : `(${strict} OR ${tied})`;
    },
    included ? '1' : '0',
  );
  if (items.length === 1 && !included) return chain;
  const bounded = first.parameter !== null && (first.notNull || first.nulls === 'first');
  return bounded
    ? `${operand(first)} ${first.descending ? '<=' : '>='} ${first.parameter} AND ${chain}`
    : chain;
}

interface Item extends Sorting {
  /** Of the value; null for NULL. */
  readonly parameter: string | null;
}

/** Rows whose value comes behind the item's. */
function strictly(item: Item): string {
  if (item.parameter === null) return item.nulls === 'first' ? `${item.text} IS NOT NULL` : '0';
  const behind = `${operand(item)} ${item.descending ? '<' : '>'} ${item.parameter}`;
  return item.nulls === 'last' && !item.notNull ? `(${behind} OR ${item.text} IS NULL)` : behind;
}

function operand({ text, collate }: Item): string {
  return `${text}${collate}`;
}
