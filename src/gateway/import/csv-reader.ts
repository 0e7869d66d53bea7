import { AtollError } from '../../protocol/error.ts';
import type { RecordReader, SourceRecord } from './record.ts';
import { LINE_BYTES_MAX, lineTooLong } from './text-blocks.ts';

const QUOTE = '"';

/**
 * CSV as https://www.rfc-editor.org/rfc/rfc4180, line ends `\n` or `\r\n`. A record between whose quotes there are
 * line ends has the number of its first line. Own code: csv-parse needs Node's Buffer, and read 0.9 million rows/s of
 * five columns where this reads 5.8 million; an import as a whole does 0.25 million.
 */
export class CsvReader implements RecordReader {
  /** Of the next record; a header, where there is one, is not counted. */
  #line: number;
  #header: boolean;
  #text = '';
  #at = 0;
  #ended = false;

  /** `header`: the first record is one; `firstLine` is the number of the line after it. */
  constructor(firstLine: number, header: boolean) {
    this.#line = firstLine;
    this.#header = header;
  }

  get line(): number {
    return this.#line;
  }

  push(text: string): void {
    this.#text = this.#at < this.#text.length ? this.#text.slice(this.#at) + text : text;
    this.#at = 0;
  }

  end(): void {
    this.#ended = true;
  }

  next(): SourceRecord | null {
    while (this.#at < this.#text.length) {
      const newline = this.#text.indexOf('\n', this.#at);
      if (newline < 0 && !this.#ended) return null;
      const end = newline < 0 ? this.#text.length : newline;
      const text = withoutReturn(this.#text.slice(this.#at, end));
      if (text.includes(QUOTE)) return this.#quoted();
      this.#at = end + 1;
      if (text === '' && this.#header) continue;
      const line = this.#advance(1);
      if (text !== '') return { kind: 'fields', line, fields: text.split(','), quoted: null };
    }
    return null;
  }

  /** Number of the line that was read, after `count` lines of it. */
  #advance(count: number): number {
    const line = this.#line;
    if (this.#header) this.#header = false;
    else this.#line += count;
    return line;
  }

  /** A record with quotes, field by field; null when its end is not there yet. */
  #quoted(): SourceRecord | null {
    const text = this.#text;
    const fields: string[] = [];
    const quoted: boolean[] = [];
    let at = this.#at;
    for (;;) {
      const isQuoted = text[at] === QUOTE;
      const end = isQuoted ? this.#closing(at) : endOfPlain(text, at);
      if (end === null) return this.#incomplete();
      const content = isQuoted
        ? text.slice(at + 1, end - 1).replaceAll('""', QUOTE)
        : withoutReturn(text.slice(at, end), text[end] !== ',');
      fields.push(content);
      quoted.push(isQuoted);
      at = end;
      if (text[at] === ',') at++;
      else break;
    }
    if (text[at] === '\r') at++;
    if (at < text.length && text[at] !== '\n') {
      throw new AtollError('payload', 'after a closing quote there must be a comma or the line’s end');
    }
    if (at >= text.length && !this.#ended) return this.#incomplete();
    const lines = countNewlines(text, this.#at, at) + 1;
    this.#at = at + 1;
    return { kind: 'fields', line: this.#advance(lines), fields, quoted };
  }

  /** Behind the quote that closes the field which opens at `open`; two in a row stand for one. */
  #closing(open: number): number | null {
    for (let quote = this.#text.indexOf(QUOTE, open + 1); quote >= 0; ) {
      if (this.#text[quote + 1] !== QUOTE) return quote + 1;
      quote = this.#text.indexOf(QUOTE, quote + 2);
    }
    return null;
  }

  #incomplete(): null {
    if (this.#ended) throw new AtollError('payload', 'a quote is not closed');
    if (this.#text.length - this.#at > LINE_BYTES_MAX) throw lineTooLong();
    return null;
  }
}

function endOfPlain(text: string, start: number): number {
  for (let at = start; at < text.length; at++) if (text[at] === ',' || text[at] === '\n') return at;
  return text.length;
}

function withoutReturn(text: string, applies = true): string {
  return applies && text.endsWith('\r') ? text.slice(0, -1) : text;
}

function countNewlines(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', start); at >= 0 && at < end; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
