import { encodeRow, type QueryResult, RawText, Real, type SqlOutput } from '../client/index.ts';
import { planSummary } from './plan-text.ts';
import { duration, plural } from './terminal/figures.ts';
import type { Style } from './terminal/style.ts';
import { renderTable, showReal } from './terminal/table.ts';

/** What is shown of an answer. */
export type Answer = Pick<QueryResult, 'columns' | 'rows' | 'rowsAffected' | 'cursor' | 'plan'>;

export type AnswerFormat = 'table' | 'json' | 'csv';

export interface AnswerOptions {
  readonly width: number;
  readonly style: Style;
  /** How long the answer took, for the line below it. */
  readonly ms: number;
  /** It goes on from an earlier page. */
  readonly goesOn?: boolean;
}

/** An answer in the format asked for, with its line end; empty where the format has nothing to show. */
export function renderAnswer(result: Answer, format: AnswerFormat, options: AnswerOptions): string {
  if (format === 'json') return ndjson(result);
  if (format === 'csv') return csv(result, options.goesOn ?? false);
  const table = result.columns.length === 0 ? '' : `${renderTable(result.columns, result.rows, options)}\n`;
  return `${table}${options.style.dim(footer(result, options.ms))}\n`;
}

/** `3 rows · 1.2 ms · route → partition 2` */
export function footer(result: Answer, ms: number): string {
  const amount =
    result.columns.length > 0
      ? `${plural(result.rows.length, 'row')}${result.cursor === undefined ? '' : ' and more: --json or --csv give them all'}`
      : result.rowsAffected > 0
        ? `${plural(result.rowsAffected, 'row')} changed`
        : 'done';
  return [amount, duration(ms), planSummary(result.plan)].filter((part) => part !== '').join(' · ');
}

/** One object per line, which `atoll import` reads back without loss. */
function ndjson(result: Answer): string {
  return result.rows
    .map((row) => {
      const entries = result.columns.map((column, index) => [column, exact(row[index] ?? null)]);
      return `${encodeRow(Object.fromEntries(entries))}\n`;
    })
    .join('');
}

/** An integral number is a REAL here, and has to keep its point. */
function exact(value: SqlOutput) {
  return typeof value === 'number' ? new Real(value) : value;
}

/** RFC 4180. NULL is an empty field, the empty string a quoted one. */
function csv(result: Answer, goesOn: boolean): string {
  if (result.columns.length === 0) return '';
  const lines = result.rows.map((row) => row.map(csvField).join(','));
  const header = goesOn ? [] : [result.columns.map(csvField).join(',')];
  return [...header, ...lines, ''].join('\r\n');
}

function csvField(value: SqlOutput): string {
  if (value === null) return '';
  if (typeof value === 'number') return showReal(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  const text = value instanceof RawText ? new TextDecoder().decode(value.bytes) : String(value);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
