import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { hexOf } from '../../core/sqlite/literal.ts';
import { AtollError } from '../../protocol/error.ts';

/**
 * Values as the JSON that SQLite's json_each gives back exactly: integers of 64 bits, REALs by their digits, `9e999`,
 * `\u0000`. A BLOB is `{"b":"<hex>"}` and TEXT that is not UTF-8 `{"t":"<hex>"}`, which the statement unpacks.
 */

/** Nothing that JSON escapes, half surrogate pairs included. */
const PLAIN = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;
/** Up to here the test is cheaper than JSON.stringify (measured: protocol/json-value.ts). */
const SHORT = 64;

export function textOfString(value: string): string {
  if (value.length <= SHORT && PLAIN.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) {
    throw new AtollError('parameter', 'it has half of a surrogate pair, which is no character');
  }
  return JSON.stringify(value);
}

/** An integral number that `source` may have written as a REAL. */
const MAY_BE_REAL = /\d[.eE]/;

/**
 * A number as JSON.parse gives it, out of the line `source`. Null when that is not enough: beyond 2^53, or where `5`
 * and `5.0` differ (`tellsReals`) and JavaScript cannot tell them apart. Other columns keep no zero's sign either.
 */
export function textOfNumber(value: number, tellsReals: boolean, source: string): string | null {
  if (!Number.isInteger(value)) return Number.isFinite(value) ? String(value) : null;
  if (!Number.isSafeInteger(value) || (tellsReals && MAY_BE_REAL.test(source))) return null;
  return String(value);
}

export function textOfValue(value: SqlValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return textOfString(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return textOfReal(value);
  return value instanceof RawText ? `{"t":"${hexOf(value.bytes)}"}` : `{"b":"${hexOf(value)}"}`;
}

/** Whether {@link textOfValue} makes an object of it. */
export function isTagged(value: SqlValue): boolean {
  return typeof value === 'object' && value !== null;
}

function textOfReal(value: number): string {
  if (value === Infinity) return '9e999';
  if (value === -Infinity) return '-9e999';
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
