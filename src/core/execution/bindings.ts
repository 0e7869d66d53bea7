import { RawText, type SqlValue } from '../../base/sql-value.ts';
import type { PortValue } from '../sqlite/port.ts';

/**
 * How a value reaches SQLite through a port that binds every number as REAL: the text that replaces the
 * parameter, and what is bound. Unary `+` takes away the affinity that CAST would bring, so that comparisons
 * go as they would with a native INTEGER, and indexes are still used.
 */
export type BindingClass = 'plain' | 'integer' | 'raw-text';

export function bindingClass(value: SqlValue): BindingClass {
  if (typeof value === 'bigint') return 'integer';
  return value instanceof RawText ? 'raw-text' : 'plain';
}

/** SQL for parameter `index` (1-based) carrying a value of that class. */
export function parameterSql(index: number, kind: BindingClass): string {
  switch (kind) {
    case 'plain':
      return `?${index}`;
    case 'integer':
      return `+CAST(?${index} AS INTEGER)`;
    case 'raw-text':
      return `+CAST(?${index} AS TEXT)`;
  }
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** The value to bind for {@link parameterSql} of the value's class. */
export function toPort(value: SqlValue): PortValue {
  if (typeof value === 'bigint') {
    // CAST of a REAL is exact below 2^53, and a number binds faster than text.
    return value <= SAFE && value >= -SAFE ? Number(value) : value.toString();
  }
  return value instanceof RawText ? value.bytes : value;
}
