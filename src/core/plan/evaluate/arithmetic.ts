import type { SqlValue } from '../../../base/sql-value.ts';
import type { ArithmeticOperator } from '../plan.ts';
import { MergeError } from './error.ts';
import { fitsInteger, type Numeric, operand, realOrNull, toInteger, toText } from './number.ts';

/** Binary operators, as SQLite's OP_Add and its kin: integers that overflow become REAL, division by zero is NULL. */
export function arithmetic(operator: ArithmeticOperator, left: SqlValue, right: SqlValue): SqlValue {
  if (operator === '||') return concatenate(left, right);
  const a = operand(left);
  const b = operand(right);
  if (a === null || b === null) return null;
  switch (operator) {
    case '&':
      return BigInt.asIntN(64, toInteger(a) & toInteger(b));
    case '|':
      return BigInt.asIntN(64, toInteger(a) | toInteger(b));
    case '<<':
      return shift(toInteger(a), toInteger(b));
    case '>>':
      return shift(toInteger(a), -toInteger(b));
    case '%':
      return remainder(a, b);
    default:
      break;
  }
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    const exact = integerResult(operator, a, b);
    if (exact === null || fitsInteger(exact)) return exact;
  }
  return realResult(operator, Number(a), Number(b));
}

function integerResult(operator: '+' | '-' | '*' | '/', a: bigint, b: bigint): bigint | null {
  if (operator === '+') return a + b;
  if (operator === '-') return a - b;
  if (operator === '*') return a * b;
  return b === 0n ? null : a / b;
}

function realResult(operator: '+' | '-' | '*' | '/', a: number, b: number): number | null {
  if (operator === '+') return realOrNull(a + b);
  if (operator === '-') return realOrNull(a - b);
  if (operator === '*') return realOrNull(a * b);
  return b === 0 ? null : realOrNull(a / b);
}

function remainder(a: Numeric, b: Numeric): Numeric | null {
  const divisor = toInteger(b);
  if (divisor === 0n) return null;
  const rest = toInteger(a) % divisor;
  return typeof a === 'bigint' && typeof b === 'bigint' ? rest : Number(rest);
}

/** Arithmetic shift; a negative distance goes the other way, 64 and more shifts everything out. */
function shift(value: bigint, distance: bigint): bigint {
  if (distance >= 64n) return 0n;
  if (distance <= -64n) return value < 0n ? -1n : 0n;
  return distance >= 0n ? BigInt.asIntN(64, value << distance) : value >> -distance;
}

function concatenate(left: SqlValue, right: SqlValue): SqlValue {
  if (left === null || right === null) return null;
  if (typeof left === 'object' || typeof right === 'object') {
    throw new MergeError('unsupported', '|| on blobs over the results of several partitions');
  }
  return toText(left) + toText(right);
}

export function negate(value: SqlValue): SqlValue {
  return arithmetic('-', 0n, value);
}
