import type { SqlValue } from '../base/sql-value.ts';
import { PARAMETERS_MAX } from '../core/execution/arguments.ts';
import type { GatheredInsertPlan } from '../core/plan/plan.ts';
import { quoteText } from '../core/sqlite/quote.ts';

/** Text of one INSERT, bytes of UTF-8 at most (chosen: below the 100,000 that workerd takes). */
const TEXT_BYTES_MAX = 90_000;
/** A partition may write an id into a row that has none. */
const ID_BYTES = 24;
/** Longer values go beside the text (chosen). */
const LITERAL_BYTES_MAX = 2_000;

/** An INSERT of some of the rows. */
export interface RowsInsert {
  readonly sql: string;
  readonly args: readonly SqlValue[];
}

/**
 * INSERTs of the rows, in their order: as few as their texts and parameters allow. Values are as they were read, to the last bit: numbers with a
 * fraction, which a text may round, are parameters. Null: a row has more such values than there may be parameters.
 */
export function insertsOf(
  { prefix, suffix, parameterCount }: GatheredInsertPlan,
  rows: readonly (readonly SqlValue[])[],
  args: readonly SqlValue[],
): readonly RowsInsert[] | null {
  const own = args.slice(0, parameterCount);
  const room = TEXT_BYTES_MAX - bytesOf(prefix) - bytesOf(suffix);
  const inserts: RowsInsert[] = [];
  let texts: string[] = [];
  let bytes = 0;
  let values = [...own];
  const flush = (): void => {
    if (texts.length > 0) inserts.push({ sql: `${prefix}${texts.join()}${suffix}`, args: values });
    texts = [];
    bytes = 0;
    values = [...own];
  };
  for (const row of rows) {
    for (let isSecond = false; ; isSecond = true) {
      const added: SqlValue[] = [];
      const cells = row.map((value) => literalOf(value) ?? `?${values.length + added.push(value)}`);
      const text = `(${cells.join()})`;
      const more = bytesOf(text) + 1 + ID_BYTES;
      const fits = bytes + more <= room && values.length + added.length <= PARAMETERS_MAX;
      if (!fits && isSecond) return null;
      if (!fits) {
        flush();
        continue;
      }
      texts.push(text);
      bytes += more;
      values.push(...added);
      break;
    }
  }
  flush();
  return inserts;
}

/** Null: it goes beside the text. */
function literalOf(value: SqlValue): string | null {
  if (value === null) return 'NULL';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'string') {
    return bytesOf(value) > LITERAL_BYTES_MAX || value.includes('\0') ? null : quoteText(value);
  }
  if (!(value instanceof Uint8Array) || 2 * value.byteLength > LITERAL_BYTES_MAX) return null;
  return `x'${Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('')}'`;
}

/** Of UTF-8, at most. */
function bytesOf(text: string): number {
  return ASCII.test(text) ? text.length : 3 * text.length;
}

const ASCII = /^[\0-\x7f]*$/;
