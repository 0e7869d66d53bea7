import { assert } from '../../base/assert.ts';
import { decimalOf, PRECISION } from '../sqlite/decimal.ts';

/**
 * The text that SQLite gives a REAL in a TEXT column: `%!.17g` as SQLite 3.53 prints it. It is not the
 * shortest text and not always the nearest 17 digits: 18 or 19 digits are computed with a 64-bit power
 * of ten, then cut to 17, or to fewer where a run of zeros or nines says that fewer round-trip. Partition keys
 * need the very same digits, hence the same arithmetic. Other SQLite versions print other digits (3.47: 15).
 * Described in SQLite's src/util.c (sqlite3FpDecode) and at https://github.com/rsc/fpfmt.
 *
 * Slow (BigInt): only a REAL bound to a TEXT key column comes here.
 */
export function realToText(real: number): string {
  assert(!Number.isNaN(real), 'SQLite stores NaN as NULL');
  if (real === Infinity) return 'Inf';
  if (real === -Infinity) return '-Inf';
  if (real === 0) return '0.0';
  const { digits, pointAt } = significantDigits(Math.abs(real));
  return (real < 0 ? '-' : '') + layOut(digits, pointAt);
}

/** Digits without trailing zeros; the decimal point stands after the first `pointAt` of them. */
interface Printed {
  digits: string;
  pointAt: number;
}

function significantDigits(real: number): Printed {
  const { digits, exponent } = decimalOf(real);
  const wide = digits.toString();
  const pointAt = wide.length + exponent;
  const kept = shorterPrecision(real, wide, exponent, pointAt);
  let head = wide.slice(0, kept);
  let shift = 0;
  if ((wide[kept] ?? '0') >= '5') {
    head = (BigInt(head) + 1n).toString();
    shift = head.length - kept;
  }
  return { digits: head.replace(/0+$/, ''), pointAt: pointAt + shift };
}

/** How many digits to keep: 17, or fewer if the digits end in a run that a shorter text reproduces. */
function shorterPrecision(real: number, digits: string, exponent: number, pointAt: number): number {
  const length = digits.length;
  if (digits[15] === '9' && digits[14] === '9') {
    let at = 14;
    while (at > 0 && digits[at - 1] === '9') at--;
    const rounded = at === 0 ? 1n : BigInt(digits.slice(0, at)) + 1n;
    if (Number(`${rounded}e${exponent + length - at}`) === real) return at + 1;
  } else if (pointAt >= length || digits.slice(13, 16) === '000') {
    let at = 13;
    while (digits[at - 1] === '0') at--;
    if (Number(`${digits.slice(0, at)}e${exponent + length - at}`) === real) return at + 1;
  }
  return PRECISION;
}

function layOut(digits: string, pointAt: number): string {
  const exponent = pointAt - 1;
  if (exponent < -4 || exponent >= PRECISION) {
    const magnitude = String(Math.abs(exponent)).padStart(2, '0');
    return `${digits[0]}.${digits.slice(1) || '0'}e${exponent < 0 ? '-' : '+'}${magnitude}`;
  }
  if (pointAt <= 0) return `0.${'0'.repeat(-pointAt)}${digits}`;
  const whole = digits.slice(0, pointAt).padEnd(pointAt, '0');
  return `${whole}.${digits.slice(pointAt) || '0'}`;
}
