/**
 * round(x, n) for n > 0 as SQLite does it: x is printed with n decimals and read again. The digits that are rounded are
 * the 18 or 19 that sqlite3FpDecode computes with a 64-bit power of ten, so that a value beside a tie (36.56785)
 * may go up where exact arithmetic goes down. Same arithmetic as core/schema/real-text.ts, which shows 17 digits only;
 * SQLite's src/util.c.
 */
export function roundReal(real: number, places: number): number {
  if (real === 0) return 0;
  const { digits, exponent } = decimalOf(Math.abs(real));
  const surplus = -exponent - places;
  if (surplus <= 0) return real;
  const unit = 10n ** BigInt(surplus);
  const kept = (digits + unit / 2n) / unit;
  return Number(`${real < 0 ? '-' : ''}${kept}e-${places}`);
}

const PRECISION = 17;

/** real ≈ digits · 10^exponent. */
function decimalOf(real: number): { digits: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, real);
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  const zeros = biased === 0 ? 64 - fraction.toString(2).length : 0;
  const mantissa = biased === 0 ? fraction << BigInt(zeros) : (fraction << 11n) | (1n << 63n);
  const binary = biased === 0 ? -1074 - zeros : biased - 1086;
  const power = PRECISION - (((binary + 63) * 78913) >> 18);
  const product = (mantissa * powerOfTen(power)) >> 64n;
  const shifted = product >> BigInt(-(binary + ((power * 108853) >> 15) + 2));
  return { digits: (shifted + ((shifted << 1n) & 2n)) >> 1n, exponent: -power };
}

/** The 64 most significant bits of 10^power as SQLite has them: of 10^(27·g) to 96 bits times 10^n to 64. */
function powerOfTen(power: number): bigint {
  if (power === -1) return 0xccccccccccccccccn;
  const small = ((power % 27) + 27) % 27;
  if (power >= 0 && power < 27) return topBits(power, 64);
  const scale = topBits(power - small, 96);
  if (small === 0) return scale >> 32n;
  const base = topBits(small, 64);
  const product = (scale >> 32n) * base + (((scale & 0xffffffffn) * base) >> 32n);
  const top = product >> 64n;
  return top >> 63n ? top : (top << 1n) | ((product >> 63n) & 1n);
}

/** The first `bits` bits of 10^power; 96 bits are rounded to nearest, 64 are cut. */
function topBits(power: number, bits: number): bigint {
  const exact = power >= 0 ? (10n ** BigInt(power)) << 1200n : (1n << 2400n) / 10n ** BigInt(-power);
  const excess = BigInt(exact.toString(2).length - bits);
  const half = bits === 96 ? 1n << (excess - 1n) : 0n;
  return (exact + half) >> excess;
}
