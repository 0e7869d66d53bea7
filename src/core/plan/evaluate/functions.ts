import { RawText, type SqlValue } from '../../../base/sql-value.ts';
import type { Collation } from '../../schema/table.ts';
import type { ScalarFunction } from '../plan.ts';
import { compareValues } from './compare.ts';
import { MergeError } from './error.ts';
import { INT64_MIN, operand, toInteger, toText } from './number.ts';
import { roundReal } from './round.ts';

/** https://www.sqlite.org/lang_corefunc.html; coalesce is lazy and evaluated by its caller. */
export function callFunction(
  name: ScalarFunction,
  args: readonly SqlValue[],
  collation: Collation,
): SqlValue {
  const [first = null, second] = args;
  switch (name) {
    case 'abs':
      return absolute(first);
    case 'round':
      return round(first, second);
    case 'typeof':
      return typeName(first);
    case 'length':
      return length(first);
    case 'coalesce':
      return args.find((value) => value !== null) ?? null;
    case 'min':
    case 'max':
      return extreme(name, args, collation);
  }
}

function absolute(value: SqlValue): SqlValue {
  const number = operand(value);
  if (number === null) return null;
  if (number === INT64_MIN) throw new MergeError('integer-overflow', 'integer overflow');
  if (typeof number === 'number') return number < 0 ? -number : number;
  return number < 0n ? -number : number;
}

/** Beyond it a REAL has no fraction. */
const NO_FRACTION = 4503599627370496;

function round(value: SqlValue, places: SqlValue | undefined): SqlValue {
  const digits = places === undefined ? 0n : operand(places);
  const number = operand(value);
  if (digits === null || number === null) return null;
  const real = Number(number);
  const wanted = toInteger(digits);
  const n = wanted < 0n ? 0 : wanted > 30n ? 30 : Number(wanted);
  if (real < -NO_FRACTION || real > NO_FRACTION) return real;
  // Adding 0 makes 0 of -0, as SQLite's way over an integer does.
  if (n === 0) return Math.trunc(real + (real < 0 ? -0.5 : 0.5)) + 0;
  return roundReal(real, n);
}

function typeName(value: SqlValue): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return 'real';
  return value instanceof Uint8Array ? 'blob' : 'text';
}

/** Characters before the first NUL, or bytes of a blob. */
function length(value: SqlValue): SqlValue {
  if (value === null) return null;
  if (value instanceof Uint8Array) return BigInt(value.length);
  if (value instanceof RawText) throw new MergeError('unsupported', 'length() of text that is not UTF-8');
  const text = toText(value);
  const nul = text.indexOf('\0');
  return BigInt([...(nul < 0 ? text : text.slice(0, nul))].length);
}

/** Of equal values min() takes the last, max() the first. */
function extreme(name: 'min' | 'max', args: readonly SqlValue[], collation: Collation): SqlValue {
  let best: SqlValue = args[0] ?? null;
  for (const value of args) {
    if (value === null) return null;
    const order = compareValues(value, best, collation);
    if (name === 'min' ? order <= 0 : order > 0) best = value;
  }
  return best;
}
