import stringWidth from 'string-width';
import { RawText, type SqlOutput } from '../../client/index.ts';
import type { Style } from './style.ts';

export interface TableOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly style: Style;
}

/** One column is never made narrower than this to fit the others. Chosen. */
const NARROWEST = 6;
/** Two blanks and a rule for each column. */
const FRAME_PER_COLUMN = 3;

/**
 * Rows as a table that fits the width: numbers to the right, NULL visible, control characters shown as such,
 * and what is too wide cut with `…`, widest columns first.
 */
export function renderTable(
  columns: readonly string[],
  rows: readonly (readonly SqlOutput[])[],
  { width, style }: TableOptions,
): string {
  if (columns.length === 0) return '';
  const texts = rows.map((row) => columns.map((_, index) => showValue(row[index] ?? null)));
  const heads = columns.map(visible);
  const natural = heads.map((head, index) =>
    Math.max(1, stringWidth(head), ...texts.map((row) => stringWidth(row[index] ?? ''))),
  );
  const widths = fitWidths(natural, width - FRAME_PER_COLUMN * columns.length);
  const right = columns.map((_, index) => isNumeric(rows, index));

  const line = (texts: readonly string[], paint: (text: string, index: number) => string): string =>
    texts
      .map((text, index) => {
        const shown = cut(text, widths[index] ?? 0);
        const blanks = ' '.repeat((widths[index] ?? 0) - stringWidth(shown));
        return right[index] === true
          ? ` ${blanks}${paint(shown, index)} `
          : ` ${paint(shown, index)}${blanks} `;
      })
      .join(style.dim('│'))
      .trimEnd();

  const rule = style.dim(widths.map((columnWidth) => '─'.repeat(columnWidth + 2)).join('┼'));
  const body = texts.map((row, rowIndex) =>
    line(row, (text, index) => (rows[rowIndex]?.[index] === null ? style.dim(text) : text)),
  );
  return [line(heads, style.bold), rule, ...body].join('\n');
}

/** A value as text for people. A `number` is a REAL and keeps its point: the command line reads INTEGERs as bigint. */
export function showValue(value: SqlOutput): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return showReal(value);
  if (typeof value === 'string') return visible(value);
  if (value instanceof Uint8Array) return showBytes(value);
  if (value instanceof RawText) return visible(new TextDecoder().decode(value.bytes));
  return String(value);
}

/** As SQLite prints it: `4.0`, `1.0e+21`, `Inf`. */
export function showReal(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'Inf' : '-Inf';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.]/.test(text) ? text : text.replace(/^-?\d+/, '$&.0');
}

const BYTES_SHOWN = 16;

function showBytes(value: Uint8Array): string {
  const hex = Buffer.from(value.subarray(0, BYTES_SHOWN)).toString('hex');
  return value.length > BYTES_SHOWN ? `x'${hex}…' (${value.length} bytes)` : `x'${hex}'`;
}

/** Control characters would break the table, or drive the terminal; their pictures do neither. */
export function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    if (character === '\n') return '⏎';
    const code = character.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : '·';
  });
}

function isNumeric(rows: readonly (readonly SqlOutput[])[], index: number): boolean {
  let seen = false;
  for (const row of rows) {
    const value = row[index];
    if (typeof value === 'number' || typeof value === 'bigint') seen = true;
    else if (value !== null) return false;
  }
  return seen;
}

/** Lowers the widest columns to a common width until all fit. */
export function fitWidths(natural: readonly number[], room: number): number[] {
  const sum = (limit: number) => natural.reduce((total, width) => total + Math.min(width, limit), 0);
  let limit = Math.max(...natural);
  while (limit > NARROWEST && sum(limit) > room) limit--;
  return natural.map((width) => Math.min(width, limit));
}

/** The text in at most `width` columns, its end replaced by `…` where it is longer. */
export function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let shown = '';
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const segmentWidth = stringWidth(segment);
    if (used + segmentWidth > width - 1) break;
    shown += segment;
    used += segmentWidth;
  }
  return `${shown}…`;
}
