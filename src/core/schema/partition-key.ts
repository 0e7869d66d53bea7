import { assert } from '../../base/assert.ts';
import type { Token } from '../../base/brand.ts';
import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { storedAs } from './affinity.ts';
import type { Affinity, Collation } from './table.ts';
import { murmur3 } from './token.ts';

/** What decides equality of values in a key column. A {@link Column} is one. */
export interface KeyColumn {
  readonly affinity: Affinity;
  readonly collation: Collation;
}

/** First byte of each encoded value: docs/protocol.md, "Partition key and token". */
const Tag = { null: 0, integer: 1, real: 2, text: 3, blob: 4 } as const;

const INITIAL_CAPACITY = 1024;

/** Reused by every call, so that the usual key allocates nothing; encoding never yields. */
let buffer = new Uint8Array(INITIAL_CAPACITY);
let view = new DataView(buffer.buffer);

/**
 * The token of a row's partition key. `values` are in declared order of the key's columns, as bound or as stored:
 * both give the same token, and values that `=` calls equal in their columns do too.
 *
 * It speaks of comparisons under the column's own affinity and collation. A comparison under others
 * (`text_column = integer_column`, `column = ? COLLATE NOCASE`) pins no token.
 */
export function tokenOfKey(values: readonly SqlValue[], columns: readonly KeyColumn[]): Token {
  return murmur3(buffer, encode(values, columns));
}

/** The bytes that are hashed: injective over the classes of equal keys. */
export function encodeKey(values: readonly SqlValue[], columns: readonly KeyColumn[]): Uint8Array {
  // Its length first: encoding may replace the buffer.
  const length = encode(values, columns);
  return buffer.slice(0, length);
}

function encode(values: readonly SqlValue[], columns: readonly KeyColumn[]): number {
  assert(values.length === columns.length && values.length > 0, 'one value for each key column');
  let at = 0;
  for (let i = 0; i < columns.length; i++) {
    at = encodeValue(values[i] as SqlValue, columns[i] as KeyColumn, at);
  }
  return at;
}

/** Writes one value at `at`; returns where it ends. */
function encodeValue(value: SqlValue, column: KeyColumn, at: number): number {
  const stored = isSettled(value, column.affinity) ? value : storedAs(value, column.affinity);
  if (typeof stored === 'string') return encodeText(stored, column.collation, at);
  reserve(at + 9);
  if (typeof stored === 'bigint') {
    buffer[at] = Tag.integer;
    view.setBigInt64(at + 1, stored);
    return at + 9;
  }
  if (stored === null) {
    buffer[at] = Tag.null;
    return at + 1;
  }
  if (typeof stored === 'number') {
    buffer[at] = Tag.real;
    view.setFloat64(at + 1, stored);
    return at + 9;
  }
  const bytes = stored instanceof RawText ? stored.bytes : stored;
  reserve(at + 5 + bytes.length);
  buffer.set(bytes, at + 5);
  if (!(stored instanceof RawText)) return finish(Tag.blob, at, at + 5 + bytes.length);
  return finish(Tag.text, at, collate(column.collation, at + 5, at + 5 + bytes.length));
}

/** Whether affinity leaves the value alone: the two usual cases, kept off the slow path. */
function isSettled(value: SqlValue, affinity: Affinity): boolean {
  return typeof value === 'string'
    ? affinity === 'TEXT' || affinity === 'BLOB'
    : typeof value === 'bigint' && affinity !== 'TEXT' && affinity !== 'REAL';
}

/** Tag and length of the `start + 5 … end` bytes that are written already. */
function finish(tag: number, start: number, end: number): number {
  buffer[start] = tag;
  view.setUint32(start + 1, end - start - 5);
  return end;
}

/** UTF-8 as SQLite gets it on bind: a lone surrogate becomes U+FFFD. */
function encodeText(text: string, collation: Collation, start: number): number {
  reserve(start + 5 + text.length * 3);
  let at = start + 5;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      buffer[at++] = unit;
    } else if (unit < 0x800) {
      buffer[at++] = 0xc0 | (unit >> 6);
      buffer[at++] = 0x80 | (unit & 0x3f);
    } else {
      at = encodeWide(text, i, at);
      if (isPair(text, i)) i++;
    }
  }
  return finish(Tag.text, start, collation === 'BINARY' ? at : collate(collation, start + 5, at));
}

function isPair(text: string, i: number): boolean {
  return (text.codePointAt(i) as number) > 0xffff;
}

/** A character of three or four bytes. */
function encodeWide(text: string, i: number, start: number): number {
  const point = text.codePointAt(i) as number;
  const character = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
  let at = start;
  if (character > 0xffff) {
    buffer[at++] = 0xf0 | (character >> 18);
    buffer[at++] = 0x80 | ((character >> 12) & 0x3f);
  } else {
    buffer[at++] = 0xe0 | (character >> 12);
  }
  buffer[at++] = 0x80 | ((character >> 6) & 0x3f);
  buffer[at++] = 0x80 | (character & 0x3f);
  return at;
}

/** Makes equal bytes of what the collation calls equal, in place; returns the new end. */
function collate(collation: Collation, start: number, end: number): number {
  if (collation === 'RTRIM') {
    let at = end;
    while (at > start && buffer[at - 1] === 0x20) at--;
    return at;
  }
  if (collation === 'NOCASE') foldAscii(start, end);
  return end;
}

/**
 * ASCII letters to lower case. SQLite's NOCASE stops comparing at a NUL and then compares lengths only, so what
 * follows a NUL counts by its length alone.
 */
function foldAscii(start: number, end: number): void {
  for (let at = start; at < end; at++) {
    const byte = buffer[at] as number;
    if (byte === 0) {
      buffer.fill(0, at, end);
      return;
    }
    if (byte >= 0x41 && byte <= 0x5a) buffer[at] = byte | 0x20;
  }
}

function reserve(size: number): void {
  if (size <= buffer.length) return;
  const larger = new Uint8Array(Math.max(size, buffer.length * 2));
  larger.set(buffer);
  buffer = larger;
  view = new DataView(larger.buffer);
}
