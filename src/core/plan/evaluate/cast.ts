import type { SqlValue } from '../../../base/sql-value.ts';
import { textToNumber } from '../../schema/affinity.ts';
import type { Affinity } from '../../schema/table.ts';
import { MergeError } from './error.ts';
import { integerPrefix, realPrefix, toInteger, toText } from './number.ts';

/** https://www.sqlite.org/lang_expr.html#castexpr */
export function cast(value: SqlValue, affinity: Affinity): SqlValue {
  if (value === null) return null;
  if (typeof value === 'object') {
    if (affinity === 'BLOB' && value instanceof Uint8Array) return value;
    throw new MergeError('unsupported', 'CAST of a blob over the results of several partitions');
  }
  switch (affinity) {
    case 'TEXT':
      return toText(value);
    case 'INTEGER':
      return typeof value === 'string' ? integerPrefix(value) : toInteger(value);
    case 'REAL':
      return typeof value === 'string' ? realPrefix(value) : Number(value);
    case 'NUMERIC':
      return typeof value === 'string' ? numericPrefix(value) : value;
    case 'BLOB':
      throw new MergeError('unsupported', 'CAST to BLOB over the results of several partitions');
  }
}

function numericPrefix(text: string): SqlValue {
  const whole = textToNumber(text);
  if (whole !== null) return whole;
  const real = realPrefix(text);
  return Number.isInteger(real) && Math.abs(real) < 2 ** 63 ? BigInt(real) : real;
}
