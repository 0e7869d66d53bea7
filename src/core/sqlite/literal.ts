import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { quoteText } from './quote.ts';
import { encodeUtf8 } from './utf8.ts';

/** A value as an SQL literal that any SQLite reads back exactly: https://www.sqlite.org/lang_expr.html#literal_values_constants_. */
export function literalOf(value: SqlValue): string {
  if (value === null) return 'NULL';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return realLiteral(value);
  if (typeof value === 'string') {
    // A NUL would end the statement's text.
    return value.includes('\0') ? textOfBytes(encodeUtf8(value)) : quoteText(value);
  }
  return value instanceof RawText ? textOfBytes(value.bytes) : `x'${hexOf(value)}'`;
}

function textOfBytes(bytes: Uint8Array): string {
  return `CAST(x'${hexOf(bytes)}' AS TEXT)`;
}

/** JavaScript's shortest digits that read back the same: at most 17, of which SQLite's reader loses none. */
function realLiteral(value: number): string {
  if (value === Infinity) return '9e999';
  if (value === -Infinity) return '-9e999';
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hexOf(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += HEX[byte];
  return hex;
}
