import type { PortResult, PortValue } from './port.ts';

/**
 * Rows, and column names that `columnsOf` asks `source` for on first use: names cost a statement that finds one row up to a third of its time, and few
 * callers want them.
 */
export class LazyResult<Source> implements PortResult {
  readonly rows: readonly (readonly PortValue[])[];
  readonly truncated: boolean;
  readonly #source: Source;
  readonly #columnsOf: (source: Source) => readonly string[];
  #columns: readonly string[] | null = null;

  constructor(
    source: Source,
    columnsOf: (source: Source) => readonly string[],
    rows: readonly (readonly PortValue[])[],
    truncated = false,
  ) {
    this.rows = rows;
    this.truncated = truncated;
    this.#source = source;
    this.#columnsOf = columnsOf;
  }

  get columns(): readonly string[] {
    this.#columns ??= this.#columnsOf(this.#source);
    return this.#columns;
  }
}

/** Bytes that a row counts for: text by UTF-16 unit, anything else that has no length 8. */
export function rowBytes(row: readonly PortValue[]): number {
  let bytes = 0;
  for (const value of row)
    bytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;
  return bytes;
}
