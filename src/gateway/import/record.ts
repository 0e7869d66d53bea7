/** One row of the source, not yet understood. */
export type SourceRecord =
  | { readonly kind: 'json'; readonly line: number; readonly text: string }
  | {
      readonly kind: 'fields';
      readonly line: number;
      readonly fields: readonly string[];
      /** Which fields stood between quotes; null: none did. */
      readonly quoted: readonly boolean[] | null;
    };

/** Takes text in whole lines and gives records. Blank lines are passed over, and counted. */
export interface RecordReader {
  /** Number of the line that is read next. */
  readonly line: number;
  push(text: string): void;
  /** Null: push more, or that was the last. Throws AtollError `payload` or `too-large`. */
  next(): SourceRecord | null;
  /** No more text comes: what waits is the last record. */
  end(): void;
}

const BYTE_ORDER_MARK = '\ufeff';

/** A source's first text, without the mark that some programs put before it. */
export function withoutByteOrderMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}
