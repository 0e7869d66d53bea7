import { assert } from '../../base/assert.ts';

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

const PRECISION = 17;

/** Digits without trailing zeros; the decimal point stands after the first `pointAt` of them. */
interface Decimal {
  digits: string;
  pointAt: number;
}

function significantDigits(real: number): Decimal {
  const { mantissa, exponent } = decompose(real);
  const wide = toDecimal(mantissa, exponent);
  const pointAt = wide.digits.length + wide.exponent;
  const kept = shorterPrecision(real, wide.digits, wide.exponent, pointAt);
  let head = wide.digits.slice(0, kept);
  let shift = 0;
  if ((wide.digits[kept] ?? '0') >= '5') {
    head = (BigInt(head) + 1n).toString();
    shift = head.length - kept;
  }
  return { digits: head.replace(/0+$/, ''), pointAt: pointAt + shift };
}

/** real = mantissa · 2^exponent with bit 63 of the mantissa set. */
function decompose(real: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, real);
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  if (biased !== 0) return { mantissa: (fraction << 11n) | (1n << 63n), exponent: biased - 1086 };
  const zeros = 64 - fraction.toString(2).length;
  return { mantissa: fraction << BigInt(zeros), exponent: -1074 - zeros };
}

/** 18 or 19 significant digits d and p with mantissa · 2^exponent ≈ d · 10^p. */
function toDecimal(mantissa: bigint, exponent: number): { digits: string; exponent: number } {
  const power = PRECISION - floorLog10OfPower2(exponent + 63);
  const product = (mantissa * powerOfTen(power)) >> 64n;
  const shifted = product >> BigInt(-(exponent + floorLog2OfPower10(power) + 2));
  return { digits: ((shifted + ((shifted << 1n) & 2n)) >> 1n).toString(), exponent: -power };
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

function floorLog2OfPower10(power: number): number {
  return (power * 108853) >> 15;
}

function floorLog10OfPower2(power: number): number {
  return (power * 78913) >> 18;
}

/**
 * The 64 most significant bits of 10^power as SQLite has them: the product of 10^(27·g), known to 96 bits, and
 * 10^n with 0 ≤ n < 27, known to 64; so the last bit is not always that of the exact power.
 */
function powerOfTen(power: number): bigint {
  if (power === -1) return 0xccccccccccccccccn;
  const small = ((power % 27) + 27) % 27;
  if (power >= 0 && power < 27) return topBits(power, 64);
  const scale = topBits(power - small, 96);
  if (small === 0) return scale >> 32n;
  const high = scale >> 32n;
  const low = scale & 0xffffffffn;
  const base = topBits(small, 64);
  const product = high * base + ((low * base) >> 32n);
  const top = product >> 64n;
  return top >> 63n ? top : (top << 1n) | ((product >> 63n) & 1n);
}

/** The first `bits` bits of 10^power; 96 bits are rounded to nearest, 64 are cut. */
function topBits(power: number, bits: number): bigint {
  const spare = 1200n;
  const exact =
    power >= 0 ? (10n ** BigInt(power)) << spare : (1n << (spare + 1200n)) / 10n ** BigInt(-power);
  const excess = BigInt(exact.toString(2).length - bits);
  const half = bits === 96 ? 1n << (excess - 1n) : 0n;
  return (exact + half) >> excess;
}
