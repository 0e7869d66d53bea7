import { assert } from '../../base/assert.ts';
import { RawText, type SqlValue } from '../../base/sql-value.ts';
import type { PortResult, PortValue, SqlitePort } from './port.ts';
import { decodeUtf8 } from './utf8.ts';

/**
 * Exact values through a port that has neither integers nor raw text (see port.ts).
 *
 * Reading: NULL, BLOB and non-integral REALs tell themselves. One extra result column, a bit per column,
 * tells REAL 1.0 from INTEGER 1. Only columns in which a number at or beyond 2^53 or a U+FFFD was seen
 * are read once more, as text or bytes. Binding: integers as text under CAST, so that none becomes REAL.
 */

/** Result columns beside the mask: SQLite's limit of 100 result columns in workerd, less one (imposed). */
export const EXACT_COLUMNS_MAX = 99;

/** Bits in one number of the mask; a double carries 53 exactly (imposed). */
const MASK_BITS = 48;

/**
 * Rows of `SELECT columns… tail`, exact. `columns` are SQL expressions without side effects, `tail` is
 * everything from FROM on. `tail` must fix the order of rows (ORDER BY a key): it may run more than once.
 */
export function selectExact(
  port: SqlitePort,
  columns: readonly string[],
  tail: string,
  bindings: readonly PortValue[] = [],
): SqlValue[][] {
  const { rows } = port.query(maskedSelect(columns, tail), ...bindings);
  return exactRows(port, columns, tail, bindings, rows);
}

/**
 * As {@link selectExact}, but stops before the row that would exceed `bytesMax`: none at all, if that is the
 * first. `tail` has no LIMIT.
 */
export function selectExactBounded(
  port: SqlitePort,
  columns: readonly string[],
  tail: string,
  bindings: readonly PortValue[],
  bytesMax: number,
): { readonly rows: SqlValue[][]; readonly truncated: boolean } {
  const { rows, truncated } = port.queryBounded(maskedSelect(columns, tail), bindings, bytesMax);
  const again = truncated ? `${tail} LIMIT ${rows.length}` : tail;
  return { rows: exactRows(port, columns, again, bindings, rows), truncated };
}

function maskedSelect(columns: readonly string[], tail: string): string {
  assert(columns.length <= EXACT_COLUMNS_MAX, 'too many columns for an exact read');
  const list = columns.length === 0 ? '' : `, ${columns.join(', ')}`;
  return `SELECT ${realMask(columns)}${list} ${tail}`;
}

/** Exact values of `rows`, whose first column is the mask. */
function exactRows(
  port: SqlitePort,
  columns: readonly string[],
  tail: string,
  bindings: readonly PortValue[],
  rows: PortResult['rows'],
): SqlValue[][] {
  const inexact = new Set<number>();
  const result = rows.map((row) => {
    const mask = maskOf(row[0] ?? 0);
    const values: SqlValue[] = new Array(columns.length);
    for (let i = 0; i < columns.length; i++) {
      const value = row[i + 1] ?? null;
      if (typeof value === 'number') {
        if (!Number.isInteger(value) || mask(i)) values[i] = value;
        else if (Number.isSafeInteger(value)) values[i] = BigInt(value);
        else inexact.add(i);
      } else {
        if (typeof value === 'string' && value.includes('\ufffd')) inexact.add(i);
        values[i] = value;
      }
    }
    return values;
  });
  for (const index of inexact) readAgain(port, columns[index] ?? '', tail, bindings, result, index);
  return result;
}

/** SQL of the mask: an INTEGER up to 48 columns, else the INTEGERs of each 48 as TEXT. */
function realMask(columns: readonly string[]): string {
  const parts: string[] = [];
  for (let from = 0; from < columns.length; from += MASK_BITS) {
    const bits = columns
      .slice(from, from + MASK_BITS)
      // In SQLite `|` and `<<` bind alike, from the left.
      .map((column, i) => `((typeof(${column})='real')<<${i})`);
    // A balanced tree: SQLite allows an expression depth of 100.
    parts.push(balanced(bits));
  }
  if (parts.length === 0) return '0';
  return parts.length === 1 ? (parts[0] ?? '0') : parts.map((part) => `(${part})`).join(`||' '||`);
}

function balanced(terms: readonly string[]): string {
  if (terms.length <= 2) return `(${terms.join('|')})`;
  const middle = terms.length >> 1;
  return `(${balanced(terms.slice(0, middle))}|${balanced(terms.slice(middle))})`;
}

function maskOf(mask: PortValue): (index: number) => boolean {
  if (mask === 0) return () => false;
  const words = typeof mask === 'number' ? [mask] : String(mask).split(' ').map(Number);
  return (index) => {
    const word = words[Math.floor(index / MASK_BITS)] ?? 0;
    return Math.floor(word / 2 ** (index % MASK_BITS)) % 2 === 1;
  };
}

/** Replaces column `index` of `result` by what a second reading finds: integers as text, text as bytes. */
function readAgain(
  port: SqlitePort,
  column: string,
  tail: string,
  bindings: readonly PortValue[],
  result: SqlValue[][],
  index: number,
): void {
  const exact =
    `CASE typeof(${column}) WHEN 'integer' THEN CAST(${column} AS TEXT) ` +
    `WHEN 'text' THEN CAST(${column} AS BLOB) END`;
  const { rows } = port.query(`SELECT typeof(${column}), ${exact} ${tail}`, ...bindings);
  assert(rows.length === result.length, 'the rows of an exact read changed between its two readings');
  rows.forEach(([type, value], i) => {
    const target = result[i];
    if (target === undefined) return;
    if (type === 'integer' && typeof value === 'string') target[index] = BigInt(value);
    if (type === 'text' && value instanceof Uint8Array) target[index] = textOf(value);
  });
}

/** TEXT from its bytes. */
export function textOf(bytes: Uint8Array): string | RawText {
  return decodeUtf8(bytes) ?? new RawText(bytes);
}

/** A value as an expression with one `?` and what to bind to it. */
export interface Bound {
  readonly sql: string;
  readonly binding: PortValue;
}

/**
 * Binds a value with its exact type. Unary `+` takes the affinity that CAST would bring into a
 * comparison; indexes are still used.
 */
export function bindExact(value: SqlValue): Bound {
  if (typeof value === 'bigint') return { sql: '+CAST(? AS INTEGER)', binding: value.toString() };
  if (value instanceof RawText) return { sql: '+CAST(? AS TEXT)', binding: value.bytes };
  if (typeof value === 'number') assert(!Number.isNaN(value), 'NaN is no SQL value');
  return { sql: '?', binding: value };
}
