import { encodeValue } from '../../protocol/json-value.ts';
import { textOf } from '../sqlite/exact.ts';
import type { PortValue } from '../sqlite/port.ts';
import type { NumberClass } from './result-columns.ts';

/** What a port shows for bytes that are not valid UTF-8; the same character may also really be there. */
const REPLACEMENT = '\ufffd';

/**
 * Rows as JSON, numbers told apart by their columns; null when a value is met of which the port has not
 * read everything: a number at or beyond 2^53, or TEXT that may not be valid UTF-8.
 */
export function encodePlainRows(
  rows: readonly (readonly PortValue[])[],
  classes: readonly NumberClass[],
): string | null {
  let text = '[';
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r] as readonly PortValue[];
    text += r === 0 ? '[' : ',[';
    for (let c = 0; c < row.length; c++) {
      if (c > 0) text += ',';
      const value = row[c] as PortValue;
      if (value === null) text += 'null';
      else if (typeof value === 'string') {
        if (value.includes(REPLACEMENT)) return null;
        text += JSON.stringify(value);
      } else if (typeof value !== 'number') text += encodeValue(value);
      else if (classes[c] === 'real' || !Number.isInteger(value)) text += encodeValue(value);
      else if (classes[c] === 'integer' && Number.isSafeInteger(value))
        text += value === 0 ? '0' : String(value);
      else return null;
    }
    text += ']';
  }
  return `${text}]`;
}

/**
 * Rows whose last column is the tags of `typed-sql.ts`, as JSON; null when a TEXT may not be valid UTF-8 and
 * was not read as bytes. `lossy` takes such a TEXT as it is (a RETURNING cannot be read a second time).
 */
export function encodeTaggedRows(rows: readonly (readonly PortValue[])[], lossy = false): string | null {
  let text = '[';
  for (let r = 0; r < rows.length; r++) {
    const row = rows[r] as readonly PortValue[];
    const tags = String(row.at(-1)).split(',');
    text += r === 0 ? '[' : ',[';
    for (let c = 0; c < row.length - 1; c++) {
      if (c > 0) text += ',';
      const cell = encodeTagged(row[c] as PortValue, tags[c] as string, lossy);
      if (cell === null) return null;
      text += cell;
    }
    text += ']';
  }
  return `${text}]`;
}

/**
 * The value tells its storage class but for numbers, which the tag tells apart. A RETURNING may evaluate
 * `random()` once for the value and once for the tag, so the value counts where they differ.
 */
function encodeTagged(value: PortValue, tag: string, lossy: boolean): string | null {
  if (value === null) return 'null';
  if (typeof value === 'string') {
    if (tag[0] === 'x') return encodeValue(textOf(fromHex(tag.slice(1))));
    return !lossy && value.includes(REPLACEMENT) ? null : JSON.stringify(value);
  }
  if (typeof value !== 'number' || tag === 'r' || !Number.isInteger(value)) return encodeValue(value);
  if (/\d$/.test(tag)) return encodeValue(BigInt(tag));
  // −0 cannot be an INTEGER, but a port may show 0 as it likes.
  return value === 0 ? '0' : String(value);
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) =>
    Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16),
  );
}
