import { RawText, type SqlValue } from '../../../base/sql-value.ts';
import type { Collation } from '../../schema/table.ts';
import { encodeUtf8 } from '../../sqlite/utf8.ts';

/** NULL, numbers, texts, blobs: https://www.sqlite.org/datatype3.html#sort_order */
function rank(value: SqlValue): number {
  if (value === null) return 0;
  if (typeof value === 'bigint' || typeof value === 'number') return 1;
  return typeof value === 'string' || value instanceof RawText ? 2 : 3;
}

/** SQLite's order of two values; no affinity is applied. */
export function compareValues(a: SqlValue, b: SqlValue, collation: Collation): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b, collation);
  const difference = rank(a) - rank(b);
  if (difference !== 0) return difference;
  if (a === null || b === null) return 0;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b);
  if (isText(a) && isText(b)) return compareEncoded(bytesOf(a), bytesOf(b), collation);
  // JavaScript compares a bigint with a number exactly, as SQLite does an INTEGER with a REAL.
  return a < b ? -1 : a > b ? 1 : 0;
}

function isText(value: SqlValue): value is string | RawText {
  return typeof value === 'string' || value instanceof RawText;
}

function bytesOf(text: string | RawText): Uint8Array {
  return typeof text === 'string' ? encodeUtf8(text) : text.bytes;
}

function compareText(a: string, b: string, collation: Collation): number {
  if (a === b) return 0;
  if (collation === 'BINARY') return compareCodePoints(a, b);
  if (collation === 'RTRIM') return compareCodePoints(a.replace(/ +$/, ''), b.replace(/ +$/, ''));
  return compareEncoded(encodeUtf8(a), encodeUtf8(b), collation);
}

/** Order by code points, which is that of UTF-8 bytes; JavaScript's `<` puts U+1F600 before U+FF5E. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return aboveSurrogates(x) - aboveSurrogates(y);
  }
  return a.length - b.length;
}

/** Moves surrogates above all other units. */
function aboveSurrogates(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function compareEncoded(a: Uint8Array, b: Uint8Array, collation: Collation): number {
  if (collation === 'NOCASE') return compareNoCase(a, b);
  if (collation === 'RTRIM') return compareBytes(trimmed(a), trimmed(b));
  return compareBytes(a, b);
}

function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x20) end--;
  return bytes.subarray(0, end);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** As SQLite's nocaseCollatingFunc: ASCII letters fold, and what follows a NUL in both counts by its length only. */
function compareNoCase(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = fold(a[i] as number);
    const difference = x - fold(b[i] as number);
    if (difference !== 0) return difference;
    if (x === 0) break;
  }
  return a.length - b.length;
}

function fold(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
