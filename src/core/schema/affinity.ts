import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { realToText } from './real-text.ts';
import type { Affinity } from './table.ts';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * The value as SQLite stores it in a column of that affinity, but for one thing: an integral REAL within int64
 * is INTEGER here even where SQLite keeps it REAL (in REAL columns, for one), since `=` cannot tell
 * them apart. https://www.sqlite.org/datatype3.html sections 3 and 4.2; NaN is NULL, as on bind.
 */
export function storedAs(value: SqlValue, affinity: Affinity): SqlValue {
  if (value === null || value instanceof Uint8Array) return value;
  if (affinity === 'TEXT') {
    if (typeof value === 'bigint') return value.toString();
    if (typeof value === 'number') return Number.isNaN(value) ? null : realToText(value);
    return value;
  }
  if (typeof value === 'bigint') return affinity === 'REAL' ? integralToInteger(Number(value)) : value;
  if (typeof value === 'number') return integralToInteger(value);
  if (affinity === 'BLOB') return value;
  const number = textToNumber(value);
  if (number === null) return value;
  return typeof number === 'bigint' && affinity === 'REAL' ? integralToInteger(Number(number)) : number;
}

/** INTEGER if the REAL has an equal one; −0.0 is 0; NaN is NULL. */
function integralToInteger(real: number): bigint | number | null {
  if (Number.isInteger(real)) return real >= -(2 ** 63) && real < 2 ** 63 ? BigInt(real) : real;
  return Number.isNaN(real) ? null : real;
}

/** SQLite's white space is ASCII only, and a NUL ends the number whatever follows it. */
const NUMBER = /^[ \t\n\v\f\r]*([+-]?)(\d*)(?:(\.)(\d*))?(?:[eE]([+-]?\d+))?[ \t\n\v\f\r]*$/;

/** The number that numeric affinity makes of a text, or null if the text does not look like one. */
export function textToNumber(value: string | RawText): bigint | number | null {
  const text = value instanceof RawText ? latin1(value.bytes) : value;
  if (!mayBeNumber(text)) return null;
  const nul = text.indexOf('\0');
  const match = NUMBER.exec(nul < 0 ? text : text.slice(0, nul));
  if (match === null) return null;
  const [, sign = '', whole = '', point, fraction = '', exponent] = match;
  if (whole === '' && fraction === '') return null;
  // With a NUL inside, SQLite's exact integer reader sees bytes left over and the REAL stands.
  if (point === undefined && exponent === undefined && nul < 0) {
    const integer = BigInt(whole) * (sign === '-' ? -1n : 1n);
    if (integer >= INT64_MIN && integer <= INT64_MAX) return integer;
  }
  const magnitude = decimalToReal(whole, fraction, Number(exponent ?? 0));
  return integralToInteger(sign === '-' ? -magnitude : magnitude);
}

/** Cheap refusal of most texts: a number begins with white space, a sign, a point or a digit. */
function mayBeNumber(text: string): boolean {
  const first = text.charCodeAt(0);
  return (first >= 0x30 && first <= 0x39) || (first >= 9 && first <= 13) || ' +-.'.includes(text.charAt(0));
}

/** sqlite3AtoF stops taking digits into its 64-bit mantissa from here on. */
const MANTISSA_LIMIT = (2n ** 64n - 10n) / 10n;

/**
 * SQLite reads only the first 19 or 20 significant digits of a REAL, so that its result is now and then one unit
 * beside the nearest double: cut as it cuts, then JavaScript's correct rounding agrees.
 */
function decimalToReal(whole: string, fraction: string, exponent: number): number {
  const digits = (whole + fraction).replace(/^0+/, '');
  const wholeLength = digits.length - fraction.length;
  let taken = Math.min(digits.length, 19);
  if (digits.length > 19 && BigInt(digits.slice(0, 19)) < MANTISSA_LIMIT) taken = 20;
  const clamped = Math.max(-10_000, Math.min(10_000, exponent));
  return Number(`${digits.slice(0, taken) || '0'}e${wholeLength - taken + clamped}`);
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The value exactly as SQLite keeps it in a column of that affinity: what is equal is not always the same. */
export function inColumn(value: SqlValue, affinity: Affinity): SqlValue {
  if (affinity === 'BLOB') return value;
  const stored = storedAs(value, affinity);
  // SQLite keeps no −0.0 there.
  if (affinity === 'REAL' && (typeof stored === 'bigint' || stored === 0)) return Number(stored) + 0;
  return stored;
}
