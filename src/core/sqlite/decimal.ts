/** %!.17g: significant digits that SQLite gives a REAL. */
export const PRECISION = 17;

/** An integer of 18 or 19 digits and a power of ten. */
export interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

/**
 * real ≈ digits · 10^exponent for a positive REAL, exactly as SQLite's sqlite3FpDecode computes it with a 64-bit power of
 * ten (src/util.c): not always the nearest, so that texts and round() agree with SQLite to the digit.
 */
export function decimalOf(real: number): Decimal {
  const { mantissa, exponent } = decompose(real);
  const power = PRECISION - floorLog10OfPower2(exponent + 63);
  const product = (mantissa * powerOfTen(power)) >> 64n;
  const shifted = product >> BigInt(-(exponent + floorLog2OfPower10(power) + 2));
  return { digits: (shifted + ((shifted << 1n) & 2n)) >> 1n, exponent: -power };
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
