import { decimalOf } from '../../sqlite/decimal.ts';

/**
 * round(x, n) for n > 0 as SQLite does it: x is printed with n decimals and read again. The digits that are rounded are
 * the 18 or 19 that sqlite3FpDecode computes with a 64-bit power of ten, so that a value beside a tie (36.56785)
 * may go up where exact arithmetic goes down.
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
