import type { SqlValue } from '../../../base/sql-value.ts';
import { textToNumber } from '../../schema/affinity.ts';
import { realToText } from '../../schema/real-text.ts';
import { MergeError } from './error.ts';

export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

export type Numeric = bigint | number;

export function fitsInteger(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/** NaN does not exist in SQL: it is NULL. */
export function realOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/**
 * An operand of arithmetic. Texts and blobs over aggregates are left to SQLite: their prefix rules are not kept
 * here.
 */
export function operand(value: SqlValue): Numeric | null {
  if (value === null || typeof value === 'bigint' || typeof value === 'number') return value;
  throw new MergeError(
    'unsupported',
    'arithmetic on text or blobs over the results of several partitions: CAST inside the aggregate',
  );
}

/** As sqlite3VdbeIntValue: towards zero, clamped to 64 bits. */
export function toInteger(value: Numeric): bigint {
  if (typeof value === 'bigint') return value;
  if (value >= 2 ** 63) return INT64_MAX;
  return value < -(2 ** 63) ? INT64_MIN : BigInt(Math.trunc(value));
}

/** The longest prefix that is a number; 0 if there is none. https://www.sqlite.org/lang_expr.html#castexpr */
export function realPrefix(text: string): number {
  const match = /^[ \t\n\v\f\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/.exec(text);
  return match === null ? 0 : Number(textToNumber(match[1] as string));
}

export function integerPrefix(text: string): bigint {
  const match = /^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text);
  if (match === null) return 0n;
  const value = BigInt((match[1] as string).replace('+', ''));
  return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : value;
}

/** A value as SQLite shows it as text. */
export function toText(value: Numeric | string): string {
  if (typeof value === 'string') return value;
  return typeof value === 'bigint' ? value.toString() : realToText(value);
}

/** Truth in WHERE, AND, CASE: null is neither. */
export function truth(value: SqlValue): boolean | null {
  if (value === null) return null;
  if (typeof value === 'bigint') return value !== 0n;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'string') return realPrefix(value) !== 0;
  throw new MergeError('unsupported', 'a blob as a condition over the results of several partitions');
}

export function fromTruth(value: boolean | null): bigint | null {
  return value === null ? null : value ? 1n : 0n;
}
